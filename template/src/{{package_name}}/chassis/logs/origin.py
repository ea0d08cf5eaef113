"""Who logged, and from which line of code."""

from __future__ import annotations

import logging
import sys
import traceback
from functools import lru_cache
from pathlib import PurePath
from types import FrameType
from typing import NamedTuple

from structlog.typing import EventDict, WrappedLogger

from .redaction import safe_repr

INTERNAL_MODULES = {__name__}
"""Modules that log on behalf of their caller: the entry names the code that called them.

A module that wraps a logger adds its own ``__name__``.
"""

# What every LogRecord has; anything else on a record came in by `extra`.
_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",  # Uvicorn's copy of the message in terminal colours
}


class Origin(NamedTuple):
    """Where an event comes from. Code that isn't known is left out of the entry."""

    logger: str
    level: str
    module: str | None = None
    function: str | None = None
    line: int | None = None
    micros: int | None = None
    """When, since the epoch; None stands for now."""


def locate(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Processor: find the code that logged, past structlog's frames and the chassis' own.

    ``stacklevel`` and ``stack_info`` mean what they mean to :mod:`logging`, whose own records
    (under ``_record``) know where they come from.
    """
    if "_record" in event:
        return _from_record(event["_record"])
    frame = _caller(sys._getframe(1))
    for _ in range(event.pop("stacklevel", 1) - 1):
        frame = frame.f_back or frame
    code = frame.f_code
    event["_origin"] = Origin(
        logger.name, method, _stem(code.co_filename), code.co_name, frame.f_lineno
    )
    if event.pop("stack_info", False):
        event["stack"] = "".join(traceback.format_stack(frame)).rstrip()
    return event


def _caller(frame: FrameType) -> FrameType:
    while frame.f_back is not None:
        name = frame.f_globals.get("__name__", "")
        if name not in INTERNAL_MODULES and not name.startswith("structlog."):
            break
        frame = frame.f_back
    return frame


@lru_cache(maxsize=1024)
def _stem(filename: str) -> str:
    return PurePath(filename).stem


def _from_record(record: logging.LogRecord) -> EventDict:
    """The event in a record of :mod:`logging`. A message that doesn't format is shown as it is."""
    try:
        message = record.getMessage()
    except Exception:
        message = f"{safe_repr(record.msg)} {safe_repr(record.args)}"
    event: EventDict = {
        key: value
        for key, value in vars(record).items()
        if key not in _RECORD_FIELDS and not key.startswith("_")
    }
    event["event"] = message.rstrip()
    event["exc_info"] = record.exc_info
    if record.stack_info:
        event["stack"] = record.stack_info
    event["_origin"] = Origin(
        record.name,
        record.levelname.lower(),
        record.module,
        record.funcName,
        record.lineno,
        int(record.created * 1_000_000),
    )
    return event
