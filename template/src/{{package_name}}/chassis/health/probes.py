"""What each probe answers.

Kubernetes acts on these: a failing liveness probe restarts the container, a failing readiness probe
takes the pod out of the Service, and until the startup probe succeeds it asks neither. Liveness
therefore never looks at a dependency: restarting every pod doesn't mend a database.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from ..availability import Availability, LivenessState, ReadinessState
from ..health import HealthRegistry, HealthStatus
from ..models import model_board
from ..roster import Roster
from .health_check import CheckResult

UP = "UP"
DOWN = "DOWN"
OUT_OF_SERVICE = "OUT_OF_SERVICE"
DEGRADED = "DEGRADED"

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
        return 200 if self.status in (UP, DEGRADED) else 503

    def body(self) -> dict[str, object]:
        """The JSON document, in the vocabulary of SPEC C2a."""
        body: dict[str, object] = {"status": self.status}
        if self.reason:
            body["reason"] = self.reason
        body["checks"] = {
            name: {key: value for key, value in asdict(check).items() if value is not None}
            for name, check in self.checks.items()
        }
        return body


class Probes:
    """Answers for the whole service, whichever worker is asked."""

    def __init__(self, roster: Roster, availability: Availability, health: HealthRegistry) -> None:
        self._roster = roster
        self._availability = availability
        self._health = health

    def live(self) -> Answer:
        """UP unless somebody published BROKEN, or nobody ever published CORRECT."""
        if self._availability.liveness is LivenessState.CORRECT:
            return Answer(UP)
        return Answer(DOWN, self._reason(LivenessState, unset="starting"))

    def startup(self) -> Answer:
        """UP once the first worker has completed its start-up; a recycled one doesn't undo it."""
        if self._roster.started:
            return Answer(UP)
        return Answer(OUT_OF_SERVICE, model_board.current.not_warm_reason or "starting")

    async def ready(self) -> Answer:
        """UP while traffic is wanted and every critical check succeeds."""
        if self._roster.terminating_since is not None:
            return Answer(OUT_OF_SERVICE, "draining")
        if self._availability.readiness is ReadinessState.REFUSING_TRAFFIC:
            unset = model_board.current.not_warm_reason or "starting"
            return Answer(OUT_OF_SERVICE, self._reason(ReadinessState, unset=unset))
        # Only these: one that isn't critical may take longer than the probe has patience.
        report = await self._health.check(self._health.critical)
        failed = [name for name, check in report.checks.items() if check.status != "ok"]
        if failed:
            return Answer(DOWN, f"failing: {', '.join(failed)}", report.checks)
        return Answer(UP, checks=report.checks)

    async def group(self, name: str) -> Answer | None:
        """One of the user's groups, or None when there is none of that name."""
        names = self._health.groups.get(name)
        if names is None:
            return None
        report = await self._health.check(names)
        return Answer(_OF_REPORT[report.status], checks=report.checks)

    async def aggregate(self) -> Answer:
        """Everything together: the worst of the probes, or DEGRADED, with all checks."""
        report = await self._health.check()
        for answer in (self.live(), self.startup(), await self.ready()):
            if answer.status != UP:
                return Answer(answer.status, answer.reason, report.checks)
        return Answer(_OF_REPORT[report.status], checks=report.checks)

    async def group_statuses(self) -> dict[str, str]:
        """The status of each probe and group by name."""
        ready = await self.ready()
        statuses = {
            "live": self.live().status,
            "ready": ready.status,
            "startup": self.startup().status,
        }
        for name in self._health.groups:
            answer = await self.group(name)
            if answer is not None:
                statuses[name] = answer.status
        return statuses

    def _reason(self, kind: type[LivenessState] | type[ReadinessState], *, unset: str) -> str:
        change = self._availability.last(kind)
        if change is None:
            return unset
        return f"{change.source}: {change.reason}" if change.reason else change.source
