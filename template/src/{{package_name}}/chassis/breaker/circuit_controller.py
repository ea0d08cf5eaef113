"""One circuit under a lock: who may go through, what came of it, and who hears of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from .. import logs
from .circuit_state import Circuit, CircuitState, Move
from .circuit_stats import CircuitCounts, CircuitStats
from .circuit_window import CircuitWindow
from .steady_clock import Clock, SteadyClock

_log = logs.get_logger("chassis.breaker")


@dataclass(frozen=True, slots=True)
class CircuitTransition:
    """The circuit `name` went from one state to another."""

    name: str
    before: CircuitState
    after: CircuitState


Listener = Callable[[CircuitTransition], None]

_NO_EPOCH = -1


class CircuitController:
    """Holds the lock around each change of the circuit and its numbers, and around nothing else.

    A call is an epoch (what `admit` returned) and the time it began (what `start` returned).
    """

    def __init__(
        self,
        name: str,
        window: CircuitWindow,
        *,
        recovery_timeout: float,
        trial_timeout: float,
        slow_after: float | None,
        clock: Clock,
    ) -> None:
        self.name = name
        self._counts = CircuitCounts()
        self._circuit = Circuit(window, recovery_timeout, trial_timeout)
        self._counts_successes = window.counts_successes
        self._slow_after = slow_after
        self._clock = SteadyClock(clock)
        self._allowed_trial = _NO_EPOCH
        self._listeners: list[Listener] = []
        # Re-entrant: the garbage collector may end a generator's `with` block anywhere.
        self._lock = threading.RLock()

    @property
    def state(self) -> CircuitState:
        """The state at this moment."""
        return self._circuit.state

    def stats(self) -> CircuitStats:
        """State and numbers of one and the same moment."""
        with self._lock:
            return self._counts.summary(self._circuit.state)

    def counts(self) -> CircuitCounts:
        """A copy of the numbers."""
        with self._lock:
            return self._counts.copy()

    def on_transition(self, listener: Listener) -> None:
        """Call `listener` after each transition."""
        self._listeners.append(listener)

    def admit(self, *, by_hand: bool = False) -> int | None:
        """The epoch that a call is let through in, or None when it is rejected."""
        epoch = self._circuit.free_epoch
        if epoch is not None:
            return epoch
        with self._lock:
            admitted, moved = self._circuit.admit(self._clock())
            self._count(moved)
            if admitted:
                epoch = self._circuit.epoch
                if by_hand:
                    self._allowed_trial = epoch
            else:
                self._counts.rejected += 1
        self._announce(moved)
        return epoch

    def start(self) -> float:
        """The time, if anybody asks how long a call takes."""
        if self._slow_after is None:
            return 0.0
        with self._lock:
            return self._clock()

    def present(self) -> int:
        """The epoch for a result that came without one."""
        with self._lock:
            circuit = self._circuit
            if circuit.free_epoch is not None or circuit.epoch == self._allowed_trial:
                return circuit.epoch
            return _NO_EPOCH

    def finish(self, epoch: int, began: float, *, failed: bool | None) -> None:
        """A call has ended. `failed` is None when that says nothing about the other side."""
        if failed is None:
            with self._lock:
                self._counts.cancelled += 1
                self._circuit.release(epoch)
        elif failed or self._counts_successes or epoch != self._circuit.free_epoch:
            self._judge(epoch, began, failed)
        else:
            with self._lock:
                self._counts.succeeded += 1

    def _judge(self, epoch: int, began: float, failed: bool) -> None:
        with self._lock:
            now = self._clock()
            slow = self._slow_after is not None and now - began > self._slow_after
            if failed:
                self._counts.failed += 1
            else:
                self._counts.succeeded += 1
                self._counts.slow += slow
            moved = self._circuit.record(epoch, now, failed=failed, slow=slow)
            self._count(moved)
        self._announce(moved)

    def move(self, state: CircuitState) -> None:
        """Change the state by hand."""
        with self._lock:
            moved = self._circuit.move(state, self._clock())
            self._count(moved)
        self._announce(moved)

    def retry_after(self) -> float:
        """Seconds until a call may go through again, as far as one can know."""
        with self._lock:
            return self._circuit.retry_after(self._clock())

    def count_fallback(self) -> None:
        """The fallback is asked."""
        with self._lock:
            self._counts.fallbacks += 1

    def _count(self, moved: Move | None) -> None:
        if moved is not None:
            self._counts.transitions[moved] += 1

    def _announce(self, moved: Move | None) -> None:
        """Log a transition and tell the listeners. Without the lock, which they may need."""
        if moved is None:
            return
        before, after = moved
        worse = after in (CircuitState.OPEN, CircuitState.FORCED_OPEN)
        say = _log.warning if worse else _log.info
        say("circuit changed", circuit=self.name, before=before.value, after=after.value)
        for listener in tuple(self._listeners):
            try:
                listener(CircuitTransition(self.name, before, after))
            except Exception:
                _log.exception("circuit listener failed", circuit=self.name)
