"""An entry as a line of bytes: JSON for machines, or columns for a person at a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from .redaction import safe_repr

Render = Callable[[Mapping[str, Any]], bytes]

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
_MAX_INT = 2**63

# Line ends to some readers, though not to JSON: NEL, LINE SEPARATOR, PARAGRAPH SEPARATOR.
_LINE_ENDS = (
    (b"\xc2\x85", rb"\u0085"),
    (b"\xe2\x80\xa8", rb"\u2028"),
    (b"\xe2\x80\xa9", rb"\u2029"),
)

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_COLOURS = {"debug": 2, "info": 32, "warning": 33, "error": 31, "critical": 35}
_COLUMNS = ("timestamp", "level", "logger", "message")
_LEFT_OUT = frozenset({*_COLUMNS, "module", "function", "line", "pid", "exception"})


def to_json(entry: Mapping[str, Any]) -> bytes:
    """One JSON object and a newline; whatever the entry holds, the line parses.

    Non-ASCII stays readable, NaN becomes null, and what JSON has no word for goes by its repr.
    """
    try:
        line = orjson.dumps(entry, default=safe_repr, option=_OPTIONS)
    except TypeError:  # lone surrogates, or integers of more than 64 bits
        line = orjson.dumps(_encodable(entry), default=safe_repr, option=_OPTIONS)
    if not line.isascii():
        for end, escape in _LINE_ENDS:
            line = line.replace(end, escape)
    return line


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return value if -_MAX_INT <= value < _MAX_INT else str(value)
    if isinstance(value, Mapping):
        return {_encodable(str(key)): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value


class ToConsole:
    """Columns: time, level, logger, message, then the fields; a traceback on lines of its own."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, entry: Mapping[str, Any]) -> bytes:
        time, level, logger, message = (entry[name] for name in _COLUMNS)
        fields = " ".join(
            f"{self._paint(2, key)}={_value(value)}"
            for key, value in entry.items()
            if key not in _LEFT_OUT and value is not None
        )
        line = (
            f"{self._paint(2, time[11:23])} "
            f"{self._paint(_COLOURS.get(level, 0), level.ljust(8))} "
            f"{self._paint(36, logger.ljust(20))} "
            f"{_printable(message):<30} {fields}".rstrip()
        )
        exception = entry.get("exception")
        if exception is not None:
            line += "\n" + _printable(exception["traceback"])
        return (line + "\n").encode("utf-8", "backslashreplace")

    def _paint(self, colour: int, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text


def _value(value: object) -> str:
    text = _printable(value if isinstance(value, str) else safe_repr(value))
    return repr(text) if not text or " " in text or "\n" in text else text


def _printable(text: str) -> str:
    """Without control characters, which can do a terminal harm (CWE-150)."""
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)
