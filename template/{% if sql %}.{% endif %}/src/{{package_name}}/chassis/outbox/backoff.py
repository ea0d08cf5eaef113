"""How long to wait before the next attempt."""

import random
from collections.abc import Callable

FIRST_SECONDS = 0.1


class Backoff:
    """Doubles with every failure up to `longest` seconds, each time less a part at random.

    At random, so that all relays don't come back at the same moment.
    """

    def __init__(self, longest: float, *, chance: Callable[[], float] = random.random) -> None:
        self._longest = longest
        self._chance = chance
        self.failures = 0

    def succeeded(self) -> None:
        """Begin anew."""
        self.failures = 0

    def failed(self) -> float:
        """Note a failure; the seconds to wait after it."""
        ceiling = min(self._longest, FIRST_SECONDS * 2 ** min(self.failures, 30))
        self.failures += 1
        return jittered(ceiling, self._chance)


def jittered(seconds: float, chance: Callable[[], float] = random.random) -> float:
    """Between a half and all of these seconds."""
    return seconds * (1 - chance() / 2)
