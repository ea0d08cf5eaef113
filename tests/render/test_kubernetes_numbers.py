"""The manifests' numbers are the chassis' own, over the whole range of answers (SPEC B5, J3)."""

from __future__ import annotations

from typing import Any

import manifests
import pytest
import questionnaire
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from template_chassis import chassis

BASE = "{% if kubernetes %}.{% endif %}/deploy/kubernetes/base"
MIGRATION = "{% if kubernetes and sql %}.{% endif %}/deploy/kubernetes/base/migration.yaml.jinja"
MIB = 2**20


answers = st.fixed_dictionaries(
    {
        "database": st.sampled_from(["postgresql", "none"]),
        "archetype": st.sampled_from(["minimal", "inference"]),
        "cpu_limit": st.integers(100, 256_000).map("{}m".format)
        | st.integers(1, 256).map(str)
        | st.integers(100, 256_000).map(lambda millicores: f"{millicores / 1000:.3f}"),
        "memory_limit_mib": (st.integers(64, 2048) | st.integers(64, 1_048_576)).map(str),
        "memory_per_worker_mib": st.integers(32, 65_536).map(str) | st.just("32"),
        "replicas_min": (st.integers(1, 3) | st.integers(1, 1000)).map(str),
        "replicas_max": (st.integers(1, 3) | st.integers(1, 1000)).map(str),
        "database_max_connections": st.just("1000000"),
        "request_timeout_seconds": st.integers(1, 300).map(str),
        "drain_seconds": st.integers(3, 120).map(str),
    }
)


@given(answers)
@settings(max_examples=300, deadline=None)
def test_the_manifests_agree_with_the_chassis(given: dict[str, str]) -> None:
    """Whatever was answered: what the platform waits for is what the service takes."""
    try:
        context = questionnaire.answer(given)
    except questionnaire.RefusedError:
        assume(False)
    deployment = rendered("deployment", context)["spec"]
    scaler = rendered("autoscaler", context)["spec"]
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]

    asked = chassis("answers").Answers(
        service_name="a",
        description="a",
        template_version="1",
        cpu_limit=context["cpu_cores"],
        memory_limit_mib=int(context["memory_limit_mib"]),
        memory_per_worker_mib=int(context["memory_per_worker_mib"]),
        workload=context["workload"],
        request_timeout_seconds=int(context["request_timeout_seconds"]),
        drain_seconds=int(context["drain_seconds"]),
        keepalive_seconds=5,
        replicas_max=int(context["replicas_max"]),
    )
    budget = chassis("capacity.budget").ShutdownBudget.from_answers(asked)
    assert_probes(container, budget)
    assert pod["terminationGracePeriodSeconds"] == budget.termination_grace
    assert budget.graceful + 10 <= pod["terminationGracePeriodSeconds"]
    startup = container["startupProbe"]
    allowed = startup["periodSeconds"] * startup["failureThreshold"]
    assert allowed == chassis("capacity.budget").STARTUP_BUDGET_SECONDS
    longest = allowed + budget.termination_grace + deployment["minReadySeconds"]
    assert deployment["progressDeadlineSeconds"] > longest

    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (
        int(context["replicas_min"]),
        int(context["replicas_max"]),
    )
    rolling = deployment["strategy"]["rollingUpdate"]
    assert scaler["minReplicas"] - rolling["maxUnavailable"] >= 1, "nobody would serve"
    assert_fits(pod, container, asked)


def rendered(name: str, context: dict[str, Any]) -> dict[str, Any]:
    """A manifest of the base with these answers."""
    path = name if name.endswith(".jinja") else f"{BASE}/{name}.yaml.jinja"
    manifest: dict[str, Any] = yaml.safe_load(questionnaire.rendered(path, context))
    return manifest


def assert_probes(container: dict[str, Any], budget: Any) -> None:
    """All three ask the management port, and readiness fails for good within the drain."""
    readiness = container["readinessProbe"]
    assert readiness["periodSeconds"] == budget.readiness_period
    assert readiness["failureThreshold"] == budget.readiness_failures
    assert readiness["periodSeconds"] * readiness["failureThreshold"] <= budget.drain
    liveness = container["livenessProbe"]
    assert (liveness["periodSeconds"], liveness["failureThreshold"]) == (15, 3)
    for kind in ("startup", "liveness", "readiness"):
        probe = container[f"{kind}Probe"]
        assert probe["timeoutSeconds"] == budget.probe_timeout > budget.readiness_check_timeout
        assert probe["httpGet"]["port"] == "management"
        assert "initialDelaySeconds" not in probe, "the startup probe is what waits"


def assert_fits(pod: dict[str, Any], container: dict[str, Any], asked: Any) -> None:
    """Limits are the answers, requests are below them, and volumes in memory within the reserve."""
    limits, requests = container["resources"]["limits"], container["resources"]["requests"]
    assert manifests.quantity(limits["cpu"]) == pytest.approx(asked.cpu_limit)
    assert manifests.quantity(limits["memory"]) == asked.memory_limit_mib * MIB
    assert manifests.quantity(requests["cpu"]) == pytest.approx(min(0.5, asked.cpu_limit))
    assert manifests.quantity(requests["memory"]) == min(256, asked.memory_limit_mib) * MIB
    volumes = [volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume]
    reserve = chassis("capacity.sizing").reserve(asked.memory_limit_mib)
    sizes = [manifests.quantity(volume["sizeLimit"]) for volume in volumes]
    assert 0 < sum(sizes) <= reserve * MIB
    assert min(sizes) >= 8 * MIB


@given(answers)
@settings(max_examples=100, deadline=None)
def test_a_migration_fits_its_limits(given: dict[str, str]) -> None:
    """Its requests are below its limits, also where the service's own are small."""
    try:
        context = questionnaire.answer(given)
    except questionnaire.RefusedError:
        assume(False)
    (container,) = rendered(MIGRATION, context)["spec"]["template"]["spec"]["containers"]

    limits, requests = container["resources"]["limits"], container["resources"]["requests"]
    for resource in ("cpu", "memory"):
        assert manifests.quantity(requests[resource]) <= manifests.quantity(limits[resource])
    assert manifests.quantity(limits["memory"]) >= 256 * MIB
