"""Resources that live as long as a worker: pools, clients, sessions.

Each is an async context manager. They open in the order in which they were registered and close in
the reverse order, each even if another fails or hangs, together within the closing time (SPEC B1).
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from . import logs

_log = logs.get_logger("chassis.resources")

Opener = Callable[[], AbstractAsyncContextManager[Any]]


class Resources:
    """The open resources of one worker."""

    def __init__(self) -> None:
        self._open: list[tuple[str, AbstractAsyncContextManager[Any]]] = []

    async def open(self, name: str, opener: Opener) -> Any:
        """Open one and return what its context manager yields. What it raises passes through."""
        manager = opener()
        value = await manager.__aenter__()
        self._open.append((name, manager))
        return value

    async def close(self, seconds: float) -> None:
        """Close them all within so many seconds, sharing what is left among those to come."""
        end = time.monotonic() + seconds
        while self._open:
            share = max(0.0, end - time.monotonic()) / len(self._open)
            name, manager = self._open.pop()
            try:
                async with asyncio.timeout(share):
                    await manager.__aexit__(None, None, None)
            except TimeoutError:
                _log.error("resource not closed in time", resource=name, seconds=round(share, 3))
            except (Exception, asyncio.CancelledError):
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise  # it is this task that was cancelled, not something of the resource's
                _log.exception("resource failed to close", resource=name)
