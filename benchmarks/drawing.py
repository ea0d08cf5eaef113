"""Drawings of results, as SVG: of nothing but text and a few shapes, so that a diff can be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from html import escape

from .result import Bars, Goal, Lines, Spread

_WIDTH = 760
_LEFT = 210
_RIGHT = 170
_TOP = 64
_ROW = 34
_HEIGHT = 240
_COLOURS = ("#1f6feb", "#9a6700", "#8250df", "#1a7f37", "#cf222e", "#57606a")
_QUIET = "#8c959f"
_FAINT = "#57606a"
_MOST_LETTERS = 30
"""Of a bar's name; what is longer is made smaller."""


def draw(drawing: Bars | Lines) -> str:
    """The drawing as a file."""
    shapes = _bars(drawing) if isinstance(drawing, Bars) else _lines(drawing)
    rows = len(drawing.bars) * _ROW + 34 if isinstance(drawing, Bars) else _HEIGHT + 76
    height = _TOP + rows
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(16, 26, drawing.title, size=16),
        _text(16, 46, drawing.axis, colour=_FAINT),
        *shapes,
        _text(16, height - 10, _legend(drawing), colour=_FAINT, size=11),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _legend(drawing: Bars | Lines) -> str:
    several = (
        any(spread.low != spread.high for spread in drawing.bars.values())
        if isinstance(drawing, Bars)
        else True
    )
    parts = ["the median"]
    parts += ["with the interval that it is in"] if several else []
    parts += ["dashed: the goal"] if drawing.goals else []
    return "; ".join(parts)


def _bars(drawing: Bars) -> Iterator[str]:
    ends = (spread.interval[1] for spread in drawing.bars.values())
    scale = (_WIDTH - _LEFT - _RIGHT) / max(*ends, *_bounds(drawing.goals), 0.0)
    for index, (name, spread) in enumerate(drawing.bars.items()):
        y = _TOP + index * _ROW
        low, high = spread.interval
        goal = drawing.goals.get(name)
        colour = _COLOURS[0] if goal or name.startswith("service") else _QUIET
        size = 11 if len(name) > _MOST_LETTERS else 0
        yield _text(_LEFT - 10, y + 17, name, anchor="end", size=size)
        yield (
            f'<rect x="{_LEFT}" y="{y + 3}" width="{spread.median * scale:.1f}" '
            f'height="{_ROW - 14}" fill="{colour}"/>'
        )
        if low != high:
            yield _line(_LEFT + low * scale, y + 13, _LEFT + high * scale, y + 13)
        end = high
        if goal is not None:
            x = _LEFT + goal.bound * scale
            yield _line(x, y - 2, x, y + _ROW - 6, dashed=True)
            end = max(high, goal.bound)
        said = f"{spread.median:.2f}" + (f" ({_goal(goal)})" if goal else "")
        yield _text(_LEFT + end * scale + 8, y + 17, said)


def _lines(drawing: Lines) -> Iterator[str]:
    bottom, right = _TOP + _HEIGHT, _WIDTH - _RIGHT - 40
    ends = [spread.interval[1] for line in drawing.lines.values() for spread in line]
    largest = max(*ends, *_bounds(drawing.goals), 0.0)
    step = _step(largest)
    top = step * math.ceil(largest / step)
    left = 70

    def across(index: int) -> float:
        return left + 20 + index * (right - left - 40) / max(1, len(drawing.points) - 1)

    def up(value: float) -> float:
        return bottom - value / top * _HEIGHT

    for number in range(round(top / step) + 1):
        y = up(number * step)
        yield _line(left, y, right, y, colour="#d0d7de")
        yield _text(left - 8, y + 4, f"{number * step:g}", anchor="end", colour=_FAINT)
    for index, point in enumerate(drawing.points):
        yield _text(across(index), bottom + 18, point, anchor="middle")
        if goal := drawing.goals.get(point):
            x, y = across(index), up(goal.bound)
            yield _line(x - 40, y, x + 40, y, dashed=True)
            yield _text(x, bottom - 6, _goal(goal), anchor="middle", size=11)
    yield _text((left + right) / 2, bottom + 40, drawing.across, anchor="middle", colour=_FAINT)
    heights: list[float] = []
    for index, (name, line) in enumerate(drawing.lines.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        aside = 3 * (index - (len(drawing.lines) - 1) / 2)  # so that no interval hides another
        points = " ".join(
            f"{across(at) + aside:.1f},{up(spread.median):.1f}" for at, spread in enumerate(line)
        )
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for at, spread in enumerate(line):
            yield from _point(across(at) + aside, up, spread, colour)
        y = up(line[-1].median) + 4
        while any(abs(y - other) < 15 for other in heights):
            y += 15
        heights.append(y)
        yield _text(right + 6, y, name, colour=colour)


def _point(x: float, up: Callable[[float], float], spread: Spread, colour: str) -> Iterator[str]:
    low, high = spread.interval
    if low != high:
        yield _line(x, up(low), x, up(high), colour=colour)
    yield f'<circle cx="{x:.1f}" cy="{up(spread.median):.1f}" r="3.5" fill="{colour}"/>'


def _step(largest: float) -> float:
    """A round number of which four to eight are as much."""
    power = 10 ** math.floor(math.log10(largest / 4)) if largest > 0 else 1
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power * 8 >= largest))


def _bounds(goals: Mapping[str, Goal]) -> list[float]:
    return [goal.bound for goal in goals.values()]


def _goal(goal: Goal) -> str:
    return f"{goal.kind} {goal.bound:g}"


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", colour: str = "", size: int = 0
) -> str:
    more = f' fill="{colour}"' if colour else ""
    more += f' font-size="{size}"' if size else ""
    more += f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(text)}</text>'


def _line(
    x1: float, y1: float, x2: float, y2: float, *, colour: str = "#1f2328", dashed: bool = False
) -> str:
    more = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'
    )
