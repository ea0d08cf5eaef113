"""Observing into a histogram in a tenth of the time, for those that every request or call observes.

prometheus-client takes a lock, looks for a fork and finds the value's place in its file again for
each of the two numbers that an observation changes. Where one thread alone observes a series, after
the fork, all of that has the same outcome each time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from struct import Struct
from typing import Any

from prometheus_client import Histogram

from . import metric_files

_FORMAT = Struct("dd")
_pack = _FORMAT.pack
"""A value and its time, which histograms don't have; as prometheus-client has them in its files.

To be put there by one assignment. `pack_into` clears the bytes first, and whoever reads the file in
that moment, or after a SIGKILL in it, finds that the count has begun anew.
"""


def observer(child: Histogram) -> Callable[[float], None]:
    """What observes into this series from now on, in this process and thread alone."""
    if metric_files.directory() is None:
        return child.observe
    try:
        return _short_way(child)
    except (AttributeError, LookupError):  # a prometheus-client that keeps it otherwise
        return child.observe


def _short_way(series: Any) -> Callable[[float], None]:
    """Look at all that it uses in advance: what isn't there is missed here, not by a request."""
    bounds: list[float] = series._upper_bounds
    total, buckets = series._sum, series._buckets
    file = total._file  # one file for all histograms; it may be mapped anew when it grows
    total_at, *buckets_at = [_place(file, value) for value in (total, *buckets)]

    def observe(value: float) -> None:
        index = bisect_left(bounds, value)
        bucket = buckets[index]
        total._value += value
        bucket._value += 1.0
        memory = file._m
        memory[total_at] = _pack(total._value, 0.0)
        memory[buckets_at[index]] = _pack(bucket._value, 0.0)

    return observe


def _place(file: Any, value: Any) -> slice:
    """Where a value is in the file. Raises LookupError if something else is there."""
    start: int = file._positions[value._key]
    place = slice(start, start + _FORMAT.size)
    if file._m[place] != _pack(value._value, 0.0):
        raise LookupError(value._key)
    return place
