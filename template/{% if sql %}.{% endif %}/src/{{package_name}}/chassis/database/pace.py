"""How quickly a queue moves, measured for as long as somebody stands in it."""

_SMOOTHING = 0.1
"""The weight of the newest step in the average."""
_STEPS = 8
"""How many steps it takes until the average says something."""


class Pace:
    """The time that one step takes on average, and what follows for those further back.

    All times are seconds of one clock, whichever. `places` that were taken together are often left
    together: a queue may well stand still for a whole turn of them. It starts anew with every
    queue: what was slow before, such as the first connections, isn't held against those who come.
    """

    def __init__(self, places: int = 1) -> None:
        self._places = places
        self._moved_at = 0.0
        self._step = 0.0
        self._steps = 0

    def begin(self, now: float) -> None:
        """Somebody has to wait, and nobody had to before."""
        self._moved_at, self._step, self._steps = now, 0.0, 0

    def move(self, now: float) -> None:
        """The first in the queue has got what it waited for."""
        self._steps += 1
        weight = max(_SMOOTHING, 1 / self._steps)
        self._step += (now - self._moved_at - self._step) * weight
        self._moved_at = now

    def wait(self, now: float, ahead: int) -> float:
        """How long somebody with so many ahead will wait; 0 when that can't be told yet."""
        if self._steps < _STEPS:
            return 0.0
        # A queue that has come to a halt shows it by what the next step takes already. It counts
        # once: a lock that was held for a moment doesn't make all later steps slow.
        halt = max(0.0, now - self._moved_at - self._step * self._places)
        return self._step * (ahead + 1) + halt
