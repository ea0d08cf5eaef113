"""Loads for a service that can't carry them, and its goodput whatever else the machine does.

What generates the load has a processor of its own where there are two: it must not take from the
service, when it offers more, what the service is measured by. What others take of the service's
processor is measured and taken out: a rate is one per second that the processor was free for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import support
from boot.harness import children

OFFER = Path(__file__).parent / "offer.py"
PROCESSORS = sorted(os.sched_getaffinity(0))
OURS, THEIRS = PROCESSORS[-1:], PROCESSORS[:-1] or PROCESSORS
"""Where the load generator runs, and where the service and its database do."""


def pinned(processors: list[int]) -> list[str]:
    """What runs a program on these processors only."""
    return [support.require_engine("taskset"), "-c", ",".join(map(str, processors))]


def offer(
    port: int, processes: list[int], seconds: float, kind: str, number: float
) -> dict[str, Any]:
    """Offer a load and return what came of it; `free` is the share of the processors that was ours.

    `processes` are the service's master and its database, if that is a process.
    """
    arguments = [str(port), str(seconds), kind, str(number)]
    began, busy, used = time.monotonic(), _busy(), _used(processes)
    done = subprocess.run(
        [*pinned(OURS), sys.executable, str(OFFER), *arguments],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(done.stdout)
    others = max(0.0, _busy() - busy - (_used(processes) - used))
    told["free"] = 1 - others / (time.monotonic() - began) / len(THEIRS)
    told["rate"] = told["good_per_second"] / told["free"]
    return told


def _busy() -> float:
    """Seconds for which the service's processors were busy, with whatever."""
    names = {f"cpu{number}" for number in THEIRS}
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    ticks = 0
    for name, *fields in lines:
        if name in names:
            user, nice, system, _, _, *others = map(int, fields[:8])  # not: idle, waiting for disks
            ticks += user + nice + system + sum(others)
    return ticks / os.sysconf("SC_CLK_TCK")


def _used(processes: list[int]) -> float:
    """Seconds of processor time that these processes and all below them have used."""
    seconds = 0.0
    for pid in processes:
        seconds += _used(children(pid))
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):  # it has just ended
                seconds += int((thread / "schedstat").read_text().split()[0]) / 1e9
    return seconds
