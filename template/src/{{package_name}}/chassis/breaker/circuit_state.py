"""The states of a circuit and what leads from one to another. No clock, no lock, no calls here.

The names are Fowler's and resilience4j's (https://martinfowler.com/bliki/CircuitBreaker.html,
https://resilience4j.readme.io/docs/circuitbreaker). Every call that is let through carries the
epoch in which it began. The epoch moves on with every transition, every reset and every trial, so
that comparing two numbers tells whether a result still says anything about the present.
"""

from enum import StrEnum

from .circuit_window import CircuitWindow


class CircuitState(StrEnum):
    """What a circuit does with calls. The order is from best to worst."""

    CLOSED = "closed"
    """Calls go through, failures are counted."""
    DISABLED = "disabled"
    """Somebody switched the breaker off: calls go through, nothing opens it."""
    HALF_OPEN = "half_open"
    """One call at a time goes through as a trial; its result decides."""
    OPEN = "open"
    """Calls are refused until the recovery timeout is over."""
    FORCED_OPEN = "forced_open"
    """Somebody switched it open: calls are refused, and no time changes that."""


Move = tuple[CircuitState, CircuitState]
"""The state before and the state after."""

_BY_HAND = frozenset({CircuitState.CLOSED, CircuitState.FORCED_OPEN, CircuitState.DISABLED})

TRANSITIONS: dict[CircuitState, frozenset[CircuitState]] = {
    # too much went wrong
    CircuitState.CLOSED: _BY_HAND | {CircuitState.OPEN},
    # the recovery timeout is over and a call came
    CircuitState.OPEN: _BY_HAND | {CircuitState.HALF_OPEN},
    # the trial failed; or it went well, which closes like a reset
    CircuitState.HALF_OPEN: _BY_HAND | {CircuitState.OPEN},
    CircuitState.FORCED_OPEN: _BY_HAND,
    CircuitState.DISABLED: _BY_HAND,
}
"""Every legal transition, and what leads to those that nobody makes by hand.

By hand (reset, forced open, disabled) any state can be left, or entered anew: a reset of a closed
circuit forgets what was measured.
"""


class IllegalTransitionError(RuntimeError):
    """A transition that isn't in the table: a mistake in this package."""


class Circuit:
    """Where a circuit stands. All times are seconds of one clock that never goes back.

    A trial that has given no result after `trial_timeout` is taken for lost (a thread that hangs, a
    caller that forgot to say how it ended): another one may try, and its result comes too late.
    """

    def __init__(
        self, window: CircuitWindow, recovery_timeout: float, trial_timeout: float
    ) -> None:
        if recovery_timeout < 0:
            raise ValueError(f"recovery_timeout is {recovery_timeout} s, it can't be negative")
        self._window = window
        self._recovery_timeout = recovery_timeout
        self._trial_timeout = trial_timeout
        self._entered_at = 0.0
        self._trial_began: float | None = None
        self.state = CircuitState.CLOSED
        self.epoch = 0
        self.free_epoch: int | None = 0
        """The epoch when any call may go through, None when `admit` has to be asked.

        One attribute, because whoever reads it holds no lock.
        """

    def admit(self, now: float) -> tuple[bool, Move | None]:
        """Whether a call may go through; if so, it carries `epoch`."""
        if self.free_epoch is not None:
            return True, None
        moved = None
        if self.state is CircuitState.OPEN and now >= self._entered_at + self._recovery_timeout:
            moved = self.move(CircuitState.HALF_OPEN, now)
        if self.state is not CircuitState.HALF_OPEN or self._trial_runs(now):
            return False, moved
        self._trial_began = now
        self.epoch += 1
        return True, moved

    def record(self, epoch: int, now: float, *, failed: bool, slow: bool) -> Move | None:
        """The result of a call that began in `epoch`; one from another epoch changes nothing."""
        if epoch != self.epoch:
            return None
        if self.state is CircuitState.HALF_OPEN:
            bad = failed or slow
            return self.move(CircuitState.OPEN if bad else CircuitState.CLOSED, now)
        if self.state is CircuitState.CLOSED and self._window.record(now, failed=failed, slow=slow):
            return self.move(CircuitState.OPEN, now)
        return None

    def release(self, epoch: int) -> None:
        """A call from `epoch` ended without a result: if it was the trial, another may try."""
        if epoch == self.epoch:
            self._trial_began = None

    def move(self, state: CircuitState, now: float) -> Move | None:
        """Change to `state` with nothing measured and no call expected; None when it was that.

        Raises IllegalTransitionError when no row of the table allows it.
        """
        before = self.state
        if state not in TRANSITIONS[before]:
            raise IllegalTransitionError(f"{before} -> {state}")
        self._window.clear()
        self._entered_at = now
        self._trial_began = None
        self.state = state
        self.epoch += 1
        free = state in (CircuitState.CLOSED, CircuitState.DISABLED)
        self.free_epoch = self.epoch if free else None
        return None if state is before else (before, state)

    def retry_after(self, now: float) -> float:
        """Seconds until a call may go through again, as far as one can know.

        Until the recovery timeout is over; while a trial runs, until it would be over if the trial
        had failed as it began; forced open, a whole recovery timeout.
        """
        if self.free_epoch is not None:
            return 0.0
        if self.state is CircuitState.FORCED_OPEN:
            return self._recovery_timeout
        since = self._entered_at if self._trial_began is None else self._trial_began
        return max(0.0, since + self._recovery_timeout - now)

    def _trial_runs(self, now: float) -> bool:
        return self._trial_began is not None and now < self._trial_began + self._trial_timeout
