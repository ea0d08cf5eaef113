"""What this process runs on, in numbers: GLOSSARY section 1, `system`.

Memory is that of the container where the container has a limit. The numbers are read in threads,
since a file system that hangs mustn't hold up the event loop, and only once for all who ask.
"""

import asyncio
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, cast

from ..capacity.cgroup import MIB, words
from ..capacity.memory_use import read_memory_use

GIB = 1024 * MIB
PROC, SYS, HERE = Path("/proc"), Path("/sys"), Path()


class SystemInfo(TypedDict):
    """Null is what can't be known. "mb" are MiB and "gb" GiB; `memory_usage_pct` is 0 to 100."""

    cpu_load_1m: float | None
    """Of the whole host: the kernel has no load average of a container."""
    memory_total_mb: float | None
    memory_available_mb: float | None
    memory_usage_pct: float | None
    disk_total_gb: float | None
    disk_free_gb: float | None
    """What this user may still write to the file system of the working directory."""
    python_version: str
    pid: int
    """Of the worker that answers."""


def read_host(proc: Path = PROC, sys: Path = SYS) -> dict[str, float | None]:
    """Load and memory; never raises."""
    memory = read_memory_use(proc, sys)
    ratio = memory.used_ratio
    return {
        "cpu_load_1m": _load(proc),
        "memory_total_mb": _in(MIB, memory.total),
        "memory_available_mb": _in(MIB, memory.available),
        "memory_usage_pct": None if ratio is None else round(ratio * 100, 2),
    }


def read_disk(folder: Path = HERE) -> dict[str, float | None]:
    """The file system of a folder; never raises, but may hang as long as that does."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return {"disk_total_gb": None, "disk_free_gb": None}
    return {
        "disk_total_gb": _in(GIB, found.f_blocks * found.f_frsize),
        "disk_free_gb": _in(GIB, found.f_bavail * found.f_frsize),
    }


def disk_used_ratio(folder: Path = HERE) -> float | None:
    """The part of a file system that is in use, from 0 to 1, as df(1) has it; None if unknown.

    Of what this user could use: what is kept for root counts as neither used nor free.
    """
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    used = found.f_blocks - found.f_bfree
    usable = used + found.f_bavail
    return used / usable if usable else None


class SystemReader:
    """Reads all of it beside the event loop. `proc`, `sys` and `folder` are where it looks.

    A part that takes longer than `patience` seconds is null, and isn't started again while it
    hangs.
    """

    def __init__(
        self,
        proc: Path = PROC,
        sys: Path = SYS,
        folder: Path = HERE,
        *,
        patience: float = 1.0,
    ) -> None:
        self._parts: tuple[Callable[[], dict[str, float | None]], ...] = (
            lambda: read_host(proc, sys),
            lambda: read_disk(folder),
        )
        self._patience = patience
        self._running: dict[int, asyncio.Future[dict[str, float | None]]] = {}

    async def read(self) -> SystemInfo:
        """The numbers as they are now."""
        loop = asyncio.get_running_loop()
        for number, part in enumerate(self._parts):
            running = self._running.get(number)
            if running is None or running.done() or running.get_loop() is not loop:
                self._running[number] = loop.run_in_executor(None, part)
        # Held here: whoever asks next puts its own in their place as soon as these are done.
        asked = list(self._running.values())
        done, _ = await asyncio.wait(asked, timeout=self._patience)
        info: dict[str, object] = {**unknown()}
        for running in done:
            info |= running.result()
        return cast(SystemInfo, info)


def unknown() -> SystemInfo:
    """What is known without asking the machine."""
    return SystemInfo(
        cpu_load_1m=None,
        memory_total_mb=None,
        memory_available_mb=None,
        memory_usage_pct=None,
        disk_total_gb=None,
        disk_free_gb=None,
        python_version=platform.python_version(),
        pid=os.getpid(),
    )


def _load(proc: Path) -> float | None:
    try:
        return float(words(proc / "loadavg")[0])
    except (IndexError, ValueError):
        return None


def _in(unit: int, size: int | None) -> float | None:
    return None if size is None else round(size / unit, 2)
