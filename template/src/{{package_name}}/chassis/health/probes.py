"""What each probe answers.

Kubernetes acts on these: a failing liveness probe restarts the container, a failing readiness probe
takes the pod out of the Service, and until the startup probe succeeds it asks neither. Liveness
therefore never looks at a dependency: restarting every pod doesn't mend a database.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from ..availability import Availability, LivenessState, ReadinessState
from ..capacity.budget import STARTUP_BUDGET_SECONDS
from ..health import HealthRegistry, HealthStatus, verdict
from ..models import model_board
from ..roster import Roster
from .health_board import CheckStanding, HealthBoard
from .health_check import CheckResult

UP = "UP"
DOWN = "DOWN"
OUT_OF_SERVICE = "OUT_OF_SERVICE"
DEGRADED = "DEGRADED"

_PATIENCE_SECONDS = STARTUP_BUDGET_SECONDS - 30
"""How long startup waits for a model that fails."""

_OF_REPORT = {
    HealthStatus.HEALTHY: UP,
    HealthStatus.DEGRADED: DEGRADED,
    HealthStatus.UNHEALTHY: DOWN,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A probe's status, why it is so when it isn't up, and the checks behind it."""

    status: str
    reason: str | None = None
    checks: Mapping[str, CheckResult] = field(default_factory=dict)

    @property
    def http_status(self) -> int:
        """200 while the service can do its work, 503 otherwise."""
        works = self.status in (UP, DEGRADED)
        return HTTPStatus.OK if works else HTTPStatus.SERVICE_UNAVAILABLE

    def body(self) -> dict[str, object]:
        """The JSON document, in the vocabulary of SPEC C2a."""
        body: dict[str, object] = {"status": self.status}
        if self.reason:
            body["reason"] = self.reason
        body["checks"] = {name: check.body() for name, check in self.checks.items()}
        return body


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything together: the answer, what each probe and group says, and other workers' word.

    `workers` counts by check what the workers found last; `healthy_ratio` is the part of their
    history that was healthy, in the worst of them, or None before any check was asked.
    """

    answer: Answer
    groups: Mapping[str, str]
    workers: Mapping[str, Mapping[str, int]]
    healthy_ratio: float | None

    def body(self) -> dict[str, object]:
        """The answer's body with the rest."""
        checks = {
            name: check.body() | {"workers": self.workers[name]}
            for name, check in self.answer.checks.items()
        }
        rest = {"checks": checks, "groups": self.groups, "healthy_ratio": self.healthy_ratio}
        return self.answer.body() | rest


class Probes:
    """Answers for the whole service, whichever worker is asked."""

    def __init__(
        self,
        roster: Roster,
        availability: Availability,
        health: HealthRegistry,
        board: HealthBoard,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._roster = roster
        self._availability = availability
        self._health = health
        self._board = board
        self._clock = clock
        self._began = clock()

    def live(self) -> Answer:
        """UP unless somebody published BROKEN, or nobody ever published CORRECT."""
        if self._availability.liveness is LivenessState.CORRECT:
            return Answer(UP)
        return Answer(DOWN, self._reason(LivenessState, unset="starting"))

    def startup(self) -> Answer:
        """UP once the first worker has completed its start-up; a recycled one doesn't undo it.

        And where a model fails, shortly before the platform would lose its patience and restart the
        container over and over, which mends no file (SPEC G2). Readiness goes on saying no.
        """
        if self._roster.started:
            return Answer(UP)
        reason = model_board.current.not_warm_reason or "starting"
        if model_board.current.has_failed and self._clock() - self._began >= _PATIENCE_SECONDS:
            return Answer(UP, reason)
        return Answer(OUT_OF_SERVICE, reason)

    async def ready(self) -> Answer:
        """UP or DEGRADED while traffic is wanted and every critical check succeeds."""
        refusal = self._refusal()
        if refusal is not None:
            return refusal
        # Only these: any other may take longer than the probe has patience.
        return _readiness(await self._health.ask(self._health.probed))

    async def group(self, name: str) -> Answer | None:
        """One of the user's groups, or None when there is none of that name."""
        names = self._health.groups.get(name)
        return None if names is None else _together(await self._health.ask(names))

    async def overview(self) -> Overview:
        """The worst of the probes, or of what any worker's checks found last, and the parts.

        Everything is asked once. What another worker found is at most as old as the time between
        two of its runs.
        """
        checks = await self._health.ask()
        probed = {name: checks[name] for name in self._health.probed}
        ready = self._refusal() or _readiness(probed)
        probes = {"live": self.live(), "startup": self.startup(), "ready": ready}
        groups = {
            name: _together({check: checks[check] for check in names})
            for name, names in self._health.groups.items()
        }
        standings = self._over_workers(checks)
        worst = {name: _at_worst(check, standings[name]) for name, check in checks.items()}
        bad = next((probe for probe in probes.values() if probe.http_status != HTTPStatus.OK), None)
        answer = replace(bad, checks=worst) if bad else _overall(worst)
        return Overview(
            answer,
            {name: part.status for name, part in (probes | groups).items()},
            {name: standing.counts for name, standing in standings.items()},
            self._board.healthy_ratio,
        )

    def _over_workers(self, own: Mapping[str, CheckResult]) -> dict[str, CheckStanding]:
        others = self._board.others()
        standings = {name: others.get(name, CheckStanding()) for name in own}
        for name, check in own.items():
            standings[name].add(check.status, critical=check.critical)
        return standings

    def _refusal(self) -> Answer | None:
        """Why no traffic is wanted whatever the checks say; None when it is wanted."""
        if self._roster.terminating_since is not None:
            return Answer(OUT_OF_SERVICE, "draining")
        if self._availability.readiness is ReadinessState.REFUSING_TRAFFIC:
            unset = model_board.current.not_warm_reason or "starting"
            return Answer(OUT_OF_SERVICE, self._reason(ReadinessState, unset=unset))
        return None

    def _reason(self, kind: type[LivenessState] | type[ReadinessState], *, unset: str) -> str:
        change = self._availability.last(kind)
        if change is None:
            return unset
        return f"{change.source}: {change.reason}" if change.reason else change.source


def _readiness(probed: Mapping[str, CheckResult]) -> Answer:
    failed = [name for name, check in probed.items() if check.critical and check.status != "ok"]
    if failed:
        return Answer(DOWN, f"failing: {', '.join(failed)}", probed)
    return _together(probed)


def _together(checks: Mapping[str, CheckResult]) -> Answer:
    return Answer(_OF_REPORT[verdict(checks.values())], checks=checks)


def _at_worst(own: CheckResult, standing: CheckStanding) -> CheckResult:
    if standing.worst == own.status:
        return own
    return replace(own, status=standing.worst, error="in another worker: the log says more")


def _overall(worst: Mapping[str, CheckResult]) -> Answer:
    """The verdict where this worker's critical checks succeed: only another worker's may fail."""
    answer = _together(worst)
    failed = [name for name, check in worst.items() if check.critical and check.status != "ok"]
    if failed:
        return replace(answer, reason=f"failing in another worker: {', '.join(failed)}")
    if trouble := model_board.current.trouble:
        return replace(answer, status=DEGRADED, reason=trouble)
    return answer
