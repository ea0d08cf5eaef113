"""What one worker of a pod does for all: counts what waits, and deletes what is old."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from .. import logs
from ..database import DatabaseUnavailableError
from .backoff import jittered
from .outbox_board import OutboxBoard
from .outbox_metrics import outbox as metrics
from .store import Store

COUNT_SECONDS = 5.0
_COUNT_SHARE = 0.02
"""The part of the time that counting may take: a backlog of millions is counted less often."""
PURGE_SECONDS = 600.0
_PURGE_BATCH = 1000
_PURGE_PAUSE_SECONDS = 0.1

_log = logs.get_logger("chassis.outbox")


class Keeper:
    """The keeper of one worker; whose turn it is, the board says."""

    def __init__(
        self,
        store: Store,
        board: OutboxBoard,
        *,
        retention: timedelta,
        is_leaving: Callable[[], bool] = lambda: False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._board = board
        self._retention = retention
        self._is_leaving = is_leaving
        self._clock = clock
        self._count_every = COUNT_SECONDS

    async def run(self) -> None:
        """Do what is due until it is cancelled, or the worker leaves."""
        while not self._is_leaving():
            await self._quietly(self.count)
            await self._quietly(self.purge)
            await asyncio.sleep(jittered(COUNT_SECONDS / 2))

    async def count(self) -> None:
        """Count what waits, if it is this worker's turn, and show it."""
        if not self._board.take_duty("count", self._count_every):
            return
        began = time.monotonic()
        try:
            backlog = await self._store.backlog()
            oldest = backlog.oldest.timestamp() if backlog.oldest else None
            self._board.counted(waiting=backlog.waiting, parked=backlog.parked, oldest=oldest)
        finally:
            self._count_every = max(COUNT_SECONDS, (time.monotonic() - began) / _COUNT_SHARE)
            metrics().show(self._board.read(), self._board.clock())

    async def purge(self) -> None:
        """Delete published events that are too old, if it is this worker's turn."""
        if not self._board.take_duty("purge", PURGE_SECONDS):
            return
        before = self._clock() - self._retention
        while deleted := await self._store.purge(before, _PURGE_BATCH):
            metrics().purged(deleted)
            if deleted < _PURGE_BATCH:
                return
            # Small transactions with room in between: requests come first.
            await asyncio.sleep(_PURGE_PAUSE_SECONDS)

    async def _quietly(self, duty: Callable[[], Awaitable[None]]) -> None:
        try:
            await duty()
        except DatabaseUnavailableError:
            pass  # the database says so itself
        except Exception:
            _log.exception("outbox not kept")
