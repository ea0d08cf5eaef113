"""Health checks: what is asked of the service's dependencies, and what it means together.

The members are those of GLOSSARY section 1. Probes use :meth:`HealthRegistry.ask`, which leaves out
what only a person wants to see.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import logs
from . import default_checks
from .health_check import Check, CheckResult, HealthCheck, utc_now
from .health_history import HealthHistory, HealthRun
from .health_status import HealthStatus, verdict
from .system_info import SystemInfo, SystemReader

__all__ = ["CheckResult", "HealthRegistry", "HealthReport", "HealthRun", "HealthStatus", "verdict"]

_log = logs.get_logger("chassis.health")


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The answers of some checks, asked in parallel, and what they mean together.

    `uptime_s` counts from when the registry was made.
    """

    status: HealthStatus
    checks: Mapping[str, CheckResult]
    system: SystemInfo
    duration_ms: float
    uptime_s: float


Observer = Callable[[Mapping[str, CheckResult]], object]
"""Told of the answers that a run brought, by name."""


class HealthRegistry:
    """The checks of this service and the groups that it shows them in.

    `timeout` bounds a check that names none of its own, `cache` is how long an answer stands; both
    in seconds. The last `history_size` runs are kept. `alive` and `accepting` say what else has a
    say in `live()` and `ready()`: the service hands in its availability states.
    """

    def __init__(
        self,
        timeout: float = 5.0,
        history_size: int = 100,
        *,
        cache: float = 1.0,
        alive: Callable[[], bool] = lambda: True,
        accepting: Callable[[], bool] = lambda: True,
        system: SystemReader | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.timeout = timeout
        self.cache = cache
        self._alive = alive
        self._accepting = accepting
        self._system = system or SystemReader()
        self._clock = clock
        self._now = now
        self._began = clock()
        self._checks: dict[str, HealthCheck] = {}
        self._timeouts: dict[str, float] = {}
        self._probed: list[str] = []
        self._groups: dict[str, tuple[str, ...]] = {}
        self._history = HealthHistory(history_size)
        self._observers: list[Observer] = []
        self._runs: set[asyncio.Task[None]] = set()

    # Saying what there is.

    def register(
        self,
        name: str,
        check: Check,
        description: str = "",
        critical: bool = True,
        *,
        timeout: float | None = None,
        probed: bool = False,
    ) -> None:
        """Add a check. A critical one that fails makes the pod not ready.

        The readiness probe asks the critical ones, and those that are `probed`: these can only
        degrade the pod, but whoever looks at the probe sees them.

        An outside service that the team doesn't run is no check at all: when it fails, restarting
        or unplugging this service helps nobody. Raises ValueError for a name that is taken.
        """
        if name in self._checks:
            raise ValueError(f"a health check named {name!r} is registered already")
        self._checks[name] = HealthCheck(
            name,
            check,
            description=description,
            critical=critical,
            clock=self._clock,
            now=self._now,
        )
        if timeout is not None:
            self._timeouts[name] = timeout
        if critical or probed:
            self._probed.append(name)

    def register_defaults(self, model: Any = None) -> None:
        """Add the checks `memory` and `disk`, and `model` if there is one.

        Memory (the container's, if it has a limit) and disk (of the working directory) fail from
        90 % on. They aren't critical: a pod that is unplugged for a full disk has it still.

        The model's is critical. `model` is an object, which is there, or a callable without
        arguments, `async` or not, that returns it: None and an exception are failures. An object
        that can be called is the model itself; what is told apart how, `models.warm_up.is_loader`
        says. Raises ValueError for a name that is taken.
        """
        limit = f"at most {default_checks.LIMIT:.0%} used"
        self.register("memory", default_checks.memory(), f"Memory, {limit}", critical=False)
        self.register("disk", default_checks.disk(), f"Disk, {limit}", critical=False)
        if model is not None:
            self.register("model", default_checks.model(model), "The model is loaded")

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

    def observe(self, observer: Observer) -> None:
        """Call `observer` after each run with what it brought. On the event loop: be quick."""
        self._observers.append(observer)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the checks in each group."""
        return self._groups

    @property
    def names(self) -> list[str]:
        """The names of all checks, in the order of their registration."""
        return list(self._checks)

    @property
    def critical(self) -> list[str]:
        """The names of the critical checks."""
        return [name for name, check in self._checks.items() if check.critical]

    @property
    def probed(self) -> list[str]:
        """The names of the checks that the readiness probe asks."""
        return self._probed

    def timeout_of(self, name: str) -> float:
        """How long a check may take, in seconds."""
        return self._timeouts.get(name, self.timeout)

    # Asking.

    async def check(self, names: Iterable[str] | None = None) -> HealthReport:
        """Ask these checks, or all, and read the system's numbers."""
        began = self._clock()
        results, system = await asyncio.gather(self.ask(names), self.system())
        now = self._clock()
        return HealthReport(
            status=verdict(results.values()),
            checks=results,
            system=system,
            duration_ms=round((now - began) * 1000, 3),
            uptime_s=round(now - self._began, 3),
        )

    async def ask(self, names: Iterable[str] | None = None) -> dict[str, CheckResult]:
        """The answers of these checks, or of all. Each is asked once however many want to know."""
        began, at = self._clock(), self._now()
        asked: dict[str, asyncio.Task[CheckResult]] = {}
        new: dict[str, asyncio.Task[CheckResult]] = {}
        for name in self._checks if names is None else names:
            answer, is_new = self._checks[name].ask(timeout=self.timeout_of(name), cache=self.cache)
            asked[name] = answer
            if is_new:
                new[name] = answer
        # Answers and run belong to all: one caller giving up must not cancel them.
        if new:
            run = asyncio.create_task(self._run(new, began, at), name="health run")
            self._runs.add(run)
            run.add_done_callback(self._runs.discard)
            await asyncio.shield(run)
        results = await asyncio.gather(*map(asyncio.shield, asked.values()))
        return dict(zip(asked, results, strict=True))

    async def system(self) -> SystemInfo:
        """The numbers of the machine or container, as they are now."""
        return await self._system.read()

    async def _run(
        self, new: Mapping[str, asyncio.Task[CheckResult]], began: float, at: datetime
    ) -> None:
        """Wait for what was newly asked, and keep and tell what came of it."""
        results = dict(zip(new, await asyncio.gather(*new.values()), strict=True))
        duration = round((self._clock() - began) * 1000, 3)
        known = {name: c.latest for name, c in self._checks.items() if c.latest is not None}
        failed = tuple(name for name, result in known.items() if result.status != "ok")
        self._history.add(HealthRun(at, verdict(known.values()), failed, duration))
        for observer in self._observers:
            try:
                observer(results)
            except Exception:  # what a probe answers doesn't depend on who listens
                _log.exception("health observer failed")

    # Answering at once, from what is known.

    def ready(self) -> bool:
        """Whether traffic is welcome, by the latest answers; nothing is asked.

        False when a critical check failed, and when one was never asked: unset fails closed.
        Those that aren't critical only degrade, and degraded is ready. False as well where the
        service isn't `accepting`.
        """
        critical = [check.latest for check in self._checks.values() if check.critical]
        sound = all(result is not None and result.status == "ok" for result in critical)
        return sound and self._accepting()

    def live(self) -> bool:
        """Whether there is no need for a restart.

        No check has a say: restarting a service doesn't mend its database. In a service it is the
        published LivenessState, unset being BROKEN; a registry by itself is alive if it answers.
        """
        return self._alive()

    def history(self) -> list[HealthRun]:
        """The last runs that really asked something, oldest first.

        Whoever gets an answer that still stands, or joins a run, leaves no trace here.
        """
        return self._history.runs()

    def healthy_ratio(self) -> float:
        """The part of the history after which everything was healthy, from 0 to 1.

        Without any history it is 0: nothing was ever seen to be healthy, and unset fails closed.
        """
        return self._history.healthy_ratio
