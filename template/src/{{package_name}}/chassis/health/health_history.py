"""How the service stood after each of the last runs of its checks."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from .health_status import HealthStatus


@dataclass(frozen=True, slots=True)
class HealthRun:
    """One run that asked something. `at` is when it began, in UTC.

    `status` and `failed` (names of checks) are by the latest answer of each check that was ever
    asked: a run that asked the critical ones only doesn't hide that another one fails.
    """

    at: datetime
    status: HealthStatus
    failed: tuple[str, ...]
    duration_ms: float


class HealthHistory:
    """The last `size` runs, oldest first. Raises ValueError for a size below 1."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("the history needs room for at least 1 run")
        self._runs: deque[HealthRun] = deque(maxlen=size)

    def add(self, run: HealthRun) -> None:
        """Keep a run; the oldest goes when there is no more room."""
        self._runs.append(run)

    def runs(self) -> list[HealthRun]:
        """The runs, oldest first."""
        return list(self._runs)

    @property
    def healthy_ratio(self) -> float:
        """The part of the runs, from 0 to 1, after which everything was healthy; 0 without any."""
        if not self._runs:
            return 0.0
        healthy = sum(run.status is HealthStatus.HEALTHY for run in self._runs)
        return healthy / len(self._runs)
