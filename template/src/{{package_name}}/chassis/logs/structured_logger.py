"""The logger of GLOSSARY section 3: a message and a dict of data, on the chassis' own log.

>>> log = StructuredLogger(default_context={"component": "billing"})
>>> log.info("payment stored", {"amount": 1200})
>>> with log.timer("charge"):
...     await gateway.charge(payment)

It is thin: level, redaction, form and place of an entry are those of :mod:`.pipeline`, and the
entry names the line of code that called. :func:`.logs.get_logger` leads to the same log.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any, Literal, get_args

import structlog

from .. import settings, timed_block
from ..timed_block import TimedBlock
from . import log_context, origin
from .loggers import LEVELS, level_number
from .pipeline import Pipeline, pipeline
from .sink import Sink

origin.INTERNAL_MODULES.update({__name__, timed_block.__name__})

Output = Literal["stdout", "stderr"]

MAX_OPERATIONS = 1000
"""Timers that are told apart in :meth:`StructuredLogger.stats`; the rest count as OTHER."""

OTHER = "other"

_DEFAULT_LEVEL = "INFO"


class StructuredLogger:
    """Logs under ``name``, by default the service's.

    ``level``, in any case, is this object's own. The default stands for the service's LOG_LEVEL,
    which is INFO as well unless the environment says otherwise; and a level that is set for
    ``name`` at runtime (``PUT /loggers/{name}``) wins over both. ``output`` is "stdout", where all
    of the service logs, or "stderr"; a container logs to no files. ``default_context`` is on every
    entry of this object.

    Of equal names the nearest wins: ``data``, then what is bound, then ``default_context``. None
    of them replaces a field of the entry itself (:mod:`.entries`). Safe under threads; no method
    that logs raises.

    Raises :class:`ValueError` for a level or an output that there isn't.
    """

    def __init__(
        self,
        name: str | None = None,
        level: str = _DEFAULT_LEVEL,
        output: Output = "stdout",
        default_context: Mapping[str, object] | None = None,
    ) -> None:
        number = level_number(level)
        if output not in get_args(Output):
            raise ValueError(f"output {output!r} is not one of {', '.join(get_args(Output))}")
        self._name = name
        self._level = None if level.upper() == _DEFAULT_LEVEL else number
        self._pipeline = pipeline if output == "stdout" else _stderr()
        self._default_context = log_context.plain(default_context or {})
        self._lock = threading.RLock()  # signal handlers log, too
        self._counts = dict.fromkeys(map(str.lower, reversed(LEVELS)), 0)
        self._timers: dict[str, dict[str, float]] = {}

    @property
    def name(self) -> str:
        """The logger's name in the entries."""
        return self._logger.name

    def debug(self, msg: object, data: Mapping[str, object] | None = None) -> None:
        self._log(logging.DEBUG, "debug", msg, data)

    def info(self, msg: object, data: Mapping[str, object] | None = None) -> None:
        self._log(logging.INFO, "info", msg, data)

    def warning(self, msg: object, data: Mapping[str, object] | None = None) -> None:
        self._log(logging.WARNING, "warning", msg, data)

    def error(
        self, msg: object, data: Mapping[str, object] | None = None, exc_info: object = None
    ) -> None:
        """``exc_info`` is an exception, or True for the one that is being handled."""
        self._log(logging.ERROR, "error", msg, data, exc_info)

    def critical(
        self, msg: object, data: Mapping[str, object] | None = None, exc_info: object = None
    ) -> None:
        """``exc_info`` is an exception, or True for the one that is being handled."""
        self._log(logging.CRITICAL, "critical", msg, data, exc_info)

    def timer(self, operation: str) -> Timer:
        """Log how long the block took: ``operation`` and ``duration_ms``, also when it raises.

        A plain ``with``, in coroutines too; what is awaited in the block counts.
        """
        return Timer(self, operation)

    def bind(self, **kwargs: object) -> None:
        """Put fields on every further entry of this request, by any logger, access line too.

        Outside a request: on those of this task, and of tasks it starts, by any StructuredLogger.
        """
        log_context.bind(kwargs)

    def clear_context(self) -> None:
        """Take back what was bound to this request, and to this task."""
        log_context.clear()

    def log_request(
        self, request_id: str, method: str, path: str, status: int, duration_ms: float
    ) -> None:
        """Log a request that the access line doesn't know of, such as one that was sent.

        An error from status 500 on, else info.
        """
        data = {
            "request_id": request_id,
            "method": method,
            "path": path,
            "status_code": status,
            "duration_ms": _rounded(duration_ms),
        }
        if status >= 500:
            self._log(logging.ERROR, "error", "request completed", data)
        else:
            self._log(logging.INFO, "info", "request completed", data)

    def log_prediction(
        self,
        model_name: str,
        input_size: int,
        duration_ms: float,
        confidence: float | None = None,
    ) -> None:
        """Log what a model was asked; ``confidence`` is a ratio between 0 and 1."""
        data: dict[str, object] = {
            "model_name": model_name,
            "input_size": input_size,
            "duration_ms": _rounded(duration_ms),
        }
        if confidence is not None:
            data["confidence"] = confidence
        self._log(logging.INFO, "info", "prediction made", data)

    def log_model_event(self, event: str, model_name: str, **kwargs: object) -> None:
        """Log what happened to a model: ``log_model_event("warmed up", "fraud", runs=3)``."""
        data = {**kwargs, "model_name": model_name, "model_event": event}
        self._log(logging.INFO, "info", "model event", data)

    def stats(self) -> dict[str, Any]:
        """What this object has logged in this process.

        ``levels``: entries by level, without those that their level suppressed. ``timers``: for
        each operation ``count``, ``total_ms``, ``min_ms`` and ``max_ms``.
        """
        with self._lock:
            timers = {operation: dict(timer) for operation, timer in self._timers.items()}
            return {"levels": dict(self._counts), "timers": timers}

    @cached_property
    def _logger(self) -> logging.Logger:
        # Not before the first entry: loggers are made at import, maybe before settings are read.
        return logging.getLogger(self._name or settings.service_name())

    def _is_enabled(self, levelno: int) -> bool:
        level = self._level
        if level is None and not structlog.is_configured():
            # Nobody has read LOG_LEVEL (a script, a test), and logging's own default is WARNING.
            level = logging.INFO
        if level is None or self._logger.level != logging.NOTSET:
            return self._logger.isEnabledFor(levelno)
        return levelno >= level

    def _log(
        self,
        levelno: int,
        level: str,
        message: object,
        data: Mapping[str, object] | None,
        exc_info: object = None,
    ) -> None:
        if not self._is_enabled(levelno):
            return
        event = log_context.over(self._default_context)
        if isinstance(data, Mapping):
            event.update(log_context.plain(data))
        elif data is not None:
            event["data"] = data
        event["event"] = message
        if exc_info is not None:
            event["exc_info"] = exc_info
        with self._lock:
            self._counts[level] += 1
        if self._pipeline is not pipeline:
            self._pipeline.render = pipeline.render  # as `logs.configure` last decided
        self._pipeline.log(self._logger, levelno, level, event)

    def _timed(self, operation: str, duration_ms: float, error: type[BaseException] | None) -> None:
        data = {"operation": operation, "duration_ms": _rounded(duration_ms)}
        with self._lock:
            if operation not in self._timers and len(self._timers) >= MAX_OPERATIONS:
                operation = OTHER
            timer = self._timers.setdefault(
                operation,
                {"count": 0, "total_ms": 0.0, "min_ms": duration_ms, "max_ms": duration_ms},
            )
            timer["count"] += 1
            timer["total_ms"] += duration_ms
            timer["min_ms"] = min(timer["min_ms"], duration_ms)
            timer["max_ms"] = max(timer["max_ms"], duration_ms)
        if error is None:
            self._log(logging.INFO, "info", "operation completed", data)
        else:
            # Its traceback is for whoever handles it.
            data["error"] = error.__name__
            self._log(logging.WARNING, "warning", "operation failed", data)


class Timer(TimedBlock):
    """One timed block; ``duration_ms`` is known when it is over."""

    __slots__ = ("_logger", "operation")

    def __init__(self, logger: StructuredLogger, operation: str) -> None:
        super().__init__()
        self._logger = logger
        self.operation = operation

    @property
    def duration_ms(self) -> float:
        return self.seconds * 1000

    def ended(self, error: type[BaseException] | None) -> None:
        self._logger._timed(self.operation, self.duration_ms, error)


def _rounded(duration_ms: float) -> float:
    return round(duration_ms, 3)


@cache
def _stderr() -> Pipeline:
    # Its sink is made with the first such logger, at import, so that the workers share its lock.
    to_stderr = Pipeline()
    to_stderr.processors = pipeline.processors
    to_stderr.sink = Sink(2)
    return to_stderr
