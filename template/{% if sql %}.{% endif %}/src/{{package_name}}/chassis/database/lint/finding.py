"""What is wrong with a statement, and how to mend it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of danger. `name` is what an exception in a migration calls it."""

    name: str
    danger: str
    mend: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement that breaks a rule."""

    rule: Rule
    statement: str

    def __str__(self) -> str:
        shown = self.statement if len(self.statement) <= 100 else f"{self.statement[:97]}..."
        return f"[{self.rule.name}] {shown}\n    {self.rule.danger}\n    {self.rule.mend}"


REWRITE = Rule(
    "rewrite",
    "The whole table is written anew, and nobody can even read it meanwhile.",
    "Add a new column beside the old one, fill it in batches, and drop the old one when no "
    "version uses it any more. (A varchar that only gets longer isn't rewritten: allow it.)",
)
NOT_NULL = Rule(
    "not-null",
    "The table is read through under a lock that nobody gets past; a new column without a "
    "default also breaks the inserts of the version that is still serving.",
    "A new column: give it a constant server_default. An old one: add CHECK (column IS NOT NULL) "
    "NOT VALID, in the next migration VALIDATE CONSTRAINT, and then SET NOT NULL is quick.",
)
INDEX = Rule(
    "index",
    "Writers wait until the index is built, or everybody until it can be dropped.",
    "Use postgresql_concurrently=True within `with op.get_context().autocommit_block():`. For a "
    "unique constraint or a key, build a unique index that way and add it USING INDEX.",
)
IN_TRANSACTION = Rule(
    "in-transaction",
    "CONCURRENTLY is refused within a transaction, and Alembic is in one.",
    "Put it in `with op.get_context().autocommit_block():`.",
)
CONSTRAINT = Rule(
    "constraint",
    "Every row is checked under a lock that keeps writers out.",
    "Add it with postgresql_not_valid=True, which is quick and holds for new rows at once, and "
    "VALIDATE CONSTRAINT in a migration of its own, which locks nobody out.",
)
VALIDATE = Rule(
    "validate",
    "In the same migration as its NOT VALID it holds that one's lock while it reads the table.",
    "Put VALIDATE CONSTRAINT into a migration of its own.",
)
CONTRACT = Rule(
    "contract",
    "The version that is still serving uses what this takes away, renames or switches off.",
    "First release a version that doesn't use it. The migration of a later release may take it "
    "away: say there, in a comment, since when nobody uses it.",
)
LOCK = Rule(
    "lock-timeout",
    "A lock without a limit: one long query before it, and everybody queues up behind it.",
    "Leave lock_timeout as env.py sets it, by whatever statement or function, and take no locks "
    "by hand.",
)
DATA = Rule(
    "data",
    "Every row of the table stays locked until the migration commits.",
    "Fill it in batches of some thousand rows, each committed, by a job after this migration.",
)
UNKNOWN = Rule(
    "unknown",
    "This lint doesn't know what it locks, and for how long.",
    "Look it up, and allow it if it is harmless: https://www.postgresql.org/docs/current/"
    "explicit-locking.html",
)
EXCEPTION = Rule(
    "exception",
    "An exception has to be needed, and to say why.",
    "Write `# migration-lint: allow <rule>: <why it is safe>`, or take it out.",
)
RULES = (
    REWRITE, NOT_NULL, INDEX, IN_TRANSACTION, CONSTRAINT, VALIDATE, CONTRACT, LOCK, DATA, UNKNOWN,
)  # fmt: skip
