"""Drawings of results, as SVG: of nothing but text and a few shapes, so that a diff can be read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from .result import Bars, Goal, Lines, Spread

_WIDTH = 760
_LEFT = 210
_RIGHT = 150
_TOP = 64
_ROW = 34
_HEIGHT = 240
_COLOURS = ("#1f6feb", "#9a6700", "#8250df", "#1a7f37", "#cf222e", "#57606a")
_QUIET = "#8c959f"


def draw(drawing: Bars | Lines) -> str:
    """The drawing as a file."""
    shapes = _bars(drawing) if isinstance(drawing, Bars) else _lines(drawing)
    rows = len(drawing.bars) * _ROW + 16 if isinstance(drawing, Bars) else _HEIGHT + 56
    height = _TOP + rows
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(16, 26, drawing.title, size=16),
        _text(16, 46, drawing.axis, colour="#57606a"),
        *shapes,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _bars(drawing: Bars) -> Iterator[str]:
    largest = max(max(spread.high for spread in drawing.bars.values()), _bound(drawing.goal))
    scale = (_WIDTH - _LEFT - _RIGHT) / largest
    for index, (name, spread) in enumerate(drawing.bars.items()):
        y = _TOP + index * _ROW
        colour = _COLOURS[0] if name.startswith("service") else _QUIET
        yield _text(_LEFT - 10, y + 17, name, anchor="end")
        yield (
            f'<rect x="{_LEFT}" y="{y + 3}" width="{spread.median * scale:.1f}" '
            f'height="{_ROW - 14}" fill="{colour}"/>'
        )
        if spread.low != spread.high:
            yield _line(_LEFT + spread.low * scale, y + 13, _LEFT + spread.high * scale, y + 13)
        yield _text(_LEFT + spread.high * scale + 8, y + 17, _said(spread))
    if drawing.goal is not None:
        x = _LEFT + drawing.goal.bound * scale
        bottom = _TOP + len(drawing.bars) * _ROW
        yield _line(x, _TOP - 4, x, bottom, dashed=True)
        yield _text(x, _TOP - 8, _goal(drawing.goal), anchor="middle", size=11)


def _lines(drawing: Lines) -> Iterator[str]:
    bottom, right = _TOP + _HEIGHT, _WIDTH - _RIGHT - 40
    values = [value for line in drawing.lines.values() for value in line]
    step = _step(max(*values, _bound(drawing.goal)))
    top = step * math.ceil(max(*values, _bound(drawing.goal)) / step)
    left = 70

    def across(index: int) -> float:
        return left + 20 + index * (right - left - 40) / max(1, len(drawing.points) - 1)

    def up(value: float) -> float:
        return bottom - value / top * _HEIGHT

    for number in range(round(top / step) + 1):
        y = up(number * step)
        yield _line(left, y, right, y, colour="#d0d7de")
        yield _text(left - 8, y + 4, f"{number * step:g}", anchor="end", colour="#57606a")
    for index, point in enumerate(drawing.points):
        yield _text(across(index), bottom + 18, point, anchor="middle")
    yield _text((left + right) / 2, bottom + 40, drawing.across, anchor="middle", colour="#57606a")
    if drawing.goal is not None:
        yield _line(left, up(drawing.goal.bound), right, up(drawing.goal.bound), dashed=True)
        yield _text(left + 4, up(drawing.goal.bound) - 5, _goal(drawing.goal), size=11)
    heights: list[float] = []
    for index, (name, line) in enumerate(drawing.lines.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        points = " ".join(f"{across(at):.1f},{up(value):.1f}" for at, value in enumerate(line))
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for at, value in enumerate(line):
            yield f'<circle cx="{across(at):.1f}" cy="{up(value):.1f}" r="3.5" fill="{colour}"/>'
        y = up(line[-1]) + 4
        while any(abs(y - other) < 15 for other in heights):
            y += 15
        heights.append(y)
        yield _text(right + 6, y, name, colour=colour)


def _step(largest: float) -> float:
    """A round number of which four to eight are as much."""
    power = 10 ** math.floor(math.log10(largest / 4)) if largest > 0 else 1
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power * 8 >= largest))


def _bound(goal: Goal | None) -> float:
    return goal.bound if goal else 0.0


def _goal(goal: Goal) -> str:
    return f"{goal.kind} {goal.bound:g}"


def _said(spread: Spread) -> str:
    return f"{spread.median:.2f}"


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
