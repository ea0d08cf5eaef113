"""P1: requests a second with everything on, over the same endpoint with nothing around it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from .result import Bars, Figure, Goal, Result, Spread, at_least, at_most
from .rig import SIDES, Offered, Rig
from .surroundings import versions
from .wrk import Load

TITLE = "Throughput"

_CLIENTS = 32
_BARE = "bare FastAPI"
_RECIPE = "tutorial recipe"
_CALM_FACTOR = 3
"""How many rounds at half load for one of the others: a 99th percentile differs more by round."""
_ENOUGH = at_least(0.85)


def measure(rig: Rig) -> Result:
    """Let all sides answer as much as they can, then offer two of them half as much."""
    project = rig.project(archetype="minimal")
    with rig.apart():
        peaks = rig.interleave({side: _peak(rig, project, side) for side in SIDES})
        rates = {side: [load.good for load in loads] for side, loads in peaks.items()}
        half = Spread.of(rates["service"]).median / 2
        calm = rig.interleave(
            {side: _at(rig, project, side, half) for side in ("service", _BARE)},
            _CALM_FACTOR * rig.rounds,
        )

    def over(rival: str, goal: Goal | None = None, side: str = "service") -> Figure:
        return Figure.of(f"{side} over {rival}", "/s", rates, (side, rival), goal)

    def at_half(name: str, unit: str, of: Callable[[Offered], float], goal: Goal | None) -> Figure:
        found = {side: [of(one) for one in seen] for side, seen in calm.items()}
        name = f"{name} at half load, over bare FastAPI at that rate"
        return Figure.of(name, unit, found, ("service", _BARE), goal)

    late = Spread.of([seen.late for of in calm.values() for seen in of]).median
    return Result(
        [
            over(_BARE, _ENOUGH),
            over("bare FastAPI, no router"),
            over(_RECIPE, at_least(3.0)),
            over(_RECIPE, side=_BARE),
            over("raw ASGI"),
            at_half("99th percentile", "ms", lambda seen: seen.p99, at_most(1.3)),
            at_half("median", "ms", lambda seen: seen.p50, None),
            at_half("replies", "/s", lambda seen: seen.reached, None),
        ],
        [
            Bars(
                "throughput",
                "Requests a second, one worker",
                "over bare FastAPI",
                {side: Spread.ratio(of, rates[_BARE]) for side, of in rates.items()},
                {"service": _ENOUGH},
            )
        ],
        {
            "clients": str(_CLIENTS),
            "processors": "one for the load, the others for server and worker",
            "offered as half load": f"{half:,.0f}/s at random times, the same for both",
            "lateness of the generator, 99th percentile": f"{late:.2f} ms",
        },
        versions(project, "wrk"),
        rig.seconds,
    )


def _peak(rig: Rig, project: Path, side: str) -> Callable[[], Load]:
    def run() -> Load:
        with rig.side(project, side) as server:
            return rig.load(server, clients=_CLIENTS)

    return run


def _at(rig: Rig, project: Path, side: str, rate: float) -> Callable[[], Offered]:
    seeds = count()

    def run() -> Offered:
        with rig.side(project, side) as server:
            return rig.offer(server, rate, next(seeds))

    return run
