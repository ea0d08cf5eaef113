"""Structured logging: one JSON object a line on stdout, for everything (SPEC rows E1, E4).

>>> log = logs.get_logger(__name__)
>>> log.info("payment stored", amount=1200, currency="EUR")

Loggers may be made at import, before :func:`configure`. Libraries' use of :mod:`logging` ends up
in the same place and form.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, Literal

import structlog

from .access_log import AccessLog as AccessLog
from .bound_logger import BoundLogger
from .crashes import CrashReporter
from .loggers import level_number
from .pipeline import RecordHandler
from .pipeline import pipeline as _pipeline
from .rendering import ToConsole, to_json
from .sink import Sink

Format = Literal["json", "console"]

_handler = RecordHandler()


def get_logger(name: str) -> BoundLogger:
    """The logger of that name."""
    return BoundLogger(logging.getLogger(name), _pipeline.processors, {})


def configure(*, service: str, level: str, fmt: Format, sink: Sink | None = None) -> None:
    """Point all logging of this process at ``sink`` (stdout) in the form ``fmt``.

    Called first in the master, before it forks, and again after a reload. ``service`` is the
    logger under which crashes are reported; ``level`` one of :data:`~.loggers.LEVELS`.

    Raises :class:`~.loggers.UnknownLevelError` (a :class:`ValueError`) for another level.
    """
    number = level_number(level)
    if sink is not None:
        _pipeline.sink = sink
    is_terminal = os.isatty(_pipeline.sink.fd) and "NO_COLOR" not in os.environ
    _pipeline.render = to_json if fmt == "json" else ToConsole(colours=is_terminal)
    structlog.configure(
        processors=_pipeline.processors,
        wrapper_class=BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    _take_over(logging.getLogger(), number)
    for name in ("gunicorn.error", "gunicorn.access"):
        # Handlers of their own: uvicorn-worker hands these on to Uvicorn's loggers, and without
        # any Uvicorn's lines would vanish.
        logger = logging.getLogger(name)
        _take_over(logger, number)
        logger.propagate = False
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        # `uvicorn package.main:app` has given them handlers that print.
        logger = logging.getLogger(name)
        if any(map(_prints, logger.handlers)):
            logger.handlers = []
            logger.propagate = True
    logging.captureWarnings(True)
    CrashReporter(get_logger(service)).install()


def logging_dict(level: str) -> dict[str, Any]:
    """What Gunicorn's ``logconfig_dict`` needs, so that its own set-up leads to the same place.

    Gunicorn gives its loggers plain-text handlers when it starts and on every SIGHUP, and then
    applies this, which clears them.
    """
    number = level_number(level)
    own = {"level": number, "handlers": ["sink"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {},
        "handlers": {"sink": {"()": lambda: _handler}},  # the same after every reload
        "root": {"level": number, "handlers": ["sink"]},
        "loggers": {"gunicorn.error": own, "gunicorn.access": own},
    }


def _take_over(logger: logging.Logger, level: int) -> None:
    """Make ours the one handler of ``logger`` that writes to the standard streams."""
    for handler in list(logger.handlers):
        if handler is _handler or _prints(handler):
            logger.removeHandler(handler)
    logger.addHandler(_handler)
    logger.setLevel(level)


def _prints(handler: logging.Handler) -> bool:
    # Exactly this class: subclasses write to files, or collect records for a test.
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return type(handler) is logging.StreamHandler and handler.stream in streams
