"""What the checks of all workers said last, in memory that every worker can read (SPEC C3).

Each worker asks its own checks, since it may be a single worker whose pool is stuck, and a probe or
a scrape lands on any of them; it answers for the worst. A worker has a row of words: whose row it
is, the part of its history that was healthy, and a word for each check.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .. import roster
from ..columns import Columns
from ..roster import SLOTS, Roster
from ..shared import Memory, memory
from .health_check import CheckResult, CheckStatus

CHECKS = 64
"""How many checks there is room for."""

_STATUSES: tuple[CheckStatus, ...] = ("ok", "fail", "error")  # best first
_OWNER, _RATIO, _FIRST = range(3)
_WIDTH = _FIRST + CHECKS
_CRITICAL = 0x100
_STATUS_MASK = 0xFF
_MILLION = 1_000_000
_NOT_THERE = 0


@dataclass(slots=True)
class CheckStanding:
    """A check over several workers, counted by what they found last."""

    workers: Counter[CheckStatus] = field(default_factory=Counter)
    critical: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """How many workers found what."""
        return {status: count for status, count in self.workers.items() if count}

    @property
    def worst(self) -> CheckStatus:
        """The status that an operator has to know of."""
        return max(self.workers, key=_STATUSES.index)

    def add(self, status: CheckStatus, *, critical: bool) -> None:
        """Count one more worker."""
        self.workers[status] += 1
        self.critical |= critical


Standings = dict[str, CheckStanding]


class HealthBoard:
    """The workers' latest answers by check, and how healthy they have been."""

    def __init__(self, memory: Memory, roster: Roster, slots: int = SLOTS) -> None:
        self._roster = roster
        self._columns = Columns(memory, CHECKS)
        self._words = memory.words(slots * _WIDTH)
        self._slot: int | None = None
        self._own: dict[str, int] = {}
        self._own_ratio = _NOT_THERE

    def join(self, slot: int) -> None:
        """Take the row of this worker's slot, emptied of what its predecessor left there.

        For the worker, before anything is published. Without a master (a development server)
        nobody joins, and what this process publishes is all there is.
        """
        age = next(worker.age for worker in self._roster.workers() if worker.slot == slot)
        row = slot * _WIDTH
        self._words[row + _OWNER] = _NOT_THERE
        for column in range(_RATIO, _WIDTH):
            self._words[row + column] = _NOT_THERE
        self._slot, self._own, self._own_ratio = slot, {}, _NOT_THERE
        self._words[row + _OWNER] = _stamp(age)

    def publish(self, results: Mapping[str, CheckResult], healthy_ratio: float) -> list[str]:
        """Say what this process' checks found, and return the names that there was no room for."""
        left_out = []
        for name, result in results.items():
            column = self._columns.place(name)
            if column is None:
                left_out.append(name)
                continue
            code = 1 + _STATUSES.index(result.status) | _CRITICAL * result.critical
            self._own[name] = code
            self._write(_FIRST + column, code)
        self._own_ratio = 1 + round(healthy_ratio * _MILLION)
        self._write(_RATIO, self._own_ratio)
        return left_out

    def standings(self) -> Standings:
        """Each check over all workers that are alive and have asked it."""
        found = self.others()
        for name, code in self._own.items():
            _count(found, name, code)
        return found

    def others(self) -> Standings:
        """The same without this process."""
        found: Standings = {}
        names = self._columns.names()
        for row in self._others_rows():
            for name, code in zip(names, row[_FIRST:], strict=False):
                _count(found, name, code)
        return found

    @property
    def healthy_ratio(self) -> float | None:
        """The part of the history that was healthy, in the worker where it is the smallest.

        None when no worker has asked anything yet.
        """
        ratios = [self._own_ratio, *(row[_RATIO] for row in self._others_rows())]
        worst = min((ratio for ratio in ratios if ratio != _NOT_THERE), default=None)
        return None if worst is None else (worst - 1) / _MILLION

    def _write(self, column: int, word: int) -> None:
        if self._slot is not None:
            self._words[self._slot * _WIDTH + column] = word

    def _others_rows(self) -> Iterable[list[int]]:
        for worker in self._roster.workers():
            start = worker.slot * _WIDTH
            row = self._words[start : start + _WIDTH].tolist()
            # A worker's age is its own: what a dead one left behind has another.
            if worker.slot != self._slot and row[_OWNER] == _stamp(worker.age):
                yield row


def _count(standings: Standings, name: str, code: int) -> None:
    if code != _NOT_THERE:
        standing = standings.setdefault(name, CheckStanding())
        standing.add(_STATUSES[(code & _STATUS_MASK) - 1], critical=bool(code & _CRITICAL))


def _stamp(age: int) -> int:
    return age + 1  # 0 is nobody's row


current = HealthBoard(memory, roster.current)
