"""Health checks: what is asked of the service's dependencies, and what it means together."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .health_check import Check, CheckResult, HealthCheck


class HealthStatus(StrEnum):
    """The verdict over several checks."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Only checks that aren't critical fail: the service works, though not fully."""
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The answers of some checks, asked in parallel, and what they mean together."""

    status: HealthStatus
    checks: Mapping[str, CheckResult]
    duration_ms: float


def verdict(results: Iterable[CheckResult]) -> HealthStatus:
    """What a set of answers means together."""
    failed = [result for result in results if result.status != "ok"]
    if any(result.critical for result in failed):
        return HealthStatus.UNHEALTHY
    return HealthStatus.DEGRADED if failed else HealthStatus.HEALTHY


class HealthRegistry:
    """The checks of this service and the groups that it shows them in.

    `timeout` bounds a check that names none of its own, `cache` is how long an answer stands; both
    in seconds.
    """

    def __init__(
        self,
        timeout: float = 5.0,
        *,
        cache: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout = timeout
        self.cache = cache
        self._clock = clock
        self._checks: dict[str, HealthCheck] = {}
        self._timeouts: dict[str, float] = {}
        self._groups: dict[str, tuple[str, ...]] = {}

    def register(
        self,
        name: str,
        check: Check,
        description: str = "",
        critical: bool = True,
        *,
        timeout: float | None = None,
    ) -> None:
        """Add a check. A critical one that fails makes the pod not ready.

        An outside service that the team doesn't run is no check at all: when it fails, restarting
        or unplugging this service helps nobody. Raises ValueError for a name that is taken.
        """
        if name in self._checks:
            raise ValueError(f"a health check named {name!r} is registered already")
        self._checks[name] = HealthCheck(
            check, description=description, critical=critical, clock=self._clock
        )
        if timeout is not None:
            self._timeouts[name] = timeout

    def group(self, name: str, *checks: str) -> None:
        """Show some checks under `/health/<name>`.

        Raises ValueError for a name that is taken, and for a check that isn't registered yet.
        """
        if name in self._groups or name in {"live", "ready", "startup"}:
            raise ValueError(f"a health group named {name!r} exists already")
        for check in checks:
            if check not in self._checks:
                raise ValueError(f"there is no health check named {check!r} for group {name!r}")
        self._groups[name] = checks

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the checks in each group."""
        return self._groups

    @property
    def critical(self) -> list[str]:
        """The names of the critical checks."""
        return [name for name, check in self._checks.items() if check.critical]

    async def check(self, names: Iterable[str] | None = None) -> HealthReport:
        """Ask these checks, or all. Each is asked once however many want to know."""
        began = self._clock()
        asked = list(self._checks if names is None else names)
        results = await asyncio.gather(*map(self._ask, asked))
        duration = round((self._clock() - began) * 1000, 3)
        return HealthReport(verdict(results), dict(zip(asked, results, strict=True)), duration)

    async def _ask(self, name: str) -> CheckResult:
        return await self._checks[name].result(timeout=self.timeout_of(name), cache=self.cache)

    def timeout_of(self, name: str) -> float:
        """How long a check may take, in seconds."""
        return self._timeouts.get(name, self.timeout)
