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
from .sql_text import STRING, ZERO, Statement, name, parts
from .table_changes import dangers

_TAKES_NO_LOCK = re.compile(
    r"(SET|RESET|SHOW|DISCARD|SAVEPOINT|RELEASE|SELECT(?!.* FOR (NO KEY |KEY )?(UPDATE|SHARE)\b))\b"
)

_HARMLESS = re.compile(
    r"""
    (SAVEPOINT|RELEASE|SET|SHOW|SELECT|WITH|INSERT|COPY|ANALYZE|VACUUM)\b
  | COMMENT\ ON | GRANT | REVOKE | REFRESH\ MATERIALIZED\ VIEW\ CONCURRENTLY
  | CREATE\ (OR\ REPLACE\ )?(SEQUENCE|TYPE|DOMAIN|VIEW|FUNCTION|PROCEDURE|SCHEMA|EXTENSION
      |(CONSTRAINT\ )?TRIGGER|ROLE|POLICY|COLLATION|STATISTICS|UNLOGGED\ TABLE|MATERIALIZED\ VIEW)
  | ALTER\ (SEQUENCE|ROLE|FUNCTION|EXTENSION)\ | ALTER\ INDEX\ .*\bRENAME\b
  | ALTER\ TYPE\ .*\ ADD\ VALUE
    """,
    re.VERBOSE,
)
_ZERO = rf"(0[0.]*|{ZERO}|DEFAULT)"
_BOUNDS = re.compile(
    rf"SET (SESSION )?LOCK_TIMEOUT (=|TO) (?!{_ZERO}$)"
    rf"|SELECT (PG_CATALOG \. )?SET_CONFIG \( 'lock_timeout' , {re.escape(STRING)} , FALSE \)$"
)
_UNBOUNDS = re.compile(
    rf"SET (LOCAL |SESSION )?LOCK_TIMEOUT (=|TO) {_ZERO}$"
    r"|RESET (LOCK_TIMEOUT|ALL)$|DISCARD ALL$|LOCK "
    r"|(ALTER (ROLE|USER|DATABASE|SYSTEM)|CREATE .*(FUNCTION|PROCEDURE)) .*\bLOCK_TIMEOUT\b"
    r"|UPDATE (PG_CATALOG \. )?PG_SETTINGS "
)
_SET_CONFIG = re.compile(r"SET_CONFIG \((?P<arguments>[^()]*)")
_KNOWN_CONFIG = re.compile(
    # Another setting, or this one and something that isn't zero.
    rf" '(?!lock_timeout')[a-z_.]+' ,| 'lock_timeout' , {re.escape(STRING)} , (TRUE|FALSE) $"
)
_REWRITES = re.compile(
    r"CLUSTER\b|VACUUM (FULL\b|\( ([^)]* )?FULL\b)|REFRESH MATERIALIZED VIEW (?!CONCURRENTLY)"
)
_RENAMES = re.compile(r"ALTER (?!TABLE |INDEX ).*\b(RENAME\b|SET SCHEMA )")
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
    unbounds = _UNBOUNDS.match(text) is not None or _hides_a_bound(text)
    if unbounds or not (state.is_bounded or _TAKES_NO_LOCK.match(text)):
        yield LOCK
    if words[:2] == ("CREATE", "TABLE"):
        yield from _new_table(words, state)
    elif words[:2] == ("ALTER", "TABLE"):
        yield from _alterations(words[2:], state)
    elif _INDEX.match(text):
        yield from _index(words, text, state)
    elif words[0] in ("UPDATE", "DELETE"):
        yield from _data(words, state)
    elif words[0] == "WITH" and {"UPDATE", "DELETE"} & {*words} and "WHERE" not in words:
        yield DATA
    elif _REWRITES.match(text):
        yield REWRITE
    elif words[0] in ("DROP", "TRUNCATE") or _RENAMES.match(text):
        yield from _removal(words, state)
    elif not (_HARMLESS.match(text) or unbounds):
        yield UNKNOWN


def _hides_a_bound(text: str) -> bool:
    """Whether a function may take the bound of the locks away, or it can't be seen what it sets."""
    calls = (found["arguments"] for found in _SET_CONFIG.finditer(text))
    return any(not _KNOWN_CONFIG.match(arguments) for arguments in calls)


def _sets_the_frame(text: str, state: SchemaState) -> bool:
    """Whether it begins or ends a transaction, or bounds the locks."""
    if re.match(r"(BEGIN|START TRANSACTION)\b", text):
        state.in_transaction = True
    elif re.match(r"(COMMIT|END|ROLLBACK(?! TO ))\b", text):
        state.in_transaction = False
    elif _BOUNDS.match(text):
        state.is_bounded = True
    else:
        return False
    return True


def _new_table(words: tuple[str, ...], state: SchemaState) -> Iterator[Rule]:
    state.new_tables.add(_table(words[2:]))
    if "PARTITION" in words:
        start = words.index("PARTITION")
        parent = _table(words[start + 2 :])
        if words[start : start + 2] == ("PARTITION", "OF") and parent not in state.new_tables:
            yield UNKNOWN  # the parent is locked, and its default partition read through


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
