"""P3: the memory of a worker, preloaded, over one of bare FastAPI that isn't."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from .result import Bars, Figure, Result, Spread, at_most
from .rig import Rig, Server, pss_kib

TITLE = "Memory"

_WORKERS = 2


def measure(rig: Rig) -> Result:
    """What each worker has for itself, with its share of what all share, after some load."""
    project = rig.project(archetype="minimal")
    sides: dict[str, Callable[[], tuple[float, float]]] = {
        "service": partial(_service, rig, project),
        "bare FastAPI": partial(_bare, rig, project, preload=False),
        "bare FastAPI, preloaded": partial(_bare, rig, project, preload=True),
    }
    found = rig.interleave(sides, max(2, rig.rounds // 3))
    worker = {side: [one for one, _ in of] for side, of in found.items()}
    together = {side: [all_of for _, all_of in of] for side, of in found.items()}

    def beside(kib: dict[str, list[float]], rival: str) -> dict[str, str]:
        return {
            name: f"{Spread.of(kib[name]).median / 1024:.1f} MiB" for name in ("service", rival)
        }

    bare, preloaded = "bare FastAPI", "bare FastAPI, preloaded"
    return Result(
        [
            Figure(
                "PSS of a worker, over bare FastAPI that isn't preloaded",
                Spread.ratio(worker["service"], worker[bare]),
                at_most(1.0),
                beside=beside(worker, bare),
            ),
            Figure(
                "PSS of a worker, over bare FastAPI that is preloaded",
                Spread.ratio(worker["service"], worker[preloaded]),
                beside=beside(worker, preloaded),
            ),
            Figure(
                "PSS of master and two workers, over bare FastAPI that isn't preloaded",
                Spread.ratio(together["service"], together[bare]),
                beside=beside(together, bare),
            ),
        ],
        [
            Bars(
                "memory",
                "Memory of a worker (PSS)",
                "over bare FastAPI that isn't preloaded",
                {side: Spread.ratio(of, worker[bare]) for side, of in worker.items()},
                at_most(1.0),
            )
        ],
        {"workers": str(_WORKERS)},
    )


def _service(rig: Rig, project: Path) -> tuple[float, float]:
    with rig.service(project, workers=_WORKERS) as server:
        return _memory(rig, server)


def _bare(rig: Rig, project: Path, *, preload: bool) -> tuple[float, float]:
    with rig.rival(project, "bare:app", workers=_WORKERS, preload=preload) as server:
        return _memory(rig, server)


def _memory(rig: Rig, server: Server) -> tuple[float, float]:
    """KiB of a worker, on average, and of all the processes."""
    rig.load(server, clients=16, seconds=1)
    workers = server.pss_kib()
    return sum(workers) / len(workers), pss_kib(server.pid) + sum(workers)
