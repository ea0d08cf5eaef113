"""Arrays in the text of a TOML file: values are added and taken away, and all else stays as it is.

Not a parser of TOML. What isn't understood isn't found, and whoever changes a file has to compare
what it says afterwards with what it should say.
"""

import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

# A string, an inline table of strings, a comment, a comma, the end.
TOKEN = re.compile(
    r"""
    (?P<value> "(?:[^"\\\n]|\\.)*" | '[^'\n]*' | \{[^{}\n]*\} )
    | (?P<comment> \#[^\n]* )
    | (?P<comma> , )
    | (?P<end> \] )
    | [ \t\n]+
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Value:
    """One value of an array, as it stands in the text."""

    value: Any
    written: str
    begin: int
    end: int
    """After its comma, where it has one."""
    has_comma: bool


@dataclass(frozen=True)
class Array:
    """Where an array stands, from its key to its bracket."""

    begin: int
    end: int
    opens: int
    values: tuple[Value, ...]


def body_of(text: str, table: str) -> tuple[int, int] | None:
    """Where a table's lines begin and end."""
    head = re.search(rf"^\[{re.escape(table)}\][^\n]*(?:\n|\Z)", text, re.MULTILINE)
    if head is None:
        return None
    following = re.compile(r"^\[", re.MULTILINE).search(text, head.end())
    return head.end(), following.start() if following else len(text)


def find(text: str, table: str, key: str) -> Array | None:
    """An array of strings and inline tables."""
    body = body_of(text, table)
    if body is None:
        return None
    head = re.compile(rf"^{re.escape(key)}[ \t]*=[ \t]*\[", re.MULTILINE).search(text, *body)
    if head is None:
        return None
    values: list[Value] = []
    at = head.end()
    while token := TOKEN.match(text, at):
        at = token.end()
        if token["end"]:
            return Array(head.start(), at, head.end(), tuple(values))
        if token["value"]:
            value = tomllib.loads(f"value = {token['value']}")["value"]
            values.append(Value(value, token["value"], token.start(), at, has_comma=False))
        elif token["comma"] and values:
            last = values[-1]
            values[-1] = Value(last.value, last.written, last.begin, at, has_comma=True)
    return None


def without(text: str, table: str, key: str, unwanted: Callable[[Any], bool]) -> str:
    """The text without some values; with a line of its own goes a value's comment."""
    array = find(text, table, key)
    for one in reversed(array.values if array else ()):
        if unwanted(one.value):
            blank = 1 if text[one.end : one.end + 1] == " " else 0
            begin, end = lines_of(text, one) or (one.begin, one.end + blank)
            text = text[:begin] + text[end:]
    return text


def lines_of(text: str, value: Value) -> tuple[int, int] | None:
    """The whole line of a value that has one for itself, with the comment behind it."""
    begin = text.rfind("\n", 0, value.begin) + 1
    after = re.compile(r"[ \t]*(#[^\n]*)?\n").match(text, value.end)
    if text[begin : value.begin].strip() or after is None:
        return None
    return begin, after.end()


def comments_of(text: str, value: Value) -> tuple[str, str]:
    """The lines of comments right above a value, and the comment behind it."""
    span = lines_of(text, value)
    if span is None:
        return "", ""
    above = re.search(r"(?:^[ \t]*#[^\n]*\n)*\Z", text[: span[0]], re.MULTILINE)
    return above[0] if above else "", text[value.end : span[1]].rstrip("\n")


def with_lines(text: str, table: str, key: str, lines: Iterable[str]) -> str:
    """The text with more values at an array's end, each on lines of its own.

    A line is a value, a comma and maybe a comment; the array is made where it isn't there.
    """
    added = "".join(f"    {line}\n" for line in lines)
    array = find(text, table, key)
    if array is None:
        return in_table(text, table, f"{key} = [\n{added}]\n")
    inner = text[array.opens : array.end - 1]
    if "\n" not in inner:
        kept = "".join(f"    {one.written},\n" for one in array.values)
        return f"{text[: array.opens]}\n{kept}{added}{text[array.end - 1 :]}"
    at = array.end - 1
    if not text[text.rfind("\n", 0, at) + 1 : at].strip():
        at = text.rfind("\n", 0, at) + 1
    else:
        added = f"\n{added}"
    text = text[:at] + added + text[at:]
    last = array.values[-1] if array.values else None
    if last and not last.has_comma:
        text = f"{text[: last.end]},{text[last.end :]}"
    return text


def without_array(text: str, table: str, key: str) -> str:
    """The text without an array, and without what stands behind it on its last line."""
    array = find(text, table, key)
    if array is None:
        return text
    following = text.find("\n", array.end) + 1
    return text[: array.begin] + text[following or len(text) :]


def in_table(text: str, table: str, lines: str) -> str:
    """The text with lines at a table's beginning; the table is made where it isn't there."""
    body = body_of(text, table)
    if body is not None:
        head = text[: body[0]]
        return f"{head if head.endswith(chr(10)) else head + chr(10)}{lines}{text[body[0] :]}"
    # Beside what builds the service, as in a new one; at the end where that is missing.
    build = re.search(r"^\[build-system\]", text, re.MULTILINE)
    at = build.start() if build else len(text)
    rest = text[at:]
    return f"{text[:at].rstrip()}\n\n[{table}]\n{lines}" + (f"\n{rest}" if rest else "")


def without_empty_table(text: str, table: str) -> str:
    """The text without a table that has nothing in it any more."""
    body = body_of(text, table)
    if body is None or text[slice(*body)].strip():
        return text
    return text[: text.rindex(f"[{table}]", 0, body[0])] + text[body[1] :]
