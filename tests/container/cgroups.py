"""A cgroup of the kernel's, version 1 or 2, with limits on CPU and memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from boot.harness import eventually

ROOT = Path("/sys/fs/cgroup")
PERIOD = 100_000
MIB = 1024 * 1024


@contextmanager
def cgroup(cpu: float | None = None, memory_mib: int | None = None) -> Iterator[list[str]]:
    """Make a cgroup; yields a command prefix that starts a program inside it.

    The limits stand on the outer one of two nested groups and the program runs in the inner one,
    as in a pod whose containers have no limits of their own. Skips the test where the machine
    doesn't let us make cgroups.
    """
    name = f"ballast-test-{os.getpid()}"
    unified = (ROOT / "cgroup.controllers").exists()
    outer = [ROOT / name] if unified else [ROOT / part / name for part in ("cpu", "memory")]
    inner = [folder / "inner" for folder in outer]
    try:
        for folder in outer:
            folder.mkdir()
        if unified:
            _limit_v2(outer[0], cpu, memory_mib)
        else:
            _limit_v1(outer[0], outer[1], cpu, memory_mib)
        for folder in inner:
            folder.mkdir()
    except OSError as error:
        _remove(inner + outer)
        pytest.skip(f"this machine lets us make no cgroups: {error}")
    join = "; ".join(f"echo $$ > {folder}/cgroup.procs" for folder in inner)
    try:
        yield ["sh", "-ec", f'{join}; exec "$@"', "sh"]
    finally:
        _remove(inner + outer)


def _limit_v1(cpu_group: Path, memory_group: Path, cpu: float | None, mib: int | None) -> None:
    if cpu is not None:
        (cpu_group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (cpu_group / "cpu.cfs_quota_us").write_text(str(int(cpu * PERIOD)))
    if mib is not None:
        (memory_group / "memory.limit_in_bytes").write_text(str(mib * MIB))


def _limit_v2(group: Path, cpu: float | None, mib: int | None) -> None:
    (ROOT / "cgroup.subtree_control").write_text("+cpu +memory")
    if cpu is not None:
        (group / "cpu.max").write_text(f"{int(cpu * PERIOD)} {PERIOD}")
    if mib is not None:
        (group / "memory.max").write_text(str(mib * MIB))


def _remove(folders: list[Path]) -> None:
    """Remove the groups, each as soon as the killed processes have left it."""

    def gone(folder: Path) -> bool:
        if folder.exists():
            folder.rmdir()
        return True

    for folder in folders:
        eventually(partial(gone, folder), 10, what=f"an empty {folder}")
