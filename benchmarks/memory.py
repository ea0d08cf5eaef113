"""P3: the memory of a worker, preloaded, over one of bare FastAPI that isn't."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from .result import Bars, Figure, Goal, Result, Spread, at_most
from .rig import Rig
from .server import pss_kib
from .surroundings import versions

TITLE = "Memory"

_WORKERS = 2
_SECONDS = 1.0
_BARE, _PRELOADED = "bare FastAPI", "bare FastAPI, preloaded"
_GOAL = at_most(1.0)


def measure(rig: Rig) -> Result:
    """What each worker has for itself, with its share of what all share, after some load."""
    project = rig.project(archetype="minimal")
    sides: dict[str, Callable[[], tuple[float, float]]] = {
        "service": partial(_memory, rig, project, "service"),
        _BARE: partial(_memory, rig, project, _BARE),
        _PRELOADED: partial(_memory, rig, project, _BARE, preload=True),
    }
    found = rig.interleave(sides)
    worker = {side: [one for one, _ in of] for side, of in found.items()}
    together = {side: [all_of for _, all_of in of] for side, of in found.items()}

    def over(name: str, of: dict[str, list[float]], rival: str, goal: Goal | None = None) -> Figure:
        return Figure.of(name, "MiB", of, ("service", rival), goal)

    return Result(
        [
            over("PSS of a worker, over bare FastAPI that isn't preloaded", worker, _BARE, _GOAL),
            over("PSS of a worker, over bare FastAPI that is preloaded", worker, _PRELOADED),
            over(
                "PSS of master and two workers, over bare FastAPI that isn't preloaded",
                together,
                _BARE,
            ),
        ],
        [
            Bars(
                "memory",
                "Memory of a worker (PSS)",
                "over bare FastAPI that isn't preloaded",
                {side: Spread.ratio(of, worker[_BARE]) for side, of in worker.items()},
                {"service": _GOAL},
            )
        ],
        {"workers": str(_WORKERS)},
        versions(project, "wrk"),
        _SECONDS,
    )


def _memory(rig: Rig, project: Path, side: str, *, preload: bool = False) -> tuple[float, float]:
    """MiB of a worker, on average, and of all the processes."""
    with rig.side(project, side, workers=_WORKERS, preload=preload) as server:
        rig.load(server, clients=16, seconds=_SECONDS)
        workers = server.pss_kib()
        together = pss_kib(server.pid) + sum(workers)
    return sum(workers) / len(workers) / 1024, together / 1024
