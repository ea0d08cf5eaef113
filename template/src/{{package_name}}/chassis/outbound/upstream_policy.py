"""How far a service goes for one upstream: the bounds of its calls (SPEC D4)."""

from dataclasses import dataclass
from math import inf
from typing import Any, TypedDict


class UpstreamOptions(TypedDict, total=False):
    """What `Service.upstream` takes; what each means stands in `UpstreamPolicy`."""

    deadline: float
    attempt_timeout: float | None
    connect_timeout: float
    attempts: int
    max_connections: int
    pool_timeout: float
    max_response_bytes: int
    failure_threshold: int
    recovery_timeout: float
    window: float
    slow_call_duration: float | None
    slow_call_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamPolicy:
    """Each number bounds something; there is no way to say "for ever". Times are in seconds.

    Raises ValueError, in one sentence, for numbers that make no sense.
    """

    deadline: float = 5.0
    """For a whole call: waiting for a connection, all attempts and pauses, reading the reply."""
    attempt_timeout: float | None = None
    """For an attempt that another may follow; None: half the deadline. The last gets the rest."""
    connect_timeout: float = 1.0
    """For a connection to be made, TLS included."""
    attempts: int = 3
    """How often a call that may be repeated is made at most; 1: never again."""
    max_connections: int = 20
    """Connections of one worker, and so calls at a time."""
    pool_timeout: float = 1.0
    """For one of these to become free."""
    max_response_bytes: int = 10 * 2**20
    """Of a reply's body, decompressed."""
    failure_threshold: int = 5
    """This and what follows: see CircuitBreaker."""
    recovery_timeout: float = 30.0
    window: float = 60.0
    slow_call_duration: float | None = None
    slow_call_rate: float = 1.0

    def __post_init__(self) -> None:
        times = ("deadline", "attempt_timeout", "connect_timeout", "pool_timeout")
        wrong = [name for name in times if not _is_time(getattr(self, name), name)]
        problems = [f"{name} is {getattr(self, name)!r}, not seconds above 0" for name in wrong]
        for name in ("attempts", "max_connections", "max_response_bytes"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                problems.append(f"{name} is {value!r}, not a whole number from 1 on")
        if not wrong and self.attempt_timeout and self.attempt_timeout > self.deadline:
            problems.append(
                f"attempt_timeout is {self.attempt_timeout:g} s, longer than the deadline of "
                f"{self.deadline:g} s"
            )
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def first_attempts_timeout(self) -> float:
        """Seconds for an attempt that another may follow."""
        return self.attempt_timeout or self.deadline / 2

    @property
    def breaker_options(self) -> dict[str, float | None]:
        """What the circuit breaker is made with."""
        return {
            "failure_threshold": self.failure_threshold,
            "recovery_timeout": self.recovery_timeout,
            "window": self.window,
            "slow_call_duration": self.slow_call_duration,
            "slow_call_rate": self.slow_call_rate,
        }


def _is_time(value: Any, name: str) -> bool:
    if value is None:
        return name == "attempt_timeout"
    return type(value) in (int, float) and 0 < value < inf
