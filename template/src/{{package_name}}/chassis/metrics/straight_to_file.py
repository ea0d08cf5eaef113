"""Observing into a histogram in a tenth of the time, for the one that every request observes.

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

_write = Struct("dd").pack_into
"""A value and its time, which histograms don't have; as prometheus-client has them in its files."""


def observer(child: Histogram) -> Callable[[float], None]:
    """What observes into this series from now on, in this process and thread alone."""
    series: Any = child
    if not hasattr(series._sum, "_file"):  # a single process, which has no files
        return child.observe
    file = series._sum._file  # one file for all histograms; it may be mapped anew when it grows
    bounds: list[float] = series._upper_bounds
    total, buckets = series._sum, series._buckets
    total_at = file._positions[total._key]
    buckets_at = [file._positions[bucket._key] for bucket in buckets]

    def observe(value: float) -> None:
        index = bisect_left(bounds, value)
        bucket = buckets[index]
        total._value += value
        bucket._value += 1.0
        memory = file._m
        _write(memory, total_at, total._value, 0.0)
        _write(memory, buckets_at[index], bucket._value, 0.0)

    return observe
