"""What a circuit breaker counts of its calls, for as long as the process lives."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TypedDict

from .circuit_state import CircuitState, Move


class CircuitStats(TypedDict):
    """What `CircuitBreaker.stats()` returns. Ratios are between 0 and 1, and 0 without calls."""

    state: str
    total: int
    """All calls that were refused or have ended, those that were cancelled included."""
    succeeded: int
    failed: int
    rejected: int
    fallbacks: int
    """Those of the rejected calls that the fallback was asked to answer."""
    transitions: int
    success_ratio: float
    """Succeeded over succeeded and failed: how the other side does, whatever was refused here."""
    failure_ratio: float


@dataclass(slots=True)
class CircuitCounts:
    """Numbers that only rise; the breaker's lock protects them.

    A result that comes too late to matter to the circuit is counted here all the same: the call
    did happen.
    """

    succeeded: int = 0
    slow: int = 0
    """Those of the succeeded calls that took too long."""
    failed: int = 0
    rejected: int = 0
    cancelled: int = 0
    fallbacks: int = 0
    transitions: Counter[Move] = field(default_factory=Counter)

    def copy(self) -> "CircuitCounts":
        """The numbers as they are now."""
        return replace(self, transitions=self.transitions.copy())

    def summary(self, state: CircuitState) -> CircuitStats:
        """The numbers under the names that applications know."""
        ended = self.succeeded + self.failed
        return {
            "state": state.value,
            "total": ended + self.rejected + self.cancelled,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "rejected": self.rejected,
            "fallbacks": self.fallbacks,
            "transitions": self.transitions.total(),
            "success_ratio": self.succeeded / ended if ended else 0.0,
            "failure_ratio": self.failed / ended if ended else 0.0,
        }
