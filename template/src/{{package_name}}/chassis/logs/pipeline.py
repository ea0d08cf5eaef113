"""The one way from an event to a line, for both worlds: structlog's loggers and the stdlib's.

Structlog's loggers come straight here, without a :class:`logging.LogRecord`; records of libraries
come through :class:`RecordHandler`. The processors are one list, changed in place, which is how
structlog's ``capture_logs`` finds them as well.
"""

from __future__ import annotations

import logging
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from . import origin
from .entries import arrange
from .origin import locate
from .redaction import redact
from .rendering import Render, to_json
from .sink import Sink, stdout
from .stamp import process, timestamp

origin.INTERNAL_MODULES.add(__name__)


class Pipeline:
    """From an event to a line in the log. Nothing that goes wrong here reaches the application."""

    def __init__(self) -> None:
        self.processors: list[Processor] = [locate, arrange, redact]
        self.render: Render = to_json
        self._sink: Sink | None = None

    @property
    def sink(self) -> Sink:
        if self._sink is None:
            self._sink = stdout()
        return self._sink

    @sink.setter
    def sink(self, sink: Sink) -> None:
        self._sink = sink

    def log(self, logger: WrappedLogger, levelno: int, level: str, event: EventDict) -> None:
        """Write one event, at once if it is an error."""
        try:
            entry: Any = event
            for processor in self.processors:
                entry = processor(logger, level, entry)
            line = self.render(entry)
        except structlog.DropEvent:
            return
        except Exception as error:
            line = self._lament(logger, error)
        self.sink.write(line, urgent=levelno >= logging.ERROR)

    def _lament(self, logger: WrappedLogger, error: Exception) -> bytes:
        """What is said instead of an entry that can't be made: of its values, nothing."""
        return self.render(
            {
                "timestamp": timestamp(),
                "level": "error",
                "logger": "chassis.logs",
                "message": f"a log entry of {logger.name} could not be written",
                "pid": process.pid,
                "error": type(error).__name__,
            }
        )


pipeline = Pipeline()


class RecordHandler(logging.Handler):
    """Where the stdlib's records enter: attached to the root logger and to Gunicorn's."""

    def emit(self, record: logging.LogRecord) -> None:
        pipeline.log(record, record.levelno, record.levelname.lower(), {"_record": record})

    def close(self) -> None:
        """Stay open: `dictConfig` closes every handler it finds, and this one outlives reloads."""
