"""The logger that applications use: structlog's interface, the stdlib's levels."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import structlog

from . import origin
from .pipeline import pipeline
from .redaction import safe_repr

origin.INTERNAL_MODULES.add(__name__)


class BoundLogger(structlog.BoundLoggerBase):
    """``log.info("payment stored", amount=1200)``; ``log.bind(reference="A-1")`` for a copy.

    It wraps the :class:`logging.Logger` of the same name, which decides about levels: a level that
    is set at runtime holds for both worlds. Further positional arguments are formatted into the
    message; ``exc_info``, ``stack_info`` and ``stacklevel`` mean what they mean to :mod:`logging`.
    No call raises.
    """

    _logger: logging.Logger

    def debug(self, message: object, /, *args: object, **fields: object) -> None:
        if self._logger.isEnabledFor(logging.DEBUG):
            self._log(logging.DEBUG, "debug", message, args, fields)

    def info(self, message: object, /, *args: object, **fields: object) -> None:
        if self._logger.isEnabledFor(logging.INFO):
            self._log(logging.INFO, "info", message, args, fields)

    def warning(self, message: object, /, *args: object, **fields: object) -> None:
        if self._logger.isEnabledFor(logging.WARNING):
            self._log(logging.WARNING, "warning", message, args, fields)

    def error(self, message: object, /, *args: object, **fields: object) -> None:
        if self._logger.isEnabledFor(logging.ERROR):
            self._log(logging.ERROR, "error", message, args, fields)

    def exception(self, message: object, /, *args: object, **fields: object) -> None:
        """An error, with the exception that is being handled."""
        if self._logger.isEnabledFor(logging.ERROR):
            fields.setdefault("exc_info", True)
            self._log(logging.ERROR, "error", message, args, fields)

    def critical(self, message: object, /, *args: object, **fields: object) -> None:
        if self._logger.isEnabledFor(logging.CRITICAL):
            self._log(logging.CRITICAL, "critical", message, args, fields)

    def log(self, level: int, message: object, /, *args: object, **fields: object) -> None:
        """``level`` is one of :mod:`logging`'s numbers."""
        if self._logger.isEnabledFor(level):
            self._log(level, logging.getLevelName(level).lower(), message, args, fields)

    def is_enabled_for(self, level: int) -> bool:
        """For entries that are dear to compute."""
        return self._logger.isEnabledFor(level)

    def _log(
        self,
        levelno: int,
        level: str,
        message: object,
        args: tuple[object, ...],
        fields: dict[str, object],
    ) -> None:
        if self._context:
            fields = {**self._context, **fields}
        fields["event"] = _format(message, args) if args else message
        pipeline.log(self._logger, levelno, level, fields)


def _format(message: object, args: tuple[object, ...]) -> str:
    values = args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args
    try:
        return str(message) % values
    except Exception:
        return f"{message} {safe_repr(args)}"
