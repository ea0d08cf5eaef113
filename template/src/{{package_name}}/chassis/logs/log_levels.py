"""Log levels that are changed while the service runs, in all workers (SPEC C8)."""

from typing import Any

from ..shared import Memory, memory
from . import loggers


class LogLevels:
    """The levels that somebody set at runtime, shared by all workers."""

    def __init__(self, memory: Memory) -> None:
        self._cell = memory.cell()
        self._seen = 0

    def set(self, name: str, level: str | None) -> None:
        """Set a logger's level everywhere; None goes back to what it was.

        Raises ValueError for a level or a name that can't be, or when there are too many names.
        """
        loggers.set_level(name, level)

        def change(document: object) -> object:
            levels = dict(document) if isinstance(document, dict) else {}
            levels.pop(name, None)
            if level is not None:
                levels[name] = level
            return levels

        try:
            self._cell.update(change)
        finally:
            self._apply()  # as the others see it, which is without the change when it didn't fit

    def deliver(self) -> None:
        """Apply what changed since the last call. Workers call it on every tick."""
        if self._cell.version != self._seen:
            self._apply()

    def _apply(self) -> None:
        self._seen = self._cell.version
        document = self._cell.read()
        loggers.apply(document if isinstance(document, dict) else {})

    def all(self) -> dict[str, Any]:
        """Every known logger with its configured and its effective level."""
        return loggers.levels()

    def one(self, name: str) -> dict[str, Any] | None:
        """One logger's configured and effective level, or None when nobody uses that name."""
        return loggers.levels().get(name)


current = LogLevels(memory)
