"""P7, first half: what a closed circuit breaker adds to a call, in processor time."""

from __future__ import annotations

import json

from .result import Bars, Figure, Result, Spread, at_most
from .rig import Rig, inside

TITLE = "Circuit breaker"

_CALLS = 20_000
_GOAL = at_most(2.0)


def measure(rig: Rig) -> Result:
    """Guarded calls of an empty function beside plain ones, in one process."""
    project = rig.project(archetype="minimal")
    rounds = 3 if rig.quick else 15
    pairs = json.loads(inside(project, "breaker_calls.py", str(rounds), str(_CALLS)))
    added = {
        way: Spread.of([guarded - plain for plain, guarded in rounds])
        for way, rounds in pairs.items()
    }
    return Result(
        [
            Figure(
                f"`{way}` adds",
                spread,
                _GOAL,
                "microseconds",
                {"a plain call": f"{Spread.of([plain for plain, _ in pairs[way]]).median:.2f}"},
            )
            for way, spread in added.items()
        ],
        [Bars("breaker", "What a closed circuit adds to a call", "microseconds", added, _GOAL)],
        {"calls in a round": f"{_CALLS:,}", "rounds": str(rounds)},
    )
