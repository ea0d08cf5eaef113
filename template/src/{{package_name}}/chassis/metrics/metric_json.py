"""Metrics as JSON: what `/metrics` has, and what can be computed from it.

Reading takes milliseconds, because the files of all workers are read: call it off the event loop.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from prometheus_client import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

from . import exposition, metric_files, moments
from .exposition import ProcessCollector
from .histogram_stats import Stats, summarise
from .moments import Moments

_started = time.monotonic()


def export_json(collectors: Iterable[Collector] | None = None) -> dict[str, Any]:
    """`counters`, `gauges` and `histograms`, each by series, and `uptime_s`.

    A series is written as in Prometheus, `http_requests_total{method="GET",status="200"}`, and is
    a number, or of a histogram what :func:`.histogram_stats.summarise` says. By default all of the
    service's metrics, for `/metrics.json`.
    """
    if collectors is None:
        collectors = exposition.collectors()
    document: dict[str, Any] = {"counters": {}, "gauges": {}, "histograms": {}}
    kept = moments.read()
    for metric in chain.from_iterable(collector.collect() for collector in collectors):
        if metric.type in ("histogram", "summary"):
            document["histograms"] |= _histograms(metric, kept)
        elif metric.type == "counter":
            document["counters"] |= {
                _series(sample.name, sample.labels): sample.value
                for sample in metric.samples
                if sample.name.endswith("_total")  # and not the time when it was made
            }
        else:
            document["gauges"] |= {
                # Our own collectors give states as truth values.
                _series(sample.name, sample.labels): float(sample.value)
                for sample in metric.samples
            }
    return document | {"uptime_s": uptime()}


def uptime() -> float:
    """Seconds since the master, or else this process, started."""
    return round(time.monotonic() - _started, 3)


def value_of(kind: str, name: str, labels: Mapping[str, str]) -> float | None:
    """The value of one series of a counter or a gauge over all workers, None if nobody set it."""
    for metric in _written(kind):
        for sample in metric.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def stats_of(name: str, labels: Mapping[str, str]) -> Stats:
    """What is known of one series of a histogram over all workers."""
    for metric in _written("histogram"):
        if metric.name == name:
            found = _histograms(metric, moments.read()).get(_series(name, labels))
            if found is not None:
                return found
    return summarise((), 0, None, None)


def _written(kind: str) -> Iterable[Metric]:
    """What the processes wrote of one kind: not all of their files."""
    directory = metric_files.directory()
    if directory is None:
        return REGISTRY.collect()
    files = map(str, directory.glob(f"{kind}_*.db"))
    written: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
    return written


def _histograms(metric: Metric, kept: Mapping[str, Moments]) -> dict[str, Stats]:
    """The statistics of each series of a histogram."""
    found: dict[str, _Parts] = {}
    for sample in metric.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        parts = found.setdefault(_series(metric.name, labels), _Parts(labels))
        if sample.name.endswith("_bucket"):
            parts.buckets.append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_count"):
            parts.count = sample.value
        elif sample.name.endswith("_sum"):
            parts.total = sample.value
    return {
        series: summarise(
            sorted(parts.buckets),
            parts.count,
            parts.total,
            kept.get(moments.key_of(metric.name, parts.labels)),
        )
        for series, parts in found.items()
    }


class _Parts:
    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self.buckets: list[tuple[float, float]] = []
        self.count = 0.0
        self.total: float | None = None


def _series(name: str, labels: Mapping[str, str]) -> str:
    if not labels:
        return name
    pairs = (f'{label}="{_escaped(value)}"' for label, value in sorted(labels.items()))
    return f"{name}{{{','.join(pairs)}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


class OfNamespace(Collector):
    """What the processes have written of the metrics of one namespace."""

    def __init__(self, namespace: str) -> None:
        self._prefix = f"{namespace}_"

    def collect(self) -> Iterator[Metric]:
        for metric in ProcessCollector().collect():
            if metric.name.startswith(self._prefix):
                yield metric
