"""What a measure hands back: figures with their spread and goal, and what is drawn of them.

A figure is a ratio of two things that were measured in turns, in one run: only that means anything
on another machine. What they were by themselves may stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, and the least and the most of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of the values of all rounds."""
        return cls(median(values), min(values), max(values))

    @classmethod
    def ratio(cls, over: Sequence[float], under: Sequence[float]) -> Spread:
        """Of the ratios round by round: what else the machine did in a round has met both sides."""
        return cls.of([above / below for above, below in zip(over, under, strict=True)])


@dataclass(frozen=True)
class Goal:
    """What a figure should be, in the figure's unit."""

    bound: float
    kind: Literal["at least", "at most"]

    def is_met(self, value: float) -> bool:
        """Whether a value is on the right side."""
        return value >= self.bound if self.kind == "at least" else value <= self.bound


def at_least(bound: float) -> Goal:
    """A figure that should be large."""
    return Goal(bound, "at least")


def at_most(bound: float) -> Goal:
    """A figure that should be small."""
    return Goal(bound, "at most")


@dataclass(frozen=True)
class Figure:
    """One row of a table.

    `unit` is empty for a ratio. Where the requirement itself is an absolute (a size, microseconds),
    it is that, and what it is compared with has to stand in `beside`: texts by name, such as
    `{"service": "8,123/s", "bare FastAPI": "9,456/s"}`.
    """

    name: str
    value: Spread
    goal: Goal | None = None
    unit: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bars:
    """A drawing of bars, one for each name, with the spread of the rounds."""

    name: str
    """Of the file, `throughput`; unique among all drawings."""
    title: str
    axis: str
    """What the length of a bar is, and in what unit."""
    bars: Mapping[str, Spread]
    goal: Goal | None = None


@dataclass(frozen=True)
class Lines:
    """A drawing of lines over a few points that stand at equal distances."""

    name: str
    title: str
    across: str
    """What changes from left to right."""
    axis: str
    points: Sequence[str]
    lines: Mapping[str, Sequence[float]]
    """By name, one value for each of the points."""
    goal: Goal | None = None


@dataclass(frozen=True)
class Result:
    """All that one measure found out."""

    figures: Sequence[Figure]
    drawings: Sequence[Bars | Lines] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """How it was measured, in words: `{"clients": "32"}`."""
