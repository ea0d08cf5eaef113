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


def read_limits(proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> Limits:
    """Read the limits of this process; never raises."""
    paths = dict(_own_paths(proc))
    mounts = list(_mounts(proc, sys)) or list(_usual_mounts(sys))

    def smallest(controller: str, read: Callable[[Path], float | None]) -> float | None:
        path = paths.get(controller, PurePosixPath("/"))
        folders = [f for m in mounts if controller in m.controllers for f in _upwards(m, path)]
        return min((limit for f in folders if (limit := read(f)) is not None), default=None)

    cpu = _smaller(smallest(UNIFIED, _cpu_v2), smallest("cpu", _cpu_v1))
    memory = _smaller(smallest(UNIFIED, _memory_v2), smallest("memory", _memory_v1))
    return Limits(cpu=cpu, memory_mib=None if memory is None else int(memory) // MIB)


def read_affinity() -> int | None:
    """Count the CPUs that the scheduler may put this process on (``taskset``, cpusets)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _own_paths(proc: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """Yield controller and path from lines such as ``4:cpu,cpuacct:/a/b`` and ``0::/a/b``."""
    for line in _lines(proc / "self" / "cgroup"):
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon:
            yield from ((name, PurePosixPath(path)) for name in controllers.split(","))


def _mounts(proc: Path, sys: Path) -> Iterator[_Mount]:
    """Yield the cgroup file systems; proc(5) numbers the fields of a line."""
    for line in _lines(proc / "self" / "mountinfo"):
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
    quota, period = (*_words(folder / "cpu.max"), "", "")[:2]
    return _ratio(quota, period)


def _cpu_v1(folder: Path) -> float | None:
    quota, period = (_words(folder / f"cpu.cfs_{part}_us") for part in ("quota", "period"))
    return _ratio("".join(quota), "".join(period))


def _memory_v2(folder: Path) -> float | None:
    return _at_least_a_mib("".join(_words(folder / "memory.max")))


def _memory_v1(folder: Path) -> float | None:
    size = _at_least_a_mib("".join(_words(folder / "memory.limit_in_bytes")))
    return size if size is not None and size < V1_UNLIMITED_BYTES else None


def _ratio(quota: str, period: str) -> float | None:
    """Turn microseconds per period into CPUs; ``max`` (v2) and ``-1`` (v1) are no limit."""
    part, whole = _number(quota), _number(period)
    return part / whole if part and whole else None


def _at_least_a_mib(size: str) -> int | None:
    """Turn bytes into a number; ``max`` and what no process could live in are no limit."""
    number = _number(size)
    return number if number is not None and number >= MIB else None


def _number(word: str) -> int | None:
    # Twenty digits hold any 64-bit number; int() itself refuses a few thousand.
    return int(word) if word.isdecimal() and len(word) <= 20 else None


def _smaller(one: float | None, other: float | None) -> float | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _unescape(field: str) -> str:
    r"""Undo mountinfo's octal escapes, e.g. ``\040`` for a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return []


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()
