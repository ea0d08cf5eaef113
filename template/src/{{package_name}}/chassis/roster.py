"""Who is at work: one row for each worker, in memory that all of them share.

The master gives a worker its slot before the fork and takes it back when the worker is gone. Slots
are small numbers that are used again, so that whatever is kept for each slot (metric files, for
one) stays bounded however often workers are recycled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from time import monotonic_ns

from .shared import Memory, memory

SLOTS = 2048
"""Twice the most workers that there may be: a reload starts the new ones beside the old."""
_COLUMNS = 8
_STATE, _PID, _AGE, _IN_FLIGHT, _SERVED, _LAG = range(6)


class WorkerState(IntEnum):
    """Where a worker stands. Only ACCEPTING and the two after it take new connections."""

    FREE = 0
    STARTING = 1
    ACCEPTING = 2
    HANDING_OVER = 3
    """It is being replaced and accepts until a sibling does."""
    DRAINING = 4
    """The whole service terminates; it accepts while the balancer learns of it."""
    LINGERING = 5
    """It has stopped accepting and serves the connections that it holds."""
    STOPPING = 6


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """What a worker last said of itself. `lag` is its event loop's delay in seconds."""

    slot: int
    state: WorkerState
    pid: int
    age: int
    in_flight: int
    served: int
    lag: float


class Roster:
    """The table of workers, and whether the service as a whole is terminating."""

    def __init__(self, memory: Memory, slots: int = SLOTS) -> None:
        self._slots = slots
        self._table = memory.words(slots * _COLUMNS)
        self._used = memory.words(1)
        self._terminating = memory.words(1)
        self._started = memory.words(1)

    def claim(self, age: int) -> int:
        """Give the lowest free slot to a worker that is about to be forked. For the master."""
        for slot in range(self._slots):
            if self._table[slot * _COLUMNS + _STATE] == WorkerState.FREE:
                self._used[0] = max(self._used[0], slot + 1)
                self._write(slot, (WorkerState.STARTING, 0, age, 0, 0, 0))
                return slot
        raise RuntimeError(f"all {self._slots} worker slots are taken")

    def release(self, slot: int) -> None:
        """Take a slot back from a worker that is gone. For the master."""
        self._write(slot, (WorkerState.FREE, 0, 0, 0, 0, 0))

    def report(
        self,
        slot: int,
        *,
        state: WorkerState | None = None,
        pid: int | None = None,
        in_flight: int | None = None,
        served: int | None = None,
        lag: float | None = None,
    ) -> None:
        """Say what changed in a worker's row. For the worker that holds the slot."""
        row = slot * _COLUMNS
        if state is not None:
            self._table[row + _STATE] = state
        if pid is not None:
            self._table[row + _PID] = pid
        if in_flight is not None:
            self._table[row + _IN_FLIGHT] = in_flight
        if served is not None:
            self._table[row + _SERVED] = served
        if lag is not None:
            self._table[row + _LAG] = int(lag * 1e6)

    def state_of(self, slot: int) -> WorkerState:
        """Where the worker in this slot stands."""
        return WorkerState(self._table[slot * _COLUMNS + _STATE])

    def workers(self) -> Iterator[WorkerRow]:
        """The rows in use."""
        for slot in range(self._used[0]):
            row = self._table[slot * _COLUMNS : (slot + 1) * _COLUMNS].tolist()
            if row[_STATE] != WorkerState.FREE:
                yield WorkerRow(
                    slot=slot,
                    state=WorkerState(row[_STATE]),
                    pid=row[_PID],
                    age=row[_AGE],
                    in_flight=row[_IN_FLIGHT],
                    served=row[_SERVED],
                    lag=row[_LAG] / 1e6,
                )

    def may_leave(self, slot: int) -> bool:
        """Whether a worker that is being replaced may stop accepting.

        Not while a replacement is still starting; and only if somebody who accepts stays longer
        than it. Of several that want to leave at once the youngest stays. A worker without
        siblings leaves: the master's listener queues new connections until its successor is up.
        """
        rows = {row.slot: row for row in self.workers()}
        me = rows.pop(slot)
        states = {row.state for row in rows.values()}
        if WorkerState.STARTING in states:
            return False
        if not rows or WorkerState.ACCEPTING in states:
            return True
        return any(
            row.state is WorkerState.HANDING_OVER and row.age > me.age for row in rows.values()
        )

    @property
    def terminating_since(self) -> float | None:
        """When the service was told to terminate (monotonic seconds), or None."""
        since = self._terminating[0]
        return since / 1e9 if since else None

    def terminate(self) -> None:
        """The whole service is to stop. Safe to call in a signal handler; the first call counts."""
        if not self._terminating[0]:
            self._terminating[0] = monotonic_ns()

    @property
    def started(self) -> bool:
        """Whether start-up was completed once; a worker's replacement doesn't undo it."""
        return bool(self._started[0])

    def start_complete(self) -> None:
        """Start-up is done."""
        self._started[0] = 1

    def _write(self, slot: int, values: tuple[int, ...]) -> None:
        # The state goes last when a row is filled, so that nobody reads a half-written one.
        row = slot * _COLUMNS
        for column in range(len(values) - 1, -1, -1):
            self._table[row + column] = values[column]


current = Roster(memory)
