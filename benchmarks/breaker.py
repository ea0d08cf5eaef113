"""P7, first half: what a closed circuit breaker adds to a call, in processor time."""

from __future__ import annotations

import json

from .result import Bars, Figure, Result, Side, at_most
from .rig import Rig, inside
from .surroundings import versions

TITLE = "Circuit breaker"

_CALLS = 20_000
_GOAL = at_most(2.0)


def measure(rig: Rig) -> Result:
    """Guarded calls of an empty function beside plain ones, in one process, in turns."""
    project = rig.project(archetype="minimal")
    rounds = 3 if rig.quick else 15
    pairs = json.loads(inside(project, "breaker_calls.py", str(rounds), str(_CALLS)))
    figures = {
        way: Figure(
            f"`{way}` adds",
            Side.of("guarded", "microseconds", [guarded for _, guarded in of]),
            Side.of("plain", "microseconds", [plain for plain, _ in of]),
            _GOAL,
            "difference",
        )
        for way, of in pairs.items()
    }
    return Result(
        list(figures.values()),
        [
            Bars(
                "breaker",
                "What a closed circuit adds to a call",
                "microseconds",
                {way: figure.value for way, figure in figures.items()},
                dict.fromkeys(figures, _GOAL),
            )
        ],
        {"calls in a round": f"{_CALLS:,}"},
        versions(project),
    )
