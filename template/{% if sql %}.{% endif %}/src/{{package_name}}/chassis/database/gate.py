"""Who may use a connection, in which order, and who is told at once that it would take too long.

A queue without a limit turns an overload into an outage: everybody waits, and nobody is served
before the caller has given up. Here the wait is bounded, and whoever would wait too long by the
pace of the queue is refused at once rather than after the wait (SPEC A9).
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal, Protocol

from .database_errors import PoolTimeoutError
from .pace import Pace

_MARGIN = 1 / 3
"""The part of the patience that an expected wait may take: those who are let in should make it,

even if it goes three times as slowly from now on. A longer queue wouldn't have more of them served.
"""

Reason = Literal["timeout", "queue"]


class Watcher(Protocol):
    """Who is told what happens at a gate."""

    def changed(self, gate: "Gate") -> None:
        """Places were taken or left, or somebody came to wait or gave up."""

    def refused(self, reason: Reason) -> None:
        """Somebody has waited in vain, or was refused at once."""

    def waited(self, seconds: float) -> None:
        """Somebody has got a place after a wait."""


class _Nobody:
    def changed(self, gate: "Gate") -> None: ...
    def refused(self, reason: Reason) -> None: ...
    def waited(self, seconds: float) -> None: ...


class Gate:
    """So many places, first come first served; nobody waits longer than `patience` seconds."""

    def __init__(
        self,
        size: int,
        patience: float,
        *,
        watcher: Watcher | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.size = size
        self.patience = patience
        self._watcher = watcher or _Nobody()
        self._clock = clock
        self._free = size
        self._queue: deque[asyncio.Future[None]] = deque()
        self._pace = Pace(size)

    @property
    def in_use(self) -> int:
        """How many places are taken."""
        return self.size - self._free

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._queue)

    @asynccontextmanager
    async def place(self, *, first_within: float | None = None) -> AsyncIterator[None]:
        """Hold a place. PoolTimeoutError when there is none in time.

        With `first_within` one goes ahead of all who wait, and waits so many seconds at most.
        """
        if self._free:
            self._free -= 1
            self._watcher.changed(self)
        else:
            await self._wait(first_within)
        try:
            yield
        finally:
            self._leave()

    async def _wait(self, first_within: float | None) -> None:
        began = self._clock()
        if not self._queue:
            self._pace.begin(began)
        turn = asyncio.get_running_loop().create_future()
        if first_within is None:
            self._refuse_if_hopeless(began)
            self._queue.append(turn)
        else:
            self._queue.appendleft(turn)
        patience = self.patience if first_within is None else first_within
        self._watcher.changed(self)
        try:
            async with asyncio.timeout(patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave()  # it was given the place in the very moment in which it gave up
            else:
                with suppress(ValueError):  # one that was cancelled is skipped when its turn comes
                    self._queue.remove(turn)
                self._watcher.changed(self)
            if isinstance(error, TimeoutError):
                self._watcher.refused("timeout")
                raise PoolTimeoutError(f"no connection was free within {patience:g} s") from None
            raise
        self._watcher.waited(self._clock() - began)

    def turns_away(self) -> bool:
        """Whether whoever comes now would wait in vain; if so it is counted as refused."""
        if not self._queue or self._hopeless_wait(self._clock()) is None:
            return False
        self._watcher.refused("queue")
        return True

    def _refuse_if_hopeless(self, now: float) -> None:
        wait = self._hopeless_wait(now)
        if wait is not None:
            self._watcher.refused("queue")
            raise PoolTimeoutError(
                f"{len(self._queue)} wait for a connection already, which takes about {wait:.1f} s"
            )

    def _hopeless_wait(self, now: float) -> float | None:
        """How long one who comes now would wait, if that is too long."""
        wait = self._pace.wait(now, len(self._queue))
        return wait if wait > self.patience * _MARGIN else None

    def _leave(self) -> None:
        # A place is handed on, so that nobody who comes in between takes it.
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                self._pace.move(self._clock())
                break
        else:
            self._free += 1
        self._watcher.changed(self)
