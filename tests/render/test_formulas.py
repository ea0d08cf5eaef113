"""The formulas that pages show are those that the service computes by, over the whole range."""

from __future__ import annotations

import math
import re
from typing import Any

import docs_code
import support
from hypothesis import given, settings
from hypothesis import strategies as st
from template_chassis import chassis

DOCS = support.REPOSITORY / "docs"
FUNCTIONS = {"floor": math.floor, "ceil": math.ceil}
FEW = settings(max_examples=100, deadline=None)


def formulas(name: str, part: str) -> list[tuple[str, str]]:
    """The formulas of the block with this in it, by what they compute; each has its sign once."""
    block = docs_code.shown(DOCS / name, part)
    found = [line.partition("=") for line in block.splitlines()]
    return [(left.strip(), right.strip()) for left, _, right in found]


def compute(formula: str, known: dict[str, Any]) -> Any:
    """What comes of a formula: arithmetic, and then bounds in words."""
    expression, *bounds = formula.split(", ")
    if expression == "the smaller of the two":
        expression = "min(by_cpu, by_memory)"
    names = {**FUNCTIONS, **known}
    value = eval(expression.replace(" x ", " * "), names)  # noqa: S307 - our own pages
    for bound in bounds:
        which, limit = re.fullmatch(r"at (least|most) (\d+)", bound).groups()  # type: ignore[union-attr]
        value = max(value, int(limit)) if which == "least" else min(value, int(limit))
    return value


def answers(**given: Any) -> Any:
    """Answers, of which these count."""
    return chassis("answers").Answers(
        **{
            "service_name": "a",
            "description": "a",
            "template_version": "1",
            "cpu_limit": 1,
            "memory_limit_mib": 1024,
            "memory_per_worker_mib": 150,
            "workload": "io",
            "request_timeout_seconds": 15,
            "drain_seconds": 10,
            "keepalive_seconds": 5,
            **given,
        }
    )


@given(
    st.integers(100, 256_000).map(lambda millicores: millicores / 1000),
    st.integers(64, 1_048_576),
    st.integers(32, 65_536),
    st.sampled_from(["io", "cpu"]),
)
@FEW
def test_workers(cpu: float, memory: int, each: int, workload: str) -> None:
    """By CPU, which depends on the workload, by memory, and of both the smaller."""
    given = {"memory_limit_mib": memory, "memory_per_worker_mib": each}
    limits = chassis("capacity.cgroup").Limits()
    size = chassis("capacity.sizing").size
    wanted = size(answers(cpu_limit=cpu, workload=workload, **given), limits, None, None)

    io, of_cpu, by_memory, workers = formulas("workers.md", "by CPU")
    assert [io[0], of_cpu[0], by_memory[0], workers[0]] == ["by CPU", "", "by memory", "workers"]
    by_workload = dict(re.split(r"\s{2,}workload ", line)[::-1] for _, line in (io, of_cpu))
    known: dict[str, Any] = {"cpu": cpu, "memory_mib": memory, "memory_per_worker_mib": each}
    known["by_cpu"] = compute(by_workload[workload], known)
    known["by_memory"] = compute(by_memory[1], known)

    assert known["by_cpu"] == wanted.cpu_bound
    assert known["by_memory"] == wanted.memory_bound
    assert compute(workers[1], known) == wanted.workers


@given(st.integers(1, 300), st.integers(3, 120))
@FEW
def test_durations(request: int, drain: int) -> None:
    """Of a stop, and of the probes."""
    given = answers(request_timeout_seconds=request, drain_seconds=drain)
    wanted = chassis("capacity.budget").ShutdownBudget.from_answers(given)
    known: dict[str, Any] = {"drain": drain, "request": request}
    for name, formula in formulas("shutdown.md", "graceful timeout  ="):
        first, _, failures = formula.partition("; ")
        value = compute(first.replace("graceful timeout", "graceful_timeout"), known)
        known[name.replace(" ", "_")] = value
        assert failures in ("", f"{wanted.readiness_failures} failures")

    assert known == {
        "drain": drain,
        "request": request,
        "graceful_timeout": wanted.graceful,
        "termination_grace": wanted.termination_grace,
        "readiness_period": wanted.readiness_period,
        "probe_timeout": wanted.probe_timeout,
    }


@given(st.integers(1, 513), st.integers(1, 1000), st.integers(10, 1_000_000))
@FEW
def test_connections(workers: int, replicas: int, most: int) -> None:
    """Of each worker; from ten on, of which none is left to them."""
    formula = docs_code.shown(DOCS / "database.md", "// (workers x")
    wanted = chassis("database.pool_size").size_pool(
        workers=workers, replicas_max=replicas, max_connections=most, override=None
    )

    known = {"workers": workers, "replicas_max": replicas, "DATABASE_MAX_CONNECTIONS": most}
    assert compute(formula.strip(), known) == wanted.size
