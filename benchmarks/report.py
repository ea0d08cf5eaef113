"""What is kept of a measure, and the page that is made of it.

A result is a file in `results/`, with the machine that it was measured on. `docs/benchmarks.md` has
a place for each measure, between two comments, where table and drawings are; what stands around
them is written by people.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from .drawing import draw
from .result import Bars, Figure, Goal, Lines, Result, Spread
from .rig import REPOSITORY, Rig

RESULTS = Path(__file__).parent / "results"
PAGE = REPOSITORY / "docs/benchmarks.md"
DRAWINGS = REPOSITORY / "docs/benchmarks"

_PACKAGES = ("fastapi", "starlette", "pydantic", "uvicorn", "gunicorn", "uvloop", "httptools")
_PLACE = re.compile(r"(<!-- measure: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(result: Result) -> str:
    """The figures, for the terminal and the page."""
    lines = ["| | median | lowest and highest round | goal | |", "|---|---|---|---|---|"]
    for figure in result.figures:
        spread, unit = figure.value, f" {figure.unit}" if figure.unit else ""
        cells = (
            figure.name,
            f"**{_number(spread.median)}**{unit}",
            "" if spread.low == spread.high else f"{_number(spread.low)} to {_number(spread.high)}",
            _verdict(figure, unit),
            "; ".join(f"{name} {value}" for name, value in figure.beside.items()),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def keep(name: str, result: Result, rig: Rig) -> None:
    """Write the result into `results/`, with the machine that it was measured on."""
    RESULTS.mkdir(exist_ok=True)
    document = {
        "measured": datetime.now(UTC).date().isoformat(),
        "machine": machine(rig),
        "rounds": rig.rounds,
        "seconds": rig.seconds,
        "settings": dict(result.settings),
        "figures": [asdict(figure) for figure in result.figures],
        "drawings": [
            {"kind": type(drawing).__name__, **asdict(drawing)} for drawing in result.drawings
        ],
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")


def machine(rig: Rig) -> dict[str, str]:
    """What the figures depend on: processor, kernel, Python, and packages that all sides use."""
    python = rig.project(archetype="minimal") / ".venv/bin/python"
    code = (
        "import json, platform; from importlib.metadata import version; "
        f"print(json.dumps([platform.python_version()] + [version(n) for n in {_PACKAGES!r}]))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
    count = len(os.sched_getaffinity(0))
    return {
        "processor": f"{count} cores of {model[1] if model else platform.machine()}",
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "?",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": found[0],
        **dict(zip(_PACKAGES, found[1:], strict=True)),
    }


def write_page() -> None:
    """Write tables and drawings of all results into the documentation."""
    page, drawings = made(PAGE.read_text())
    PAGE.write_text(page)
    DRAWINGS.mkdir(exist_ok=True)
    for name, text in drawings.items():
        (DRAWINGS / f"{name}.svg").write_text(text)


def made(page: str) -> tuple[str, dict[str, str]]:
    """The page with all results in their places, and the drawings by name."""
    drawings: dict[str, str] = {}

    def fill(place: re.Match[str]) -> str:
        path = RESULTS / f"{place[2]}.json"
        if not path.exists():
            return f"{place[1]}Not measured yet.\n{place[3]}"
        document = json.loads(path.read_text())
        result = _read(document)
        parts = [table(result)]
        for drawing in result.drawings:
            drawings[drawing.name] = draw(drawing)
            parts.append(f"![{drawing.title}](benchmarks/{drawing.name}.svg)")
        parts.append(_how(document))
        return place[1] + "\n" + "\n\n".join(parts) + "\n\n" + place[3]

    return _PLACE.sub(fill, page), drawings


def titles(names: tuple[str, ...]) -> dict[str, str]:
    """What each measure is called."""
    return {name: import_module(f"benchmarks.{name}").TITLE for name in names}


def _how(document: dict[str, Any]) -> str:
    box = document["machine"]
    versions = ", ".join(f"{name} {box[name]}" for name in ("Python", *_PACKAGES))
    settings = "".join(f", {name} {value}" for name, value in document["settings"].items())
    return (
        f"Measured {document['measured']} on {box['processor']}, {box['memory']}, {box['kernel']}; "
        f"{versions}; {document['rounds']} rounds, loads of {document['seconds']:g} s{settings}."
    )


def _read(document: dict[str, Any]) -> Result:
    """The result that was kept."""
    figures = [
        Figure(
            found["name"],
            Spread(**found["value"]),
            _goal(found["goal"]),
            found["unit"],
            found["beside"],
        )
        for found in document["figures"]
    ]
    drawings: list[Bars | Lines] = []
    for found in document["drawings"]:
        kind, goal = found.pop("kind"), _goal(found.pop("goal"))
        if kind == "Bars":
            bars = {name: Spread(**spread) for name, spread in found.pop("bars").items()}
            drawings.append(Bars(**found, bars=bars, goal=goal))
        else:
            drawings.append(Lines(**found, goal=goal))
    return Result(figures, drawings, document["settings"])


def _goal(found: dict[str, Any] | None) -> Goal | None:
    return None if found is None else Goal(**found)


def _verdict(figure: Figure, unit: str) -> str:
    if figure.goal is None:
        return ""
    met = "met" if figure.goal.is_met(figure.value.median) else "missed"
    return f"{figure.goal.kind} {figure.goal.bound:g}{unit}: {met}"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"
