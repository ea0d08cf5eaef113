"""What a circuit breaker measures: the calls of the last so many seconds."""

from collections import deque

MAX_CALLS = 1000
"""How many calls are kept for the slow-call rate; of more, the latest count."""


class CircuitWindow:
    """Failures, and where it matters all calls, inside a sliding window of `seconds`.

    Failures are counted, not their rate, so a success erases nothing. `minimum_calls` is how many
    calls have to be in the window before anything counts as too much. `slow_rate` (None: speed
    doesn't matter) is the part of the calls that may be slow before it is too much; it is looked
    at from `failure_threshold` calls on, so that a single slow one proves nothing.

    Memory is bounded: of failures only the last `failure_threshold` matter. Times are in seconds
    and never decrease. Raises ValueError for limits that make no sense.
    """

    def __init__(
        self,
        failure_threshold: int,
        seconds: float,
        minimum_calls: int = 0,
        slow_rate: float | None = None,
    ) -> None:
        if failure_threshold < 1:
            raise ValueError(f"failure_threshold is {failure_threshold}, it has to be at least 1")
        if seconds <= 0:
            raise ValueError(f"window is {seconds} s, it has to be more than 0")
        if not 0 <= minimum_calls <= MAX_CALLS:
            raise ValueError(f"minimum_calls is {minimum_calls}, it has to be 0 to {MAX_CALLS}")
        if slow_rate is not None and not 0 < slow_rate <= 1:
            raise ValueError(f"slow_call_rate is {slow_rate}, it has to be more than 0, at most 1")
        self._seconds = seconds
        self._minimum_calls = minimum_calls
        self._minimum_for_rate = max(minimum_calls, min(failure_threshold, MAX_CALLS))
        self._slow_rate = slow_rate
        self._failures: deque[float] = deque(maxlen=failure_threshold)
        self._calls: deque[tuple[float, bool]] = deque()
        self._slow = 0
        self.counts_successes = minimum_calls > 0 or slow_rate is not None
        """Whether it has to be told of calls that went well."""

    def record(self, now: float, *, failed: bool, slow: bool) -> bool:
        """Enter a call that has ended; True when there is now too much of what is bad.

        A call that is neither failed nor slow never makes it too much.
        """
        if self.counts_successes:
            self._enter(now, slow)
        if failed:
            self._failures.append(now)
        if not (failed or slow) or len(self._calls) < self._minimum_calls:
            return False
        return self._too_many_failures(now) or self._too_slow()

    def clear(self) -> None:
        """Forget everything."""
        self._failures.clear()
        self._calls.clear()
        self._slow = 0

    def _enter(self, now: float, slow: bool) -> None:
        while self._calls and (
            len(self._calls) == MAX_CALLS or now >= self._calls[0][0] + self._seconds
        ):
            self._slow -= self._calls.popleft()[1]
        self._calls.append((now, slow))
        self._slow += slow

    def _too_many_failures(self, now: float) -> bool:
        failures = self._failures
        return len(failures) == failures.maxlen and now < failures[0] + self._seconds

    def _too_slow(self) -> bool:
        calls = len(self._calls)
        return (
            self._slow_rate is not None
            and calls >= self._minimum_for_rate
            and self._slow >= self._slow_rate * calls
        )
