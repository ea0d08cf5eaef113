"""The worker count follows the limits that the kernel really sets (SPEC A3).

The answers of the project under test allow 5 workers: 2 CPUs, and 1024 MiB of memory with 150 MiB
for each worker.
"""

from __future__ import annotations

import os
import sys

import pytest
from boot.fixtures import Boot
from boot.harness import Record, Service
from container.cgroups import cgroup

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU is below the answers"),
]


def sized(service: Service) -> Record:
    """The boot line; the workers that it tells of are there."""
    line = service.wait_log(logger="chassis.boot", message="workers sized")
    assert len(service.workers()) == line["workers"]
    return line


def outcome(line: Record) -> tuple[object, ...]:
    """The count and what settled it."""
    return line["workers"], line["bound"], line["cpu_source"], line["memory_source"]


@pytest.mark.parametrize(
    ("cpu", "memory_mib", "expected"),
    [
        pytest.param(0.5, None, (2, "cpu", "cgroup", "answers"), id="half a CPU"),
        pytest.param(1.5, 4096, (4, "cpu", "cgroup", "answers"), id="one CPU and a half"),
        pytest.param(None, 512, (2, "memory", "answers", "cgroup"), id="half a GiB"),
        pytest.param(0.1, 256, (1, "cpu", "cgroup", "cgroup"), id="next to nothing"),
        pytest.param(64, 2**16, (5, "cpu", "answers", "answers"), id="more than the answers"),
    ],
)
def test_cgroup_limits(
    cpu: float | None, memory_mib: int | None, expected: tuple[object, ...], boot: Boot
) -> None:
    """The smaller of the cgroup's limits and the answers decides; the boot line says so."""
    with cgroup(cpu, memory_mib) as wrapper:
        service = boot(wrapper=wrapper)
        line = sized(service)
        service.kill()
    assert outcome(line) == expected
    assert line["cpu"] == min(cpu or 2, 2)
    assert line["memory_mib"] == min(memory_mib or 1024, 1024)


def test_an_override_that_the_cgroup_does_not_hold(boot: Boot) -> None:
    """WEB_CONCURRENCY wins over the cgroup's memory, with a warning that names the limit."""
    with cgroup(memory_mib=512) as wrapper:
        service = boot(wrapper=wrapper, WEB_CONCURRENCY="4")
        line = sized(service)
        warning = service.wait_log(logger="chassis.boot", level="warning")
        service.kill()
    assert (line["workers"], line["bound"]) == (4, "override")
    assert "512 MiB" in warning["message"]


def test_affinity(boot: Boot) -> None:
    """A process that may run on one CPU only counts one, however many the host has."""
    cpu = min(os.sched_getaffinity(0))
    pin = f"import os, sys; os.sched_setaffinity(0, {{{cpu}}}); os.execv(sys.argv[1], sys.argv[1:])"
    service = boot(wrapper=[sys.executable, "-c", pin])
    line = sized(service)
    assert (line["workers"], line["cpu"], line["cpu_source"]) == (3, 1, "affinity")


def test_health_tells_the_containers_memory(boot: Boot) -> None:
    """The limit and what it leaves, rather than the host's; files that were read don't count."""
    with cgroup(memory_mib=700) as wrapper:
        service = boot(wrapper=wrapper)
        system = service.manage("/health").json()["system"]
        service.kill()
    assert system["memory_total_mb"] == 700
    assert 0 < system["memory_available_mb"] < 700
    used = 700 - system["memory_available_mb"]
    assert system["memory_usage_pct"] == pytest.approx(100 * used / 700, abs=0.1)
