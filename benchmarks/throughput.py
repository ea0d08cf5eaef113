"""P1: requests a second with everything on, over the same endpoint with nothing around it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from .result import Bars, Figure, Goal, Result, Spread, at_least, at_most
from .rig import Load, Rig, Server

TITLE = "Throughput"

_CLIENTS = 32
_SIDES = {
    "service": "",
    "bare FastAPI": "bare:app",
    "bare FastAPI, no router": "bare:direct",
    "raw ASGI": "floor:app",
    "tutorial recipe": "tutorial:app",
}


def measure(rig: Rig) -> Result:
    """Let all sides answer as much as they can, then two of them half as much."""
    project = rig.project(archetype="minimal")
    peaks = rig.interleave({side: _peak(rig, project, side) for side in _SIDES})
    rates = {side: [load.good for load in loads] for side, loads in peaks.items()}
    half = Spread.of(rates["service"]).median / 2
    calm = rig.interleave(
        {side: _at(rig, project, side, half) for side in ("service", "bare FastAPI")}
    )
    p99 = {side: [load.p99 for load in loads] for side, loads in calm.items()}

    def over(rival: str, goal: Goal | None = None) -> Figure:
        return Figure(
            f"service over {rival}",
            Spread.ratio(rates["service"], rates[rival]),
            goal,
            beside={side: f"{Spread.of(rates[side]).median:,.0f}/s" for side in ("service", rival)},
        )

    bare = rates["bare FastAPI"]
    return Result(
        [
            over("bare FastAPI", at_least(0.85)),
            over("bare FastAPI, no router"),
            over("tutorial recipe", at_least(3.0)),
            over("raw ASGI"),
            Figure(
                "99th percentile at half load, over bare FastAPI asked as often",
                Spread.ratio(p99["service"], p99["bare FastAPI"]),
                at_most(1.3),
                beside={side: f"{Spread.of(of).median:.1f} ms" for side, of in p99.items()},
            ),
        ],
        [
            Bars(
                "throughput",
                "Requests a second, one worker",
                "over bare FastAPI",
                {side: Spread.ratio(of, bare) for side, of in rates.items()},
                at_least(0.85),
            )
        ],
        {"clients": str(_CLIENTS), "half load": f"{half:,.0f}/s"},
    )


def _running(rig: Rig, project: Path, side: str) -> AbstractContextManager[Server]:
    app = _SIDES[side]
    return rig.rival(project, app) if app else rig.service(project)


def _peak(rig: Rig, project: Path, side: str) -> Callable[[], Load]:
    def run() -> Load:
        with _running(rig, project, side) as server:
            return rig.load(server, clients=_CLIENTS)

    return run


def _at(rig: Rig, project: Path, side: str, rate: float) -> Callable[[], Load]:
    def run() -> Load:
        with _running(rig, project, side) as server:
            return rig.load(server, clients=_CLIENTS, script=_paced(_CLIENTS / rate))

    return run


def _paced(seconds: float) -> str:
    return f"function delay() return math.random(0, {round(2000 * seconds)}) end"
