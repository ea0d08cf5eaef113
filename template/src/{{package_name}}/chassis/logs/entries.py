"""What a log entry holds, and in which order (SPEC row E1).

When, how bad, who says so, what; where in the code, which process, which request; then the entry's
own fields, then the exception. A field of the caller's whose name is taken keeps its value under a
longer name: ``level="gold"`` is logged as ``field_level``.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from typing import Any

from structlog.typing import EventDict, WrappedLogger

from ..context import current
from .origin import Origin
from .redaction import safe_repr
from .stamp import process, timestamp

RESERVED = frozenset(
    {"timestamp", "level", "logger", "message", "module", "function", "line", "pid", "exception"}
)
"""Names that always mean the same. Those of the request can be a caller's where there is none."""

MAX_TRACEBACK = 30_000  # characters; the end of a longer one is kept, where the error is


def arrange(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Processor: an event with its ``_origin`` becomes an entry, with each name once."""
    origin: Origin = event.pop("_origin")
    exception = exception_of(event.pop("exc_info", None))
    entry: dict[str, Any] = {
        "timestamp": timestamp(origin.micros),
        "level": origin.level,
        "logger": origin.logger,
        "message": _text(event.pop("event", "")),
    }
    if origin.function is not None:
        entry["module"] = origin.module
        entry["function"] = origin.function
        entry["line"] = origin.line
    entry["pid"] = process.pid
    context = current.get()
    if context is not None:
        entry["request_id"] = context.request_id
        if context.trace_id is not None:
            entry["trace_id"] = context.trace_id
        if context.user_id is not None:
            entry["user_id"] = context.user_id
        entry["method"] = context.method
        entry["path"] = context.path
        if context.bound:
            event = {**context.bound, **event}
    if event:
        add_fields(entry, event)
    if exception is not None:
        entry["exception"] = exception
    return entry


def add_fields(entry: dict[str, Any], fields: Mapping[str, object]) -> None:
    """Add a caller's own fields to ``entry``. None of them replaces what is there."""
    for given, value in fields.items():
        name = given
        while name in RESERVED or name in entry:
            if name in entry and name not in RESERVED and entry[name] == value:
                break  # request_id=context.request_id: said twice, written once
            name = f"field_{name}"
        entry[name] = value


def exception_of(exc_info: object) -> dict[str, str] | None:
    """Type, message and traceback (with causes) of what ``exc_info`` stands for, if anything."""
    if isinstance(exc_info, tuple):
        error = exc_info[1]
    elif isinstance(exc_info, BaseException):
        error = exc_info
    else:
        error = sys.exception() if exc_info else None
    if not isinstance(error, BaseException):
        return None
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else _qualified(kind)
    text = "".join(traceback.format_exception(error)).rstrip()
    if len(text) > MAX_TRACEBACK:
        text = "...\n" + text[-MAX_TRACEBACK:].partition("\n")[2]
    return {"type": name, "message": _text(error), "traceback": text}


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _text(message: object) -> str:
    try:
        return str(message)
    except Exception:
        return safe_repr(message)
