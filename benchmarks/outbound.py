"""P7, second half: calls by the service's outbound client, over the HTTP client that it is made of.

The other side answers at once and from the same machine, which no real one does: what is measured
is the most that deadline, retries, breaker and metrics can cost.
"""

from __future__ import annotations

import json

from .result import Bars, Figure, Result, Spread, at_least
from .rig import Rig, inside
from .surroundings import versions

TITLE = "Outbound calls"

_CALLS = 2000
_CASES = {
    "one call at a time": (1, 1),
    "eight at a time": (8, 1),
    "one at a time, each of another path": (1, 10**9),
}
"""By name: tasks, and different paths."""
_GOAL = at_least(0.9)


def measure(rig: Rig) -> Result:
    """Both clients ask the same server, in turns."""
    project = rig.project(archetype="minimal")
    figures: list[Figure] = []
    bars: dict[str, Spread] = {}
    with rig.rival(project, "floor:app") as server:
        url = f"http://127.0.0.1:{server.port}"
        for kind, (tasks, paths) in _CASES.items():
            arguments = (url, *map(str, (rig.rounds, _CALLS, tasks, paths)))
            found = json.loads(inside(project, "upstream_calls.py", *arguments))
            for by, part, goal in (("", 0, _GOAL), (", by processor time", 1, None)):
                rates = {client: [pair[part] for pair in of] for client, of in found.items()}
                name = f"outbound client over httpx2, {kind}{by}"
                figures.append(Figure.of(name, "/s", rates, ("upstream", "httpx2"), goal))
            bars[kind] = figures[-2].value
    return Result(
        figures,
        [
            Bars(
                "outbound",
                "Outbound calls",
                "over raw httpx2",
                bars,
                dict.fromkeys(bars, _GOAL),
            )
        ],
        {"calls in a round": f"{_CALLS:,}"},
        versions(project, "httpx2", "httpcore2", "stamina"),
    )
