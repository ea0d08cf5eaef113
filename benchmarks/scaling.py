"""P2: what a second worker adds, over what it adds to bare FastAPI."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from .result import Figure, Lines, Result, Spread, at_least
from .rig import Rig, Server

TITLE = "Scaling"

_CLIENTS = 64
_WORKERS = (1, 2)
_SIDES = ("service", "bare FastAPI")


def measure(rig: Rig) -> Result:
    """Both with one worker and with two."""
    project = rig.project(archetype="minimal")
    sides: dict[str, Callable[[], float]] = {
        f"{side}, {workers}": partial(_rate, rig, project, side, workers)
        for side in _SIDES
        for workers in _WORKERS
    }
    rates = rig.interleave(sides)
    gains = {
        side: [two / one for one, two in zip(rates[f"{side}, 1"], rates[f"{side}, 2"], strict=True)]
        for side in _SIDES
    }
    service, bare = (gains[side] for side in _SIDES)
    medians = {name: Spread.of(of).median for name, of in rates.items()}
    unit = medians["bare FastAPI, 1"]
    return Result(
        [
            Figure(
                "gain by a second worker, over that of bare FastAPI",
                Spread.ratio(service, bare),
                at_least(0.95),
                beside={side: f"{Spread.of(gains[side]).median:.2f} times" for side in _SIDES},
            ),
            Figure(
                "service over bare FastAPI, two workers",
                Spread.ratio(rates["service, 2"], rates["bare FastAPI, 2"]),
                beside={side: f"{medians[f'{side}, 2']:,.0f}/s" for side in _SIDES},
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
                    side: [medians[f"{side}, {workers}"] / unit for workers in _WORKERS]
                    for side in _SIDES
                },
            )
        ],
        {"clients": str(_CLIENTS)},
    )


def _rate(rig: Rig, project: Path, side: str, workers: int) -> float:
    running: AbstractContextManager[Server] = (
        rig.service(project, workers=workers)
        if side == "service"
        else rig.rival(project, "bare:app", workers=workers)
    )
    with running as server:
        return rig.load(server, clients=_CLIENTS).good
