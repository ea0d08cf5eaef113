"""P4: from `exec` to a service that is ready, over bare FastAPI to its first reply."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from .result import Bars, Figure, Result, Spread, at_most
from .rig import Rig
from .surroundings import versions

TITLE = "Start"

_SIDES = ("service", "bare FastAPI")
_GOAL = at_most(1.5)


def measure(rig: Rig) -> Result:
    """Both are asked every five milliseconds until the answer is 200."""
    project = rig.project(archetype="minimal")
    took = rig.interleave(
        {side: partial(_start, rig, project, side) for side in _SIDES}, 2 * rig.rounds
    )
    return Result(
        [
            Figure.of(
                "exec to ready, over bare FastAPI to its first reply", "s", took, _SIDES, _GOAL
            )
        ],
        [
            Bars(
                "startup",
                "From exec to the first reply, one worker",
                "over bare FastAPI",
                {side: Spread.ratio(of, took["bare FastAPI"]) for side, of in took.items()},
                {"service": _GOAL},
            )
        ],
        {"workers": "1"},
        versions(project),
    )


def _start(rig: Rig, project: Path, side: str) -> float:
    with rig.side(project, side) as server:
        return server.started_in
