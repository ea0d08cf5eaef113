"""What several checks mean together."""

from collections.abc import Iterable
from enum import StrEnum

from .health_check import CheckResult


class HealthStatus(StrEnum):
    """The verdict over several checks."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Only checks that aren't critical fail: the service works, though not fully."""
    UNHEALTHY = "unhealthy"


def verdict(results: Iterable[CheckResult]) -> HealthStatus:
    """What a set of answers means together."""
    failed = [result for result in results if result.status != "ok"]
    if any(result.critical for result in failed):
        return HealthStatus.UNHEALTHY
    return HealthStatus.DEGRADED if failed else HealthStatus.HEALTHY
