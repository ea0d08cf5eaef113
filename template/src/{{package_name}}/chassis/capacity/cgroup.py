"""The CPU and memory limits of the cgroup that this process runs in.

A container sees all cores and all memory of its host; what it may use stands in its cgroup.
Limits nest: a process is bound by its own cgroup and by every ancestor, so the smallest wins.
Both versions are read, and hybrids of the two. Whatever is missing or unreadable is no limit:
the answers stand in for it, and a service must not fail to boot over an odd ``/sys``.

Sources: cgroups(7), proc(5) on ``/proc/self/mountinfo``, the kernel's
``admin-guide/cgroup-v2.rst`` and ``admin-guide/cgroup-v1/memory.rst``.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

MIB = 1024 * 1024

# cgroup v1 has no word for "unlimited": it reports the largest page-aligned number.
V1_UNLIMITED_BYTES = 1 << 60

UNIFIED = ""
"""The name that cgroup v2 goes by in ``/proc/self/cgroup``, where v1 names its controller."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the cgroups allow; ``None`` where nothing limits."""

    cpu: float | None = None
    """CPUs, fractions included."""

    memory_mib: int | None = None
    """Memory in MiB, rounded down."""


class _Mount(NamedTuple):
    controllers: frozenset[str]
    root: PurePosixPath
    point: Path


class Cgroups:
    """The folders of this process' cgroups."""

    def __init__(self, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> None:
        self._paths = dict(_own_paths(proc))
        self._mounts = list(_mounts(proc, sys)) or list(_usual_mounts(sys))

    def folders(self, controller: str) -> Iterator[Path]:
        """Yield those that bind this process: its own and the ancestors in sight."""
        path = self._paths.get(controller, PurePosixPath("/"))
        for mount in self._mounts:
            if controller in mount.controllers:
                yield from _upwards(mount, path)

    def smallest(self, controller: str, read: Callable[[Path], float | None]) -> float | None:
        """Return the limit that binds: the smallest of what `read` finds in the folders."""
        limits = (read(folder) for folder in self.folders(controller))
        return min((limit for limit in limits if limit is not None), default=None)


def read_limits(proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> Limits:
    """Read the limits of this process; never raises."""
    cgroups = Cgroups(proc, sys)
    cpu = _smaller(cgroups.smallest(UNIFIED, _cpu_v2), cgroups.smallest("cpu", _cpu_v1))
    memory = _smaller(
        cgroups.smallest(UNIFIED, memory_limit_v2), cgroups.smallest("memory", memory_limit_v1)
    )
    return Limits(cpu=cpu, memory_mib=None if memory is None else int(memory) // MIB)


def read_affinity() -> int | None:
    """Count the CPUs that the scheduler may put this process on (``taskset``, cpusets)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _own_paths(proc: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """Yield controller and path from lines such as ``4:cpu,cpuacct:/a/b`` and ``0::/a/b``."""
    for line in lines(proc / "self" / "cgroup"):
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon:
            yield from ((name, PurePosixPath(path)) for name in controllers.split(","))


def _mounts(proc: Path, sys: Path) -> Iterator[_Mount]:
    """Yield the cgroup file systems; proc(5) numbers the fields of a line."""
    for line in lines(proc / "self" / "mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        names = frozenset([UNIFIED]) if kind[0] == "cgroup2" else frozenset(kind[2].split(","))
        point = PurePosixPath(_unescape(fields[4]))
        below_sys = point.is_relative_to("/sys")
        place = sys / point.relative_to("/sys") if below_sys else sys.parent / str(point)[1:]
        yield _Mount(names, PurePosixPath(_unescape(fields[3])), place)


def _usual_mounts(sys: Path) -> Iterator[_Mount]:
    """Yield where distributions mount cgroups, for a ``/proc`` that doesn't tell."""
    base = sys / "fs" / "cgroup"
    for name, folder in (
        (UNIFIED, base),
        (UNIFIED, base / "unified"),
        ("cpu", base / "cpu"),
        ("cpu", base / "cpu,cpuacct"),
        ("memory", base / "memory"),
    ):
        yield _Mount(frozenset([name]), PurePosixPath("/"), folder)


def _upwards(mount: _Mount, path: PurePosixPath) -> Iterator[Path]:
    """Yield the folders of ``path`` and its ancestors, up to and including the mount itself.

    With namespaces the path may not exist below the mount, or may be told relative to
    another root; then only the mount itself, the topmost cgroup in sight, says anything.
    """
    if path.is_relative_to(mount.root) and ".." not in path.parts:
        below = path.relative_to(mount.root)
        yield from (mount.point / folder for folder in (below, *below.parents) if folder.name)
    yield mount.point


def _cpu_v2(folder: Path) -> float | None:
    quota, period = (*words(folder / "cpu.max"), "", "")[:2]
    return _ratio(quota, period)


def _cpu_v1(folder: Path) -> float | None:
    quota, period = (words(folder / f"cpu.cfs_{part}_us") for part in ("quota", "period"))
    return _ratio("".join(quota), "".join(period))


def memory_limit_v2(folder: Path) -> int | None:
    """Return the bytes that a cgroup of version 2 may use, or None for no limit."""
    return _at_least_a_mib("".join(words(folder / "memory.max")))


def memory_limit_v1(folder: Path) -> int | None:
    """Return the bytes that a memory cgroup of version 1 may use, or None for no limit."""
    size = _at_least_a_mib("".join(words(folder / "memory.limit_in_bytes")))
    return size if size is not None and size < V1_UNLIMITED_BYTES else None


def _ratio(quota: str, period: str) -> float | None:
    """Turn microseconds per period into CPUs; ``max`` (v2) and ``-1`` (v1) are no limit."""
    part, whole = number(quota), number(period)
    return part / whole if part and whole else None


def _at_least_a_mib(size: str) -> int | None:
    """Turn bytes into a number; ``max`` and what no process could live in are no limit."""
    found = number(size)
    return found if found is not None and found >= MIB else None


def number(word: str) -> int | None:
    """Return a whole number that a kernel wrote, or None for anything else."""
    # Twenty digits hold any 64-bit number; int() itself refuses a few thousand.
    return int(word) if word.isdecimal() and len(word) <= 20 else None


def _smaller(one: float | None, other: float | None) -> float | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _unescape(field: str) -> str:
    r"""Undo mountinfo's octal escapes, e.g. ``\040`` for a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def lines(file: Path) -> list[str]:
    """Return the lines of a file; of one that can't be read, none."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return []


def words(file: Path) -> list[str]:
    """Return the words of a file; of one that can't be read, none."""
    return " ".join(lines(file)).split()
