"""What is kept of a measure, and the page that is made of it.

A result is a file in `results/`: every round of every side, and what it was measured with.
`docs/benchmarks.md` has a place for each measure, between two comments, where table and drawings
are; what stands around them is written by people, and says nothing of what was found.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import support

from .drawing import draw
from .result import Bars, Figure, Goal, Lines, Result, Side, Spread

RESULTS = Path(__file__).parent / "results"
PAGE = support.REPOSITORY / "docs/benchmarks.md"
DRAWINGS = support.REPOSITORY / "docs/benchmarks"

PLACE = re.compile(r"(<!-- measure: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""Of a measure in the page."""
_HEAD = (
    "| | median | interval | lowest to highest | rounds | goal | in the median's round |",
    "|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Circumstances:
    """When and where a measure ran."""

    measured: str
    """The day, by ISO 8601."""
    commit: str
    edited: bool
    """Whether something other than results differed from the commit."""
    machine: dict[str, str]
    load_average: dict[str, str]
    """Before and after the measure."""

    @classmethod
    def of(
        cls, commit: tuple[str, bool], machine: dict[str, str], before: str, after: str
    ) -> Circumstances:
        """Of a measure that has just ended."""
        today = datetime.now(UTC).date().isoformat()
        return cls(today, *commit, machine, {"before": before, "after": after})


def table(result: Result) -> str:
    """The figures, for the terminal and the page."""
    return "\n".join([*_HEAD, *(f"| {' | '.join(_cells(one))} |" for one in result.figures)])


def _cells(figure: Figure) -> tuple[str, ...]:
    spread, unit = figure.value, f" {figure.unit}" if figure.unit else ""
    at = spread.middle
    beside = [
        f"{side.name} {_amount(side.rounds[at], side.unit)}"
        for side in (figure.side, figure.beside)
    ]
    if figure.way == "itself":
        beside.append(f"{_number(figure.ratio.rounds[at])} times as much")
    several = spread.low != spread.high
    return (
        figure.name,
        f"**{_number(spread.median)}**{unit}",
        _range(*spread.interval) if several else "",
        _range(spread.low, spread.high) if several else "",
        str(len(spread.rounds)),
        _verdict(figure, unit),
        "; ".join(beside),
    )


def keep(name: str, result: Result, when: Circumstances) -> None:
    """Write the result into `results/`."""
    RESULTS.mkdir(exist_ok=True)
    document = {**asdict(when), **document_of(result)}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def document_of(result: Result) -> dict[str, Any]:
    """A result as JSON: all its rounds, and what they come to, for readers."""
    return {
        "versions": dict(result.versions),
        "seconds": result.seconds,
        "settings": dict(result.settings),
        "figures": [{**asdict(one), "value": _spread(one.value)} for one in result.figures],
        "drawings": [_drawing(one) for one in result.drawings],
        "others": [asdict(one) for one in result.others],
    }


def _drawing(drawing: Bars | Lines) -> dict[str, Any]:
    document = {"kind": type(drawing).__name__, **asdict(drawing)}
    if isinstance(drawing, Bars):
        document["bars"] = {name: _spread(bar) for name, bar in drawing.bars.items()}
    else:
        document["lines"] = {name: list(map(_spread, of)) for name, of in drawing.lines.items()}
    return document


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        "median": spread.median,
        "interval": list(spread.interval),
        "lowest": spread.low,
        "highest": spread.high,
        "rounds": list(spread.rounds),
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
        result = read(document)
        parts = [table(result)]
        for drawing in result.drawings:
            drawings[drawing.name] = draw(drawing)
            parts.append(f"![{drawing.title}](benchmarks/{drawing.name}.svg)")
        parts.append(_how(document, result))
        return place[1] + "\n" + "\n\n".join(parts) + "\n\n" + place[3]

    return PLACE.sub(fill, page), drawings


def titles(names: tuple[str, ...]) -> dict[str, str]:
    """What each measure is called."""
    return {name: import_module(f"benchmarks.{name}").TITLE for name in names}


def _how(document: dict[str, Any], result: Result) -> str:
    box, load = document["machine"], document["load_average"]
    edited = " with edits" if document["edited"] else ""
    parts = [
        f"Measured {document['measured']} of {document['commit'][:7]}{edited} on "
        f"{box['processor']}, {box['memory']}, {box['kernel']}",
        f"load average {load['before']} before and {load['after']} after",
        ", ".join(f"{name} {version}" for name, version in result.versions.items()),
    ]
    if result.seconds is not None:
        parts.append(f"loads of {result.seconds:g} s")
    parts += [f"{name}: {value}" for name, value in result.settings.items()]
    parts += _sureness(result)
    return "; ".join(parts) + "."


def _sureness(result: Result) -> list[str]:
    """How likely the intervals hold what they should, where there are any."""
    spreads = {len(figure.value.rounds): figure.value for figure in result.figures}
    said = [
        f"{100 * spread.sureness:.0f} times of 100 for {rounds} rounds"
        for rounds, spread in sorted(spreads.items())
        if rounds > 1
    ]
    return [f"an interval holds the median {' and '.join(said)}"] if said else []


def read(document: dict[str, Any]) -> Result:
    """The result that was kept."""
    figures = [
        Figure(
            found["name"],
            _side(found["side"]),
            _side(found["beside"]),
            _goal(found["goal"]),
            found["way"],
        )
        for found in document["figures"]
    ]
    drawings: list[Bars | Lines] = []
    for found in document["drawings"]:
        goals = {name: Goal(**goal) for name, goal in found["goals"].items()}
        kept = {
            name: value
            for name, value in found.items()
            if name not in ("kind", "goals", "bars", "lines")
        }
        if found["kind"] == "Bars":
            bars = {name: _kept(bar) for name, bar in found["bars"].items()}
            drawings.append(Bars(**kept, bars=bars, goals=goals))
        else:
            lines = {name: list(map(_kept, line)) for name, line in found["lines"].items()}
            drawings.append(Lines(**kept, lines=lines, goals=goals))
    return Result(
        figures,
        drawings,
        document["settings"],
        document["versions"],
        document["seconds"],
        [_side(side) for side in document["others"]],
    )


def _side(found: dict[str, Any]) -> Side:
    return Side(found["name"], found["unit"], tuple(found["rounds"]))


def _kept(spread: dict[str, Any]) -> Spread:
    return Spread(tuple(spread["rounds"]))


def _goal(found: dict[str, Any] | None) -> Goal | None:
    return None if found is None else Goal(**found)


def _verdict(figure: Figure, unit: str) -> str:
    if figure.goal is None:
        return ""
    verdict = figure.goal.verdict(figure.value)
    return f"{figure.goal.kind} {figure.goal.bound:g}{unit}: {verdict}"


def _range(low: float, high: float) -> str:
    return f"{_number(low)} to {_number(high)}"


def _amount(value: float, unit: str) -> str:
    return f"{_number(value)}{unit}" if unit.startswith("/") else f"{_number(value)} {unit}"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"
