"""Standard deviation, minimum and maximum over all workers: what Prometheus' histograms don't keep.

Each process keeps the moments of what it observed (Welford), and whoever is asked merges them
(Chan, Golub and LeVeque: Algorithms for Computing the Sample Variance, 1983). Sums of squares would
be simpler and wrong: they cancel out where values are large and close together.

Like the counts they are written to one memory-mapped file for each worker slot, beside those of
prometheus-client and in its format, so that a recycled worker's successor goes on where it ended.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import metric_files
from .metric_files import Owner

_SUFFIX = ".moments"

# An entry of the file holds two numbers, so that a series has three entries.
_COUNT_AND_MEAN, _DEVIATION, _RANGE = "0", "1", "2"


@dataclass(frozen=True, slots=True)
class Moments:
    """Of a number of values: all that has to be known to add more of them."""

    count: float
    mean: float
    deviation: float
    """The sum of the squared distances from the mean."""
    low: float
    high: float

    @property
    def std(self) -> float:
        """The standard deviation of these values themselves (the population's, not a sample's)."""
        return math.sqrt(max(0.0, self.deviation / self.count))

    def __add__(self, other: Moments) -> Moments:
        count = self.count + other.count
        distance = other.mean - self.mean
        share = other.count / count
        return Moments(
            count,
            self.mean + distance * share,
            self.deviation + other.deviation + distance * distance * self.count * share,
            min(self.low, other.low),
            max(self.high, other.high),
        )


class MomentsOfSeries:
    """What this process, and those before it in its slot, observed of one series."""

    _owner: Owner | None
    _low: float
    _high: float
    _file: Any

    def __init__(self, key: str) -> None:
        self._keys = (_COUNT_AND_MEAN + key, _DEVIATION + key, _RANGE + key)
        self._resume(None)

    def observe(self, value: float) -> None:
        """Add a value."""
        with _lock:
            owner = metric_files.owner()
            if self._owner != owner:
                self._resume(owner)
            self._count += 1
            distance = value - self._mean
            self._mean += distance / self._count
            self._deviation += distance * (value - self._mean)
            is_further_out = not self._low <= value <= self._high
            if is_further_out:
                self._low, self._high = min(value, self._low), max(value, self._high)
            if self._file is not None:
                count_and_mean, deviation, span = self._keys
                if is_further_out:
                    self._file.write_value(span, self._low, self._high)
                self._file.write_value(deviation, self._deviation, 0.0)
                self._file.write_value(count_and_mean, self._count, self._mean)

    def read(self) -> Moments | None:
        """What there is so far, in this process alone."""
        with _lock:
            if not self._count:
                return None
            return Moments(self._count, self._mean, self._deviation, self._low, self._high)

    def _resume(self, owner: Owner | None) -> None:
        """Go on with what is in the file of `owner`: after a fork, and in a predecessor's slot."""
        self._owner = owner
        self._count, self._mean, self._deviation = 0.0, 0.0, 0.0
        self._low, self._high = math.inf, -math.inf
        self._file = None if owner is None else _file_of(owner)
        if self._file is not None:
            # The count's entry is made last: whoever reads it finds the others.
            count_and_mean, deviation, span = self._keys
            low, high = self._file.read_value(span)
            self._deviation, _ = self._file.read_value(deviation)
            self._count, self._mean = self._file.read_value(count_and_mean)
            if self._count:
                self._low, self._high = low, high


_lock = threading.Lock()
_kept: dict[str, MomentsOfSeries] = {}
_file: list[tuple[Owner, Any]] = []


def key_of(name: str, labels: Mapping[str, str]) -> str:
    """The key of one series of the metric `name`."""
    return json.dumps([name, sorted(labels.items())])


def of_series(name: str, labels: Mapping[str, str]) -> MomentsOfSeries:
    """The moments of one series in this process; of equal names and labels always the same."""
    key = key_of(name, labels)
    with _lock:
        return _kept.setdefault(key, MomentsOfSeries(key))


def forget(name: str) -> None:
    """Drop the moments of a metric in this process. For tests."""
    start = json.dumps([name])[:-1] + ", "
    with _lock:
        for key in [key for key in _kept if key.startswith(start)]:
            del _kept[key]


def read() -> dict[str, Moments]:
    """The moments of every series over all workers, by `key_of`. Reads their files."""
    directory = metric_files.directory()
    if directory is None:
        here = ((key, series.read()) for key, series in list(_kept.items()))
        return {key: moments for key, moments in here if moments is not None}
    merged: dict[str, Moments] = {}
    for path in directory.glob(f"*{_SUFFIX}"):
        for key, moments in _in_file(path).items():
            merged[key] = merged[key] + moments if key in merged else moments
    return merged


def _in_file(path: Path) -> dict[str, Moments]:
    entries = {key: (first, second) for key, first, second in metric_files.entries(path)}
    found = {}
    for entry, (count, mean) in entries.items():
        if entry[0] == _COUNT_AND_MEAN and count:
            key = entry[1:]
            deviation, _ = entries[_DEVIATION + key]
            found[key] = Moments(count, mean, deviation, *entries[_RANGE + key])
    return found


def _file_of(owner: Owner) -> Any:
    """The file that this process writes, None in single-process mode."""
    directory = metric_files.directory()
    if directory is None:
        return None
    if _file and _file[0][0] != owner:
        _file.pop()[1].close()
    if not _file:
        _file.append((owner, metric_files.writable(directory / f"{owner}{_SUFFIX}")))
    return _file[0][1]
