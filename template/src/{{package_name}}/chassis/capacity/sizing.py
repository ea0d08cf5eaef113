"""How many workers a container can carry: a pure function of its CPUs and its memory.

The host's core count never enters. A host with 64 cores and a container with 2 of them would
otherwise get 129 workers, which the memory limit then kills one after the other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..answers import Answers
from .cgroup import Limits

Source = Literal["answers", "cgroup", "affinity"]
"""Where a number came from; of equal numbers the one named first here is credited."""

Bound = Literal["cpu", "memory", "override", "minimum"]
"""What settled the count; ``minimum`` is the one worker that there always is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """A number of workers and how it came about."""

    workers: int
    bound: Bound
    cpu: float
    """The smallest of the CPU limits, in CPUs."""
    cpu_source: Source
    memory_mib: int
    """The smaller of the memory limits, in MiB."""
    memory_source: Source
    cpu_bound: int
    """Workers that the CPUs can feed."""
    memory_bound: int
    """Workers that the memory can hold."""
    considered: Mapping[str, object]
    """Everything that was looked at: the answers, the cgroup, the affinity and the override."""
    warning: str | None = None
    """One sentence when the memory can't hold the workers, otherwise ``None``."""

    def log_fields(self) -> dict[str, object]:
        """Return what the boot line says, under the names it says it."""
        return {
            "workers": self.workers,
            "bound": self.bound,
            "cpu": self.cpu,
            "cpu_source": self.cpu_source,
            "cpu_bound": self.cpu_bound,
            "memory_mib": self.memory_mib,
            "memory_source": self.memory_source,
            "memory_bound": self.memory_bound,
            **self.considered,
        }


def size(answers: Answers, limits: Limits, affinity: int | None, override: int | None) -> Sizing:
    """Size the pool of workers (SPEC A2, A3).

    ``limits`` and ``affinity`` (a number of CPUs) are what the machine says; the smaller of
    them and the answers wins. ``override`` is ``WEB_CONCURRENCY`` and beats the computation,
    but not the memory: what that can't hold is warned about.
    """
    cpu, cpu_source = _smallest(
        ("answers", answers.cpu_limit), ("cgroup", limits.cpu), ("affinity", affinity)
    )
    memory, memory_source = _smallest(
        ("answers", answers.memory_limit_mib), ("cgroup", limits.memory_mib)
    )
    memory_mib = int(memory)
    cpu_bound = workers_for_cpu(cpu, answers.workload)
    memory_bound = (memory_mib - reserve(memory_mib)) // answers.memory_per_worker_mib
    workers, bound = _decide(cpu_bound, memory_bound, override)
    return Sizing(
        workers=workers,
        bound=bound,
        cpu=cpu,
        cpu_source=cpu_source,
        memory_mib=memory_mib,
        memory_source=memory_source,
        cpu_bound=cpu_bound,
        memory_bound=memory_bound,
        considered={
            "answers": {"cpu": answers.cpu_limit, "memory_mib": answers.memory_limit_mib},
            "cgroup": {"cpu": limits.cpu, "memory_mib": limits.memory_mib},
            "affinity": affinity,
            "override": override,
        },
        warning=(
            f"{workers} x {answers.memory_per_worker_mib} MiB of workers need "
            f"{memory_for(workers, answers.memory_per_worker_mib)} MiB with the reserve, "
            f"but the memory limit is {memory_mib} MiB ({memory_source}), "
            f"which holds {memory_bound}"
            if workers > memory_bound
            else None
        ),
    )


def workers_for_cpu(cpu: float, workload: Literal["io", "cpu"]) -> int:
    """Return the workers that ``cpu`` CPUs can feed.

    Workers that wait for others overlap, so two a CPU and one to spare keep it busy; workers
    that compute only take turns beyond one a CPU.
    """
    return math.floor(2 * cpu + 1) if workload == "io" else math.ceil(cpu)


def reserve(memory_mib: int) -> int:
    """Return the quarter that is kept for the master, page cache and peaks, in MiB."""
    return memory_mib // 4


def memory_for(workers: int, memory_per_worker_mib: int) -> int:
    """Return the smallest memory limit, in MiB, that holds this many workers."""
    # The inverse of memory - memory // 4 >= needed, in whole numbers.
    needed = workers * memory_per_worker_mib
    return 4 * (needed - 1) // 3 + 1


def _decide(cpu_bound: int, memory_bound: int, override: int | None) -> tuple[int, Bound]:
    if override is not None:
        return override, "override"
    if min(cpu_bound, memory_bound) < 1:
        return 1, "minimum"
    return (cpu_bound, "cpu") if cpu_bound <= memory_bound else (memory_bound, "memory")


def _smallest(
    answer: tuple[Source, float], *others: tuple[Source, float | None]
) -> tuple[float, Source]:
    known = [answer, *((source, value) for source, value in others if value is not None)]
    source, value = min(known, key=lambda pair: pair[1])
    return value, source
