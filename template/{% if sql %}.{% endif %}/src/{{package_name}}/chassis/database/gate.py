"""Who may use a connection, in which order, and who is told at once that it would take too long.

A queue without a limit turns an overload into an outage: everybody waits, nobody is served before
the caller has given up. Here the wait is bounded, and whoever would wait too long by how long
connections are lately held is refused at once rather than after the wait (SPEC A9).
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from .database_errors import PoolTimeoutError

_SMOOTHING = 0.1
"""The weight of the newest hold in the average."""
_MARGIN = 2 / 3
"""The part of the patience that an expected wait may take: those who are let in should make it."""


class Gate:
    """So many places, first come first served."""

    def __init__(
        self,
        size: int,
        patience: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[["Gate"], None] = lambda _: None,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.size = size
        self.patience = patience
        self._clock = clock
        self._changed = changed
        self._refused = refused
        self._free = size
        self._queue: deque[asyncio.Future[None]] = deque()
        self._hold = 0.0

    @property
    def in_use(self) -> int:
        """How many places are taken."""
        return self.size - self._free

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._queue)

    @property
    def expected_wait(self) -> float:
        """How long a newcomer would wait, in seconds."""
        return self._hold * (len(self._queue) + 1) / self.size if not self._free else 0.0

    @asynccontextmanager
    async def place(self, *, first: bool = False) -> AsyncIterator[None]:
        """Hold a place; `first` goes ahead of all who wait. PoolTimeoutError when none is free."""
        if self._free:
            self._free -= 1
            self._changed(self)
        else:
            await self._wait(first)
        began = self._clock()
        try:
            yield
        finally:
            self._hold += (self._clock() - began - self._hold) * _SMOOTHING
            self._leave()

    async def _wait(self, first: bool) -> None:
        if not first and self.expected_wait > self.patience * _MARGIN:
            self._refused("queue")
            raise PoolTimeoutError(
                f"{self.waiting} wait for a connection already, about {self.expected_wait:.1f} s"
            )
        turn = asyncio.get_running_loop().create_future()
        (self._queue.appendleft if first else self._queue.append)(turn)
        self._changed(self)
        try:
            async with asyncio.timeout(self.patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave()  # it was given the place in the very moment in which it gave up
            else:
                self._queue.remove(turn)
                self._changed(self)
            if isinstance(error, TimeoutError):
                self._refused("timeout")
                raise PoolTimeoutError(
                    f"no connection became free within {self.patience:g} s"
                ) from None
            raise

    def _leave(self) -> None:
        # A place is handed on, so that nobody who comes in between takes it.
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                break
        else:
            self._free += 1
        self._changed(self)
