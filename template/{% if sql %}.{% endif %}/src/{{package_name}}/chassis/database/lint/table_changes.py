"""What each part of an ALTER TABLE does to those who use the table meanwhile.

https://www.postgresql.org/docs/current/sql-altertable.html says of each which lock it takes and
whether it has to read or write the rows.
"""

import re
from collections.abc import Iterator

from .finding import CONSTRAINT, CONTRACT, INDEX, NOT_NULL, REWRITE, UNKNOWN, VALIDATE, Rule
from .schema_state import SchemaState
from .sql_text import name

_NAME = r'(?:[A-Z0-9_$]+|"[^"]+")'
_LITERAL = r"(?:'\.\.\.'|'0'|[-+]? ?[0-9.E]+|TRUE|FALSE|NULL)"
_CONSTANT = re.compile(
    rf"(?:{_LITERAL}|CAST \( {_LITERAL} AS [^()]+(?:\( \d+ \) )?\)"
    r"|(?:NOW|STATEMENT_TIMESTAMP|TRANSACTION_TIMESTAMP) \( \)"
    r"|CURRENT_TIMESTAMP|CURRENT_DATE|LOCALTIMESTAMP)"
    rf"(?: :: {_NAME}(?: {_NAME})*(?: \( [0-9 ,]+ \))?(?: \[ \])?)?"
)
"""A default that is computed once, so that no row has to be written for it."""

_END_OF_DEFAULT = {"NOT", "NULL", "CHECK", "REFERENCES", "UNIQUE", "PRIMARY", "CONSTRAINT"}

_HARMLESS = re.compile(
    rf"""
    ALTER\ (COLUMN\ )?{_NAME}\ (SET\ (DEFAULT|STATISTICS|STORAGE|COMPRESSION|\()|DROP\ NOT\ NULL)
  | SET\ \( | RESET\ \( | REPLICA\ IDENTITY | OWNER\ TO
  | ENABLE\ (REPLICA\ |ALWAYS\ )?(TRIGGER|RULE) | ENABLE\ ROW\ LEVEL\ SECURITY
  | DROP\ CONSTRAINT
    """,
    re.VERBOSE,
)
_CONTRACTS = re.compile(
    rf"DROP |RENAME |ALTER (COLUMN )?{_NAME} DROP |SET SCHEMA "
    r"|DISABLE (TRIGGER|RULE|ROW LEVEL SECURITY)"
)
_REWRITES = re.compile(
    rf"ALTER (COLUMN )?{_NAME} ((SET DATA )?TYPE |SET EXPRESSION |ADD GENERATED)"
    r"|SET (LOGGED|UNLOGGED|TABLESPACE|ACCESS METHOD)"
)
_NOT_NULL_CHECK = re.compile(rf"CHECK \( (\( )?({_NAME}) IS NOT NULL \)")


def dangers(table: str, words: tuple[str, ...], state: SchemaState) -> Iterator[Rule]:
    """The rules that one part of an ALTER TABLE breaks; the state learns what it does."""
    text = " ".join(words)
    if text.startswith("ADD "):
        yield from _addition(table, words[1:], state)
    elif set_not_null := re.match(rf"ALTER (?:COLUMN )?({_NAME}) SET NOT NULL", text):
        column, _ = name((set_not_null[1],))
        if not state.is_never_null(table, column):
            yield NOT_NULL
    elif text.startswith("VALIDATE CONSTRAINT "):
        constraint, _ = name(words[2:])
        if not state.validate(table, constraint):
            yield VALIDATE
    elif _REWRITES.match(text):
        yield REWRITE
    elif _HARMLESS.match(text):
        return
    elif _CONTRACTS.match(text):
        yield CONTRACT
    else:
        yield UNKNOWN


def _addition(table: str, words: tuple[str, ...], state: SchemaState) -> Iterator[Rule]:
    constraint = ""
    if words[0] == "CONSTRAINT":
        constraint, count = name(words[1:])
        words = words[1 + count :]
    text = " ".join(words)
    if words[0] in ("CHECK", "FOREIGN"):
        found = _NOT_NULL_CHECK.match(text)
        column = name((found[2],))[0] if found else None
        is_valid = not text.endswith("NOT VALID")
        state.add_constraint(table, constraint, column, is_valid)
        if is_valid:
            yield CONSTRAINT
    elif words[:2] == ("NOT", "NULL"):  # as a constraint with a name: PostgreSQL 18
        is_valid = not text.endswith("NOT VALID")
        state.add_constraint(table, constraint, name(words[2:])[0], is_valid)
        if is_valid:
            yield NOT_NULL
    elif words[0] in ("UNIQUE", "PRIMARY", "EXCLUDE"):
        if "USING INDEX " not in text or words[0] == "EXCLUDE":
            yield INDEX
    else:
        yield from _new_column(re.sub(r"^(COLUMN )?(IF NOT EXISTS )?", "", text))


def _new_column(text: str) -> Iterator[Rule]:
    words = text.split(" ")
    default = None
    if "DEFAULT" in words:
        default = " ".join(_until(words[words.index("DEFAULT") + 1 :]))
        if not _CONSTANT.fullmatch(default):
            yield REWRITE
    if re.search(r"(?<!\S)((SMALL|BIG)?SERIAL|GENERATED)(?!\S)", text):
        yield REWRITE
    elif "NOT NULL" in text and default in (None, "NULL"):
        yield NOT_NULL
    if "REFERENCES" in words or "CHECK" in words:
        yield CONSTRAINT
    if "UNIQUE" in words or "PRIMARY" in words:
        yield INDEX


def _until(words: list[str]) -> Iterator[str]:
    depth = 0
    for position, word in enumerate(words):
        if depth == 0 and position and word in _END_OF_DEFAULT:
            return
        depth += (word == "(") - (word == ")")
        yield word
