"""Health checks: what is asked of the service's dependencies, and what they answered.

Checks run in parallel, each with a timeout of its own. Whoever asks while a run is under way gets
that run's report, and a finished one stands for a moment: a storm of probes costs the dependencies
one check a worker and cache period (SPEC C6).
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Check = Callable[[], object | Awaitable[object]]
"""Returns truth when healthy. `async def` runs on the event loop, anything else in a thread; what
is awaitable is awaited."""


class HealthStatus(StrEnum):
    """The verdict over several checks."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Only checks that aren't critical fail: the service works, though not fully."""
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One answer. `error` says what was raised, or that it took too long."""

    status: Literal["ok", "fail", "error"]
    critical: bool
    description: str
    duration_ms: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The answers of one run."""

    status: HealthStatus
    checks: Mapping[str, CheckResult]
    duration_ms: float

    def only(self, names: Iterable[str]) -> "HealthReport":
        """The same report for some of the checks."""
        chosen = {name: self.checks[name] for name in names}
        return HealthReport(verdict(chosen), chosen, self.duration_ms)


def verdict(checks: Mapping[str, CheckResult]) -> HealthStatus:
    """What a set of answers means together."""
    failed = [check for check in checks.values() if check.status != "ok"]
    if any(check.critical for check in failed):
        return HealthStatus.UNHEALTHY
    return HealthStatus.DEGRADED if failed else HealthStatus.HEALTHY


@dataclass(slots=True)
class _Registered:
    check: Check
    description: str
    critical: bool
    timeout: float | None
    running: asyncio.Future[object] | None = None


class HealthRegistry:
    """The checks of this service and the groups that it shows them in.

    `timeout` bounds a check that names none of its own, `cache` is how long a report stands; both
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
        self._checks: dict[str, _Registered] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._run: asyncio.Task[HealthReport] | None = None
        self._run_began = 0.0

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
        self._checks[name] = _Registered(check, description, critical, timeout)

    def group(self, name: str, *checks: str) -> None:
        """Show some checks under `/health/<name>`. Raises ValueError for a name that is taken."""
        if name in self._groups or name in {"live", "ready", "startup"}:
            raise ValueError(f"a health group named {name!r} exists already")
        self._groups[name] = checks

    def slowest_critical(self) -> float:
        """The longest timeout of a critical check in seconds; readiness may take that long."""
        return max(
            (self._timeout_of(check) for check in self._checks.values() if check.critical),
            default=0.0,
        )

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the checks in each group."""
        return self._groups

    async def check(self) -> HealthReport:
        """The answers of the run under way, of one that still stands, or else of a new one."""
        if not self._checks:
            return HealthReport(HealthStatus.HEALTHY, {}, 0.0)
        now = self._clock()
        expired = now - self._run_began >= self.cache
        if self._run is None or (self._run.done() and expired) or self._is_of_another_loop():
            self._run_began = now
            self._run = asyncio.create_task(self._ask_all(), name="health checks")
        # The run belongs to all who wait for it: one of them giving up must not cancel it.
        return await asyncio.shield(self._run)

    def _is_of_another_loop(self) -> bool:
        return self._run is not None and self._run.get_loop() is not asyncio.get_running_loop()

    async def _ask_all(self) -> HealthReport:
        began = self._clock()
        results = await asyncio.gather(*(self._ask(check) for check in self._checks.values()))
        checks = dict(zip(self._checks, results, strict=True))
        return HealthReport(verdict(checks), checks, self._since(began))

    async def _ask(self, registered: _Registered) -> CheckResult:
        began = self._clock()
        status: Literal["ok", "fail", "error"] = "error"
        error: str | None = None
        try:
            status = "ok" if await self._answer(registered) else "fail"
        except TimeoutError:
            error = f"no answer within {self._timeout_of(registered):g} s"
        except Exception as exc:
            error = f"{type(exc).__name__}: {exc}"
        return CheckResult(
            status, registered.critical, registered.description, self._since(began), error
        )

    async def _answer(self, registered: _Registered) -> object:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._timeout_of(registered)
        # One that hangs (in a thread, or by ignoring its cancellation) is waited for again rather
        # than started again: otherwise each probe would leave one more behind.
        running = registered.running
        if running is None or running.done():
            running = _start(registered.check)
        while True:
            registered.running = running
            done, _ = await asyncio.wait({running}, timeout=end - loop.time())
            if not done and isinstance(running, asyncio.Task):
                running.cancel()
            if not done or running.cancelled():
                raise TimeoutError
            answer = running.result()
            if not inspect.isawaitable(answer):
                return answer
            # Such as `lambda: client.ping()`, which doesn't look async until it is called.
            running = asyncio.ensure_future(answer)

    def _timeout_of(self, registered: _Registered) -> float:
        return self.timeout if registered.timeout is None else registered.timeout

    def _since(self, began: float) -> float:
        return round((self._clock() - began) * 1000, 3)


def _start(check: Check) -> asyncio.Future[object]:
    if inspect.iscoroutinefunction(check):
        return asyncio.create_task(check())
    return asyncio.get_running_loop().run_in_executor(None, check)
