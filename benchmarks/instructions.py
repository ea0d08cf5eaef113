"""P11: instructions a request, which no neighbour on the machine can change.

Callgrind counts what one worker executes, the kernel's part excluded: nearly the same twice, where
times differ by a third. So a test can hold the ratio against the one that is kept here, and catch
a regression that no measurement of time would show on a shared machine.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import support

from .result import Bars, Figure, Goal, Result, Spread, at_most
from .rig import Rig

TITLE = "Instructions"

KEPT = Path(__file__).parent / "kept_ratios.json"
"""What the service took over bare FastAPI, by version of Python; changed by hand, on purpose."""

_PROGRAM = Path(__file__).parent / "inside/one_worker.py"
REQUESTS = 800
_SETTINGS = {"service, no access line": {"LOG_LEVEL": "WARNING"}}
_PATIENCE = 600  # seconds, for what takes fifteen on an idle machine
_SIDES = {
    "service": "service",
    "service, no access line": "service",
    "service, no middleware": "service:unguarded",
    "bare FastAPI": "bare:app",
    "bare FastAPI, no router": "bare:direct",
    "raw ASGI": "floor:app",
    "tutorial recipe": "tutorial:app",
}


def measure(rig: Rig) -> Result:
    """Each side once: there is nothing to take the median of."""
    project = rig.project(archetype="minimal")
    requests = 400 if rig.quick else REQUESTS
    counts = {
        side: count(project, app, rig.folder, requests, **_SETTINGS.get(side, {}))
        for side, app in _SIDES.items()
    }

    bare = counts["bare FastAPI"]

    def over(rival: str, goal: Goal | None = None, side: str = "service") -> Figure:
        return Figure(
            f"{side} over {rival}",
            Spread.of([counts[side] / counts[rival]]),
            goal,
            beside={name: f"{counts[name] / 1000:,.0f} thousand" for name in (side, rival)},
        )

    return Result(
        [
            over("bare FastAPI", at_most(round(1 / 0.85, 2))),
            over("bare FastAPI", side="service, no access line"),
            over("bare FastAPI", side="service, no middleware"),
            over("bare FastAPI, no router"),
            over("tutorial recipe"),
            over("raw ASGI"),
        ],
        [
            Bars(
                "instructions",
                "Instructions a request",
                "over bare FastAPI",
                {side: Spread.of([of / bare]) for side, of in counts.items()},
            )
        ],
        {"counted by": "Callgrind, without the kernel"},
    )


def count(project: Path, side: str, folder: Path, requests: int, **settings: str) -> float:
    """Instructions a request of one worker; `side` as `one_worker.py` takes it.

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
                *(
                    str(project / ".venv/bin/python"),
                    str(_PROGRAM),
                ),
                *(side, str(requests)),
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
