"""What a measure hands back: figures with all their rounds, a goal, and what is drawn of them.

A figure compares two sides that were measured in turns, in one run: only that means anything on
another machine. What each side was by itself stands beside it, of one round: the one whose ratio is
the median.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from typing import Literal

SURE = 0.95
"""How likely an interval holds the median, at least, where there are rounds enough (six)."""


@dataclass(frozen=True)
class Spread:
    """What the rounds found, each to six digits."""

    rounds: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of the values of all rounds."""
        return cls(_to_six_digits(values))

    @classmethod
    def ratio(cls, over: Sequence[float], under: Sequence[float]) -> Spread:
        """Of the ratios round by round: what else the machine did in a round has met both sides."""
        return cls.of([above / below for above, below in zip(over, under, strict=True)])

    @property
    def median(self) -> float:
        """Of the round in the middle; of an even number, the lower one of the two."""
        return sorted(self.rounds)[(len(self.rounds) - 1) // 2]

    @property
    def middle(self) -> int:
        """Which round the median is of."""
        return self.rounds.index(self.median)

    @property
    def low(self) -> float:
        """The lowest round."""
        return min(self.rounds)

    @property
    def high(self) -> float:
        """The highest round."""
        return max(self.rounds)

    @property
    def interval(self) -> tuple[float, float]:
        """Between what the median of many such rounds would be, as sure as `sureness` says.

        From order statistics, so whatever the distribution (David and Nagaraja, Order Statistics,
        7.1). Of nine rounds it is the second to the eighth; of fewer than six, all of them.
        """
        ordered, rank = sorted(self.rounds), self._rank()
        return ordered[rank], ordered[-1 - rank]

    @property
    def sureness(self) -> float:
        """How likely the interval holds the median."""
        return _coverage(len(self.rounds), self._rank())

    def _rank(self) -> int:
        """How many rounds are left out at each end."""
        count, rank = len(self.rounds), 0
        while _coverage(count, rank + 1) >= SURE:
            rank += 1
        return rank


def _coverage(count: int, rank: int) -> float:
    """How likely the median is between the ordered rounds, so many left out at each end."""
    return 1 - 2 * sum(comb(count, number) for number in range(rank + 1)) / 2.0**count


def _to_six_digits(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)


@dataclass(frozen=True)
class Goal:
    """What a figure should be, in the figure's unit."""

    bound: float
    kind: Literal["at least", "at most"]

    def is_met(self, value: float) -> bool:
        """Whether a value is on the right side."""
        return value >= self.bound if self.kind == "at least" else value <= self.bound

    def verdict(self, spread: Spread) -> str:
        """Met or missed, when all of the interval says so."""
        sides = {self.is_met(end) for end in spread.interval}
        if len(sides) == 2:  # one end on each
            return "undecided"
        return "met" if sides == {True} else "missed"


def at_least(bound: float) -> Goal:
    """A figure that should be large."""
    return Goal(bound, "at least")


def at_most(bound: float) -> Goal:
    """A figure that should be small."""
    return Goal(bound, "at most")


@dataclass(frozen=True)
class Side:
    """What was measured of one side, round by round."""

    name: str
    unit: str
    """`"ms"`, or `"/s"` for what happens so often a second."""
    rounds: tuple[float, ...]

    @classmethod
    def of(cls, name: str, unit: str, values: Sequence[float]) -> Side:
        """The values of all rounds, in the order of the rounds."""
        return cls(name, unit, _to_six_digits(values))


@dataclass(frozen=True)
class Figure:
    """One row of a table: a side, beside what it is compared with.

    A ratio, or the difference of both. Where the requirement itself is an absolute (a size,
    milliseconds), it is the side by itself. Raises ValueError for sides that can't be compared.
    """

    name: str
    side: Side
    beside: Side
    goal: Goal | None = None
    way: Literal["ratio", "difference", "itself"] = "ratio"

    def __post_init__(self) -> None:
        units = self.side.unit == self.beside.unit
        if not units or len(self.side.rounds) != len(self.beside.rounds) or not self.side.rounds:
            raise ValueError(f"{self.name}: the two sides weren't measured in the same way")

    @classmethod
    def of(
        cls,
        name: str,
        unit: str,
        found: Mapping[str, Sequence[float]],
        sides: tuple[str, str],
        goal: Goal | None = None,
        way: Literal["ratio", "difference", "itself"] = "ratio",
    ) -> Figure:
        """A side and what it is compared with, of what was found of all sides."""
        side, beside = (Side.of(one, unit, found[one]) for one in sides)
        return cls(name, side, beside, goal, way)

    @property
    def unit(self) -> str:
        """Empty for a ratio."""
        return "" if self.way == "ratio" else self.side.unit

    @property
    def value(self) -> Spread:
        """What the row says, round by round."""
        if self.way == "ratio":
            return self.ratio
        if self.way == "itself":
            return Spread.of(self.side.rounds)
        pairs = zip(self.side.rounds, self.beside.rounds, strict=True)
        return Spread.of([side - beside for side, beside in pairs])

    @property
    def ratio(self) -> Spread:
        """The side over the other one."""
        return Spread.ratio(self.side.rounds, self.beside.rounds)


@dataclass(frozen=True)
class Bars:
    """A drawing of bars, one for each name, with the interval of the rounds."""

    name: str
    """Of the file, `throughput`; unique among all drawings."""
    title: str
    axis: str
    """What the length of a bar is, and in what unit."""
    bars: Mapping[str, Spread]
    goals: Mapping[str, Goal] = field(default_factory=dict)
    """By name of the bar that has one."""


@dataclass(frozen=True)
class Lines:
    """A drawing of lines over a few points that stand at equal distances."""

    name: str
    title: str
    across: str
    """What changes from left to right."""
    axis: str
    points: Sequence[str]
    lines: Mapping[str, Sequence[Spread]]
    """By name, one for each of the points."""
    goals: Mapping[str, Goal] = field(default_factory=dict)
    """By point that has one."""


@dataclass(frozen=True)
class Result:
    """All that one measure found out."""

    figures: Sequence[Figure]
    drawings: Sequence[Bars | Lines] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """How it was measured, in words: `{"clients": "32"}`."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of all that took part: `{"Python": "3.13.0"}`."""
    seconds: float | None = None
    """How long each load lasted, where there is one."""
    others: Sequence[Side] = ()
    """Sides that only a drawing is made of, for whoever computes it anew."""
