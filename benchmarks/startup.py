"""P4: from `exec` to a service that is ready, over bare FastAPI to its first reply."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from .result import Bars, Figure, Result, Spread, at_most
from .rig import Rig

TITLE = "Start"


def measure(rig: Rig) -> Result:
    """Both are asked every five milliseconds until the answer is 200."""
    project = rig.project(archetype="minimal")
    sides: dict[str, Callable[[], float]] = {
        "service": partial(_service, rig, project),
        "bare FastAPI": partial(_bare, rig, project),
    }
    took = rig.interleave(sides, 2 * rig.rounds)
    return Result(
        [
            Figure(
                "exec to ready, over bare FastAPI to its first reply",
                Spread.ratio(took["service"], took["bare FastAPI"]),
                at_most(1.5),
                beside={side: f"{Spread.of(of).median:.2f} s" for side, of in took.items()},
            )
        ],
        [
            Bars(
                "startup",
                "From exec to the first reply, one worker",
                "over bare FastAPI",
                {side: Spread.ratio(of, took["bare FastAPI"]) for side, of in took.items()},
                at_most(1.5),
            )
        ],
        {"workers": "1"},
    )


def _service(rig: Rig, project: Path) -> float:
    with rig.service(project) as server:
        return server.started_in


def _bare(rig: Rig, project: Path) -> float:
    with rig.rival(project, "bare:app") as server:
        return server.started_in
