"""P7, second half: calls by the service's outbound client, over the HTTP client that it is made of.

The other side answers at once and from the same machine, which no real one does: what is measured
is the most that deadline, retries, breaker and metrics can cost.
"""

from __future__ import annotations

import json

from .result import Bars, Figure, Result, Spread, at_least
from .rig import Rig, inside

TITLE = "Outbound calls"

_CALLS = 2000
_CASES = {
    "one call at a time": (1, 1),
    "eight at a time": (8, 1),
    "one at a time, each of another path": (1, 10**9),
}
"""By name: tasks, and different paths."""


def measure(rig: Rig) -> Result:
    """Both clients ask the same server, in turns."""
    project = rig.project(archetype="minimal")
    figures, bars = [], {}
    with rig.rival(project, "floor:app") as server:
        url = f"http://127.0.0.1:{server.port}"
        for kind, (tasks, paths) in _CASES.items():
            arguments = (url, *map(str, (rig.rounds, _CALLS, tasks, paths)))
            found = json.loads(inside(project, "upstream_calls.py", *arguments))
            clock, used = (
                {client: [pair[part] for pair in rounds] for client, rounds in found.items()}
                for part in (0, 1)
            )
            ratio = Spread.ratio(clock["upstream"], clock["httpx2"])
            bars[kind] = ratio
            by_processor = Spread.ratio(used["upstream"], used["httpx2"]).median
            beside = {client: f"{Spread.of(of).median:,.0f}/s" for client, of in clock.items()}
            beside["by processor time"] = f"{by_processor:.2f}"
            figures.append(
                Figure(f"outbound client over httpx2, {kind}", ratio, at_least(0.9), beside=beside)
            )
    return Result(
        figures,
        [Bars("outbound", "Outbound calls", "over raw httpx2", bars, at_least(0.9))],
        {"calls in a round": f"{_CALLS:,}"},
    )
