"""What can be said of the values in a histogram."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .moments import Moments

Buckets = Sequence[tuple[float, float]]
"""Upper bounds, the last of them infinite, each with the count of values up to it."""

Stats = dict[str, float | None]

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def summarise(
    buckets: Buckets, count: float, total: float | None, moments: Moments | None
) -> Stats:
    """Count, mean, std, min, max, p50, p90, p95 and p99; None where nothing is known.

    `total` is the sum of the values. `moments` are kept of the facade's histograms only; without
    them there is no std, min or max, and percentiles are rougher at both ends.
    """
    mean = total / count if total is not None and count else None
    stats: Stats = {"count": count, "mean": mean, "std": None, "min": None, "max": None}
    low, high = -math.inf, math.inf
    if moments is not None:
        low, high = moments.low, moments.high
        stats |= {"mean": moments.mean, "std": moments.std, "min": low, "max": high}
    return stats | {name: quantile(q, buckets, low, high) for name, q in PERCENTILES.items()}


def quantile(
    q: float, buckets: Buckets, low: float = -math.inf, high: float = math.inf
) -> float | None:
    """The value below which a share `q` of the values lies, by interpolation in its bucket.

    As Prometheus' `histogram_quantile` has it, but within `low` and `high`, the least and the
    greatest value, where they are known: the true value is in the same bucket.
    """
    count = buckets[-1][1] if buckets else 0
    if not count:
        return None
    rank = q * count
    below, lower = 0.0, -math.inf
    for upper, cumulative in buckets:
        if cumulative >= rank and cumulative > below:
            start, end = max(lower, low), min(upper, high)
            if math.isinf(start):
                start = min(0.0, end)
            if math.isinf(end):
                return start
            share = (rank - below) / (cumulative - below)
            return min(end, start + max(0.0, end - start) * share)  # rounding may pass the end
        below, lower = cumulative, upper
    return None  # counts that fall are no histogram's
