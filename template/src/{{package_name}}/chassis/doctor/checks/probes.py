"""Items about the timing of Kubernetes' probes."""

from collections.abc import Iterator
from typing import Any

from ...capacity.budget import STARTUP_BUDGET_SECONDS
from ..documents import get
from ..item import Finding, Item, failed, passed, skipped
from ..project import Project
from ..target import KubernetesTarget

GROUP = "Health"

_DEFAULTS = {"periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 1}
"""Kubernetes' own."""

_STARTUP_PATHS = ("/health/startup",)
_NO_CLUSTER = "not on Kubernetes"


def _timing(probe: Any) -> tuple[float, float, float]:
    """Period, failures and timeout."""
    period, failures, timeout = (
        float(get(probe, key) or value) for key, value in _DEFAULTS.items()
    )
    return period, failures, timeout


def _drain(project: Project) -> Iterator[Finding]:
    if not project.clusters:
        yield skipped(_NO_CLUSTER)
    for target in project.clusters:
        probe = get(target.container.values, "readinessProbe") if target.container else None
        service = project.evaluated(target).service
        if probe is not None and service and service["settings"]:
            yield from _drain_of(target, probe, service)


def _drain_of(target: KubernetesTarget, probe: Any, service: Any) -> Iterator[Finding]:
    assert target.container is not None  # noqa: S101 - there is a probe
    period, failures, timeout = _timing(probe)
    drain = service["settings"]["budget"]["drain"]
    if period * failures > drain:
        text = (
            f"readiness is given up after {period:g} s x {failures:g} = {period * failures:g} s, "
            f"but the drain is over after {drain:g}"
        )
        key = "periodSeconds" if "periodSeconds" in probe else "failureThreshold"
        yield failed(text, target.container.place("readinessProbe", key), target.name)
    else:
        yield passed(f"noticed after {period:g} s x {failures:g}, within the drain of {drain:g} s")
    checks = service["app"]["checks"] if service["app"] else []
    for one in checks:
        if one["probed"] and one["timeout"] >= timeout:
            text = (
                f"the check {one['name']!r} may take {one['timeout']:g} s, but the probe gives up "
                f"after {timeout:g}"
            )
            place = target.container.place("readinessProbe", "timeoutSeconds")
            yield failed(text, place, target.name)


def _startup(project: Project) -> Iterator[Finding]:
    if not project.clusters:
        yield skipped(_NO_CLUSTER)
    for target in project.clusters:
        if target.container is None:
            continue
        probe = get(target.container.values, "startupProbe")
        if probe is None:
            text = "there is no startup probe: a slow start is taken for a hang, and restarted"
            yield failed(text, target.container.place(), target.name)
            continue
        period, failures, _ = _timing(probe)
        path = get(probe, "httpGet", "path")
        if path is not None and path not in _STARTUP_PATHS:
            place = target.container.place("startupProbe", "httpGet", "path")
            yield failed(f"the startup probe asks {path}, not /health/startup", place, target.name)
        elif period * failures < STARTUP_BUDGET_SECONDS:
            text = (
                f"a start is given {period:g} s x {failures:g} = {period * failures:g} s; the "
                f"service counts on {STARTUP_BUDGET_SECONDS}"
            )
            key = "failureThreshold" if "failureThreshold" in probe else "periodSeconds"
            yield failed(text, target.container.place("startupProbe", key), target.name)
        else:
            yield passed(f"a start may take {period:g} s x {failures:g}", target.name)


ITEMS = (
    Item(
        id="drain-probe",
        group=GROUP,
        title="The probe notices a drain before it ends",
        why="While a pod drains it says so to the readiness probe alone. If the probe gives up "
        "later than the drain ends, new requests meet a closed port.",
        mend="periodSeconds x failureThreshold within DRAIN_SECONDS; timeoutSeconds above the "
        "slowest check that readiness asks.",
        check=_drain,
    ),
    Item(
        id="startup-probe",
        group=GROUP,
        title="A startup probe gives a start its time",
        why="Until it succeeds nobody asks for liveness: without it, a model that loads for a "
        "minute is killed before it is there, again and again.",
        mend="startupProbe on /health/startup with periodSeconds 5 and failureThreshold 30.",
        check=_startup,
    ),
)
