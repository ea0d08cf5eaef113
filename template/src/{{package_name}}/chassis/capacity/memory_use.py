"""How much memory there is for this process, and how much of it is left.

In a container both are the cgroup's: the host's free memory says nothing about when the kernel
kills. Cgroups nest, and a process is killed when any of them is full, so the smallest limit and the
smallest headroom count, which needn't be those of the same cgroup.

A cgroup's use includes the pages of files that it has read. Those that weren't used lately
(`inactive_file`) are given up before anything is killed, so they count as available, as in the
working set that the kubelet measures.

Sources: proc(5) on ``/proc/meminfo``, the kernel's ``admin-guide/cgroup-v2.rst`` and
``admin-guide/cgroup-v1/memory.rst``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .cgroup import (
    UNIFIED,
    Cgroups,
    lines,
    memory_limit_v1,
    memory_limit_v2,
    number,
    words,
)


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes; ``None`` where nothing says so."""

    total: int | None = None
    """The smaller of the host's memory and the limit."""

    available: int | None = None
    """What can be had before the kernel kills."""

    @property
    def used_ratio(self) -> float | None:
        """The part that is in use, from 0 to 1."""
        if not self.total or self.available is None:
            return None
        return 1 - self.available / self.total


def read_memory_use(proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> MemoryUse:
    """Read the memory of this process' cgroups and host; never raises."""
    known = [use for use in (_host(proc), *_cgroups(proc, sys)) if use.total is not None]
    total = min((use.total for use in known if use.total is not None), default=None)
    left = [use.available for use in known if use.available is not None]
    if total is None or len(left) < len(known):
        return MemoryUse(total)
    return MemoryUse(total, min(total, *left))


def _host(proc: Path) -> MemoryUse:
    found = {}
    for line in lines(proc / "meminfo"):
        name, _, rest = line.partition(":")
        size = number((rest.split() or [""])[0])
        if size is not None:
            found[name] = size * 1024
    return MemoryUse(found.get("MemTotal"), found.get("MemAvailable"))


def _cgroups(proc: Path, sys: Path) -> Iterator[MemoryUse]:
    cgroups = Cgroups(proc, sys)
    for folder in cgroups.folders(UNIFIED):
        yield _use(folder, memory_limit_v2(folder), "memory.current", "inactive_file")
    for folder in cgroups.folders("memory"):
        limit = memory_limit_v1(folder)
        yield _use(folder, limit, "memory.usage_in_bytes", "total_inactive_file")


def _use(folder: Path, limit: int | None, use_file: str, reclaimable: str) -> MemoryUse:
    if limit is None:
        return MemoryUse()
    used = number("".join(words(folder / use_file)))
    if used is None:
        return MemoryUse(limit)
    statistics = dict(line.split(" ", 1) for line in lines(folder / "memory.stat") if " " in line)
    cache = number(statistics.get(reclaimable, "").strip()) or 0
    return MemoryUse(limit, max(0, limit - max(0, used - cache)))
