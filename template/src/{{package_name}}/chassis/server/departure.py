"""How a worker leaves: the order of its last steps, as a state machine without clock or sockets.

A worker leaves for one of two reasons, and the difference is what makes zero loss possible
(SPEC B1, B3):

- the whole service terminates: it goes on accepting for the drain time, so that balancers see the
  readiness probe fail and stop sending before the listener closes;
- it alone is replaced (reload, `MAX_REQUESTS`, fewer workers): siblings accept, readiness must not
  flip, so it stops accepting as soon as one of them does, and goes on while none can.

Either way it then lingers: connections that it has already accepted may carry a request that is
under way, so they are served a little longer before the server shuts down.
"""

from dataclasses import dataclass

from ..roster import WorkerState

_LEGAL = {
    WorkerState.ACCEPTING: {
        WorkerState.HANDING_OVER,
        WorkerState.DRAINING,
        WorkerState.STOPPING,
    },
    WorkerState.HANDING_OVER: {
        WorkerState.LINGERING,
        WorkerState.DRAINING,
        WorkerState.STOPPING,
    },
    WorkerState.DRAINING: {WorkerState.LINGERING, WorkerState.STOPPING},
    WorkerState.LINGERING: {WorkerState.STOPPING},
    WorkerState.STOPPING: set[WorkerState](),
}
"""Every transition that there is."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a worker knows at one moment. Times are monotonic seconds."""

    now: float
    terminating_since: float | None
    """When the whole service was told to terminate."""
    replaced: bool
    """This worker was told to go, or has served its share of requests."""
    at_once: bool
    """A second signal: don't wait for anything."""
    may_leave: bool
    """A sibling accepts connections."""
    connections: int
    """How many connections this worker holds."""


class Departure:
    """The state of one worker from the moment it accepts."""

    def __init__(self, *, drain: float, linger: float) -> None:
        self._drain = drain
        self._linger = linger
        self._since = 0.0
        self.state = WorkerState.ACCEPTING

    @property
    def leaving(self) -> bool:
        """Whether replies should say `Connection: close`."""
        return self.state is not WorkerState.ACCEPTING

    def step(self, seen: Situation) -> WorkerState:
        """Take one step if the situation allows it, and say where that leads.

        One at a time: each state has something to do, closing the listener for one.
        """
        successor = self._successor(seen)
        if successor is not None:
            if successor not in _LEGAL[self.state]:
                raise RuntimeError(f"a worker can't go from {self.state.name} to {successor.name}")
            self.state, self._since = successor, seen.now
        return self.state

    def _successor(self, seen: Situation) -> WorkerState | None:
        waited = seen.now - self._since
        match self.state:
            case WorkerState.STOPPING:
                return None
            case _ if seen.at_once:
                return WorkerState.STOPPING
            case WorkerState.ACCEPTING | WorkerState.HANDING_OVER if seen.terminating_since:
                return WorkerState.DRAINING
            case WorkerState.ACCEPTING if seen.replaced:
                return WorkerState.HANDING_OVER
            case WorkerState.HANDING_OVER if seen.may_leave:
                return WorkerState.LINGERING
            case WorkerState.DRAINING if self._drained(seen):
                return WorkerState.LINGERING
            case WorkerState.LINGERING if not seen.connections or waited >= self._linger:
                return WorkerState.STOPPING
        return None

    def _drained(self, seen: Situation) -> bool:
        # Counted from the signal, not from this worker's first look at it: all workers stop
        # accepting together, and the grace period runs from the signal too.
        since = seen.terminating_since
        return since is not None and seen.now - since >= self._drain
