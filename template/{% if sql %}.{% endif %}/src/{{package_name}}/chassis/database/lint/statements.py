"""What a statement of a migration does to those who use the database meanwhile."""

import re
from collections.abc import Iterator

from .finding import (
    CONTRACT,
    DATA,
    IN_TRANSACTION,
    INDEX,
    LOCK,
    REWRITE,
    UNKNOWN,
    Finding,
    Rule,
)
from .schema_state import SchemaState
from .sql_text import Statement, name, parts
from .table_changes import dangers

_MAKES_LOCKS = re.compile(r"(ALTER|DROP|CREATE|TRUNCATE|REINDEX|CLUSTER|COMMENT|UPDATE|DELETE) ")

_HARMLESS = re.compile(
    r"""
    (BEGIN|START|COMMIT|END|SAVEPOINT|RELEASE|SET|SHOW|SELECT|WITH|INSERT|COPY|ANALYZE)\b
  | COMMENT\ ON | GRANT | REVOKE | VACUUM\ (?!FULL)
  | CREATE\ (OR\ REPLACE\ )?(SEQUENCE|TYPE|DOMAIN|VIEW|FUNCTION|PROCEDURE|SCHEMA|EXTENSION
      |TRIGGER|ROLE|POLICY|COLLATION|STATISTICS|UNLOGGED\ TABLE|MATERIALIZED\ VIEW)
  | ALTER\ (SEQUENCE|ROLE|FUNCTION|EXTENSION)\ | ALTER\ INDEX\ .*\bRENAME\b
  | ALTER\ TYPE\ .*\ ADD\ VALUE
    """,
    re.VERBOSE,
)
_UNBOUNDS = re.compile(
    r"SET (LOCAL |SESSION )?LOCK_TIMEOUT (=|TO) (0|'0'|DEFAULT)$"
    r"|RESET (LOCK_TIMEOUT|ALL)$|DISCARD ALL$|LOCK "
)
_INDEX = re.compile(r"(CREATE (UNIQUE )?|DROP |RE)INDEX (?P<options>\( .* \) )?")


def findings(statement: Statement, state: SchemaState) -> Iterator[Finding]:
    """What is dangerous about a statement, given those before it; the state learns of it."""
    text = str(statement)
    for rule in dict.fromkeys(_rules(statement, text, state)):
        yield Finding(rule, text)


def _rules(statement: Statement, text: str, state: SchemaState) -> Iterator[Rule]:
    words = statement.words
    if _sets_the_frame(text, state):
        return
    if _UNBOUNDS.match(text) or (_MAKES_LOCKS.match(text) and not state.is_bounded):
        yield LOCK
    if words[:2] == ("CREATE", "TABLE"):
        state.new_tables.add(_table(words[2:]))
    elif words[:2] == ("ALTER", "TABLE"):
        yield from _alterations(words[2:], state)
    elif _INDEX.match(text):
        yield from _index(words, text, state)
    elif words[0] in ("UPDATE", "DELETE"):
        yield from _data(words, state)
    elif words[0] == "WITH" and {"UPDATE", "DELETE"} & {*words} and "WHERE" not in words:
        yield DATA
    elif re.match(r"(CLUSTER|VACUUM FULL|REFRESH MATERIALIZED VIEW (?!CONCURRENTLY))", text):
        yield REWRITE
    elif words[0] in ("DROP", "TRUNCATE") or re.match(r"ALTER (TYPE|VIEW) .*\bRENAME\b", text):
        yield from _removal(words, state)
    elif not (_HARMLESS.match(text) or _UNBOUNDS.match(text)):
        yield UNKNOWN


def _sets_the_frame(text: str, state: SchemaState) -> bool:
    """Whether it begins or ends a transaction, or bounds the locks."""
    if re.match(r"(BEGIN|START TRANSACTION)\b", text):
        state.in_transaction = True
    elif re.match(r"(COMMIT|END|ROLLBACK)\b", text):
        state.in_transaction = False
    elif re.match(r"SET (SESSION )?LOCK_TIMEOUT (=|TO) (?!0$|'0'$|DEFAULT$)", text):
        state.is_bounded = True
    else:
        return False
    return True


def _alterations(words: tuple[str, ...], state: SchemaState) -> Iterator[Rule]:
    words = _without(words, ("IF", "EXISTS"), ("ONLY",))
    table, count = name(words)
    if table in state.new_tables:
        return
    for part in parts(words[count:]):
        yield from dangers(table, part, state)


def _index(words: tuple[str, ...], text: str, state: SchemaState) -> Iterator[Rule]:
    if "ON" in words and _table(words[words.index("ON") + 1 :]) in state.new_tables:
        return
    if "CONCURRENTLY" not in words:
        yield INDEX
    elif state.in_transaction:
        yield IN_TRANSACTION


def _data(words: tuple[str, ...], state: SchemaState) -> Iterator[Rule]:
    start = 2 if words[:2] == ("DELETE", "FROM") else 1
    table = _table(words[start:])
    if table not in state.new_tables and table != "alembic_version" and "WHERE" not in words:
        yield DATA


def _removal(words: tuple[str, ...], state: SchemaState) -> Iterator[Rule]:
    if words[:2] == ("DROP", "TABLE") and _table(words[2:]) in state.new_tables:
        return
    yield CONTRACT


def _table(words: tuple[str, ...]) -> str:
    return name(_without(words, ("IF", "NOT", "EXISTS"), ("IF", "EXISTS"), ("ONLY",)))[0]


def _without(words: tuple[str, ...], *prefixes: tuple[str, ...]) -> tuple[str, ...]:
    for prefix in prefixes:
        if words[: len(prefix)] == prefix:
            words = words[len(prefix) :]
    return words
