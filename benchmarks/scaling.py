"""P2: what a second worker adds, over what it adds to bare FastAPI."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from boot.overload import PROCESSORS

from .result import Figure, Lines, Result, Spread, at_least
from .rig import Rig
from .surroundings import versions

TITLE = "Scaling"

_CLIENTS = 64
_WORKERS = (1, 2)
_SIDES = ("service", "bare FastAPI")
_NEEDED = max(_WORKERS) + 1
"""Processors: one for each worker, and one for wrk."""


def measure(rig: Rig) -> Result:
    """Both with one worker and with two. No verdict where they would fight for processors."""
    project = rig.project(archetype="minimal")
    enough = len(PROCESSORS) >= _NEEDED
    sides: dict[str, Callable[[], float]] = {
        f"{side}, {workers}": partial(_rate, rig, project, side, workers)
        for side in _SIDES
        for workers in _WORKERS
    }
    with rig.apart() if enough else nullcontext():
        rates = rig.interleave(sides)
    gains = {side: Spread.ratio(rates[f"{side}, 2"], rates[f"{side}, 1"]).rounds for side in _SIDES}
    unit = rates["bare FastAPI, 1"]
    settings = {"clients": str(_CLIENTS)}
    if not enough:
        settings["no verdict"] = f"two workers and wrk would need {_NEEDED} processors"
    return Result(
        [
            Figure.of(
                "gain by a second worker, over that of bare FastAPI",
                "times",
                gains,
                _SIDES,
                at_least(0.95) if enough else None,
            ),
            *(
                Figure.of(
                    f"service over bare FastAPI, workers: {workers}",
                    "/s",
                    {side: rates[f"{side}, {workers}"] for side in _SIDES},
                    _SIDES,
                )
                for workers in _WORKERS
            ),
        ],
        [
            Lines(
                "scaling",
                "Requests a second by workers",
                "workers",
                "over bare FastAPI with one",
                [str(workers) for workers in _WORKERS],
                {
                    side: [Spread.ratio(rates[f"{side}, {workers}"], unit) for workers in _WORKERS]
                    for side in _SIDES
                },
            )
        ],
        settings,
        versions(project, "wrk"),
        rig.seconds,
    )


def _rate(rig: Rig, project: Path, side: str, workers: int) -> float:
    with rig.side(project, side, workers=workers) as server:
        return rig.load(server, clients=_CLIENTS).good
