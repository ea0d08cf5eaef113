"""P11: instructions a request, which no neighbour on the machine can change.

Callgrind counts what one worker executes, the kernel's part excluded: nearly the same twice, where
times differ by a third. So a test can hold the ratio against the one that is kept here, and catch
a regression that no measurement of time would show on a shared machine.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import support

from .result import Bars, Figure, Goal, Result, Spread, at_most
from .rig import SIDES, Rig
from .surroundings import versions

TITLE = "Instructions"

KEPT = Path(__file__).parent / "kept_ratios.json"
"""What the service took over bare FastAPI, by version of Python; changed by hand, on purpose."""

TURNS = 3
REQUESTS = 800
_PROGRAM = Path(__file__).parent / "inside/one_worker.py"
_PATIENCE = 600  # seconds, for what takes fifteen on an idle machine
_BARE = "bare FastAPI"


@dataclass(frozen=True)
class _Counted:
    """What `one_worker.py` is asked for."""

    side: str
    options: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


_COUNTED = {
    **{name: _Counted(app or "service") for name, app in SIDES.items()},
    "service, no access line": _Counted("service", settings={"LOG_LEVEL": "WARNING"}),
    "service, no middleware": _Counted("service:unguarded"),
    "bare FastAPI, frozen": _Counted("bare:app", ("--frozen",)),
    **{
        f"{name}, {which}": _Counted(app or "service", option)
        for name, app in SIDES.items()
        if name in ("service", _BARE)
        for which, option in {
            "one connection": ("--connections=1",),
            "new header": ("--path=/new-header",),
        }.items()
    },
}


def measure(rig: Rig) -> Result:
    """All sides in turns, a few times: two counts hardly differ."""
    project = rig.project(archetype="minimal")
    requests = 400 if rig.quick else REQUESTS
    counts = rig.interleave(
        {
            name: partial(_count, project, counted, rig.folder, requests)
            for name, counted in _COUNTED.items()
        },
        1 if rig.quick else TURNS,
    )

    def over(rival: str, goal: Goal | None = None, side: str = "service") -> Figure:
        return Figure.of(f"{side} over {rival}", "instructions", counts, (side, rival), goal)

    return Result(
        [
            over(_BARE, at_most(round(1 / 0.85, 2))),
            over("bare FastAPI, frozen"),
            over("bare FastAPI, one connection", side="service, one connection"),
            over("bare FastAPI, new header", side="service, new header"),
            over(_BARE, side="service, no access line"),
            over(_BARE, side="service, no middleware"),
            over("bare FastAPI, no router"),
            over("tutorial recipe"),
            over("raw ASGI"),
        ],
        [
            Bars(
                "instructions",
                "Instructions a request",
                "over bare FastAPI",
                {side: Spread.ratio(counts[side], counts[_BARE]) for side in SIDES},
            )
        ],
        {
            "counted by": "Callgrind, without the kernel",
            "requests counted": str(requests),
            "connections": "8, asked in lock-step, so that eight access lines are written together",
            "reply headers": "the same each time, so that the service finds them in its cache",
        },
        versions(project, "Valgrind"),
    )


def _count(project: Path, counted: _Counted, folder: Path, requests: int) -> float:
    options = counted.options
    return count(project, counted.side, folder, requests, *options, **counted.settings)


def count(
    project: Path, side: str, folder: Path, requests: int, *options: str, **settings: str
) -> float:
    """Instructions a request of one worker; `side` and `options` as `one_worker.py` takes them.

    Raises RuntimeError when Valgrind fails.
    """
    name = f"{side.replace(':', '-')}-{os.getpid()}"
    pipes, output = folder / f"vgdb-{name}", folder / f"{name}.log"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "VGDB_PREFIX": str(pipes),
        "PYTHONHASHSEED": "0",
        "LOG_FORMAT": "json",
        "WORKER_TMP_DIR": str(folder),
        **settings,
    }
    with output.open("wb") as log:
        done = subprocess.run(
            [
                *("valgrind", "--tool=callgrind", "--instr-atstart=no"),
                *(f"--callgrind-out-file={folder / name}.callgrind", f"--vgdb-prefix={pipes}"),
                *(str(project / ".venv/bin/python"), str(_PROGRAM)),
                *(side, str(requests), *options),
            ],
            cwd=project,
            env=environment,
            stdout=log,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None or found[1] == "0":
        raise RuntimeError(
            f"{side} ended with {done.returncode}\n{done.stderr}{output.read_text()}"
        )
    return int(found[1]) / requests


def python_of(project: Path) -> str:
    """The version of Python that a project is installed with, such as `3.13`."""
    code = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
    return support.run([project / ".venv/bin/python", "-c", code], project).stdout.strip()
