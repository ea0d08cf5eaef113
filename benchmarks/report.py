"""What is kept of a measure, and the page that is made of it."""

from __future__ import annotations

from .result import Result
from .rig import Rig


def table(result: Result) -> str:
    """The figures, for the terminal and the page."""
    lines = ["| figure | ratio | of the rounds | goal | |", "|---|---|---|---|---|"]
    for figure in result.figures:
        spread = figure.value
        unit = f" {figure.unit}" if figure.unit else ""
        goal = f"{figure.goal.kind} {figure.goal.bound:g}{unit}" if figure.goal else ""
        beside = "; ".join(f"{name} {value}" for name, value in figure.beside.items())
        rounds = f"{spread.low:.2f} to {spread.high:.2f}"
        lines.append(
            f"| {figure.name} | {spread.median:.2f}{unit} | {rounds} | {goal} | {beside} |"
        )
    return "\n".join(lines)


def keep(name: str, result: Result, rig: Rig) -> None:
    """Write the result into `results/`, with the machine that it was measured on."""
    raise NotImplementedError


def write_page() -> None:
    """Write tables and drawings of all results into the documentation."""
    raise NotImplementedError
