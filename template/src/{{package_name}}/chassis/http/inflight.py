"""The requests that this worker is serving, and the time by which each has to be done.

Without a bound on a request no drain arithmetic holds (SPEC A6, B5): whoever waits for requests to
finish has to know how long that can take. A request that is overdue has its task cancelled. A
stream or a WebSocket has no end to wait for and is bounded by the time between two messages.
"""

import asyncio
from collections.abc import Iterator
from math import inf
from typing import Protocol

from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter


class Bounded(Protocol):
    """What the ledger needs to know of a request."""

    deadline: float
    """Event-loop time by which it has to be done; streams move it on with every message."""

    def expire(self, *, in_thread: bool) -> None:
        """The deadline has passed and the task is about to be cancelled.

        `in_thread`: it waits for work in a thread, which nothing can cancel and which goes on.
        """


class InFlight:
    """A ledger with one timer, armed for the earliest deadline, however many requests there are."""

    def __init__(self) -> None:
        self._requests: dict[asyncio.Task[object], Bounded] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = inf
        self._bound = inf
        self._threads: CapacityLimiter | None = None

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Bounded]:
        return iter(self._requests.values())

    def __contains__(self, task: asyncio.Task[object]) -> bool:
        return task in self._requests

    def add(self, task: asyncio.Task[object], request: Bounded) -> None:
        """Enter a request; its task is cancelled when its deadline passes."""
        self._requests[task] = request
        if request.deadline < self._armed_for:
            self._threads = current_default_thread_limiter()
            self.hasten(self._due(request))

    def remove(self, task: asyncio.Task[object]) -> None:
        """Strike out a request that is done."""
        del self._requests[task]

    def clear(self) -> None:
        """Forget everything: a new event loop begins."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._armed_for, self._bound = None, inf, inf
        self._requests.clear()

    def _due(self, request: Bounded) -> float:
        return min(request.deadline, self._bound)

    def bound(self, deadline: float) -> None:
        """Let no request, streams included, last longer than this. For a worker that stops."""
        self._bound = deadline
        if self._requests:
            self.hasten(deadline)

    def hasten(self, deadline: float) -> None:
        """Make sure that the ledger looks again at this time at the latest."""
        if deadline < self._armed_for:
            if self._timer is not None:
                self._timer.cancel()
            self._arm(asyncio.get_running_loop(), deadline)

    def _arm(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self._armed_for = deadline
        self._timer = loop.call_at(deadline, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._timer, self._armed_for = None, inf
        earliest = inf
        at_work = self._threads.statistics().borrowers if self._threads else ()
        for task, request in self._requests.items():
            deadline = self._due(request)
            if deadline <= now:
                request.expire(in_thread=task in at_work)
                task.cancel()
                # A task may swallow its cancellation; it is asked again.
                deadline = now + 1.0
            earliest = min(earliest, deadline)
        if earliest < inf:
            self._arm(loop, earliest)
