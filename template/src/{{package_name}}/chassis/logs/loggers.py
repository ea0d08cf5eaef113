"""Log levels at runtime (SPEC row C8): for the person at 2 a.m. who needs DEBUG from one module.

The levels are those of :mod:`logging`, which govern structlog's loggers here as well. Each worker
applies the mapping of overrides that the workers share; a name that is gone from it gets back
the level that configuration gave it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
ROOT = "root"

_NAME = re.compile(r"[A-Za-z_][\w.-]{0,199}", re.ASCII)
_overridden: dict[str, tuple[int, int]] = {}
"""Name to the level before and the level that was set here."""


class UnknownLevelError(ValueError):
    """Not a level; the message says which there are."""


def level_number(name: str) -> int:
    """The number that :mod:`logging` has for the level ``name``, in any case."""
    if name.upper() not in LEVELS:
        raise UnknownLevelError(f"log level {name!r} is not one of {', '.join(LEVELS)}")
    return logging.getLevelNamesMapping()[name.upper()]


def levels() -> dict[str, dict[str, str | None]]:
    """Every logger's ``configured`` level (None: inherited) and ``effective`` one, root first."""
    found = {ROOT: logging.getLogger()}
    for name, logger in sorted(dict(logging.Logger.manager.loggerDict).items()):
        if isinstance(logger, logging.Logger):  # and not a placeholder on the way to one
            found[name] = logger
    return {
        name: {
            "configured": logging.getLevelName(logger.level) if logger.level else None,
            "effective": logging.getLevelName(logger.getEffectiveLevel()),
        }
        for name, logger in found.items()
    }


def set_level(name: str, level: str | None) -> None:
    """Override the level of a logger, which need not exist yet; None takes the override back.

    Raises :class:`UnknownLevelError`, and :class:`ValueError` for what can't be a logger's name.
    """
    number = None if level is None else level_number(level)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:200]!r} is not the name of a logger")
    if number is None:
        _restore(name)
    else:
        _override(name, number)


def apply(overrides: Mapping[str, str]) -> None:
    """Make the overrides in this process equal to ``overrides`` (logger name to level)."""
    for name in _overridden.keys() - overrides.keys():
        _restore(name)
    for name, level in overrides.items():
        set_level(name, level)


def _override(name: str, level: int) -> None:
    logger = logging.getLogger(name)
    before, ours = _overridden.get(name, (logger.level, logger.level))
    if logger.level != ours:  # somebody configured it anew since
        before = logger.level
    _overridden[name] = (before, level)
    if logger.level != level:
        logger.setLevel(level)


def _restore(name: str) -> None:
    before, ours = _overridden.pop(name, (None, None))
    logger = logging.getLogger(name)
    if before is not None and logger.level == ours:
        logger.setLevel(before)
