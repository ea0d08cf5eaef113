"""Time that never goes back, whatever its clock does."""

from collections.abc import Callable
from math import inf

Clock = Callable[[], float]
"""Returns seconds since any moment."""


class SteadyClock:
    """Seconds of a clock, with each step back taken for a moment in which no time passed.

    Waiting for the clock to catch up would stretch a pause of 30 s by the size of the step.
    Not safe under threads: two readings may not overtake each other.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = -inf
        self._lost = 0.0

    def __call__(self) -> float:
        reading = self._clock()
        if reading < self._last:
            self._lost += self._last - reading
        self._last = reading
        return reading + self._lost
