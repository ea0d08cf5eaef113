"""The metrics of GLOSSARY section 4: declared by their first use, right over all workers.

>>> metrics = Metrics()
>>> metrics.counter("payments", {"currency": "EUR"})
>>> with metrics.timer("charge_seconds"):
...     await gateway.charge(payment)

It is thin: the metrics are those of prometheus-client, under the service's name, and stand in
`/metrics` beside the chassis' own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from math import inf
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from .. import settings
from ..logs import origin
from ..timed_block import TimedBlock
from . import metric_json
from .histogram_stats import Stats
from .metric_declaration import DEFAULT_BUCKETS, Declaration, GaugeMode, Kind
from .metric_families import Families, Labels, Record

origin.INTERNAL_MODULES.add(__name__)
_families: dict[str, Families] = {}


class Metrics:
    """Records and reads metrics whose names begin with `namespace`, by default the service's.

    A metric is declared by its first use, or before that by a `declare_` method if it is to have
    a help text, buckets or a mode. Its label names stay those of its first use. Label values are
    texts, or become texts; beyond :data:`.metric_families.MAX_LABEL_SETS` label sets further ones
    are counted under the label value "other", and the log says so once.

    What records takes a few microseconds and answers for this worker; what reads takes
    milliseconds, answers for all workers, and belongs off the event loop. Objects of the same
    namespace are views of the same metrics. Safe under threads. Record in the workers, not at
    import: what the master sets before the fork is never taken back.

    Raises :class:`ValueError` for names, labels and values that can't be.
    """

    def __init__(self, namespace: str | None = None) -> None:
        self._namespace = namespace

    @property
    def namespace(self) -> str:
        """The first part of each exported name: `payment-api` becomes `payment_api`."""
        return self._families.namespace

    def declare_counter(
        self, name: str, help: str = "", labels: Sequence[str] | None = None
    ) -> None:
        """Say what a counter means. `labels` None: those of its first use, here as below."""
        self._families.declare(Declaration("counter", name, help, _names(labels)))

    def declare_gauge(
        self,
        name: str,
        help: str = "",
        labels: Sequence[str] | None = None,
        mode: GaugeMode = "mostrecent",
    ) -> None:
        """Say what a gauge means, and what the workers' values come to.

        `mostrecent` is what any worker set last, for what all of them see alike, such as the length
        of a queue. `sum`, `min` and `max` are over the workers that live, for what each has of its
        own, such as connections.
        """
        self._families.declare(Declaration("gauge", name, help, _names(labels), mode=mode))

    def declare_histogram(
        self,
        name: str,
        help: str = "",
        labels: Sequence[str] | None = None,
        buckets: Sequence[float] = DEFAULT_BUCKETS,
    ) -> None:
        """Say what a histogram means, and the upper bounds of its buckets.

        The default is for seconds, from 5 ms to 10 s. Percentiles are as fine as the buckets.
        """
        declaration = Declaration("histogram", name, help, _names(labels), tuple(buckets))
        self._families.declare(declaration)

    def counter(self, name: str, labels: Labels | None = None, value: float = 1.0) -> None:
        """Add `value`, which isn't negative. Exported as `<namespace>_<name>_total`."""
        if not 0 <= value < inf:
            raise ValueError(f"counter {name} only rises: {value!r} can't be added")
        self._record("counter", name, labels)(value)

    def gauge(self, name: str, value: float, labels: Labels | None = None) -> None:
        """Set the value."""
        self._record("gauge", name, labels)(value)

    def histogram(self, name: str, value: float, labels: Labels | None = None) -> None:
        """Add one value to the distribution."""
        if not -inf < value < inf:
            raise ValueError(f"histogram {name} takes finite numbers, not {value!r}")
        self._record("histogram", name, labels)(value)

    def timer(self, name: str, labels: Labels | None = None) -> Timer:
        """Add the seconds that a block takes to the histogram `name`, also when it raises.

        A plain `with`, in coroutines too; what is awaited in the block counts.
        """
        return Timer(self._record("histogram", name, labels))

    def counter_value(self, name: str, labels: Labels | None = None) -> float:
        """The count; 0 when nothing was counted."""
        full_name = f"{self._families.full_name('counter', name)}_total"
        return metric_json.value_of("counter", full_name, _texts(labels)) or 0.0

    def gauge_value(self, name: str, labels: Labels | None = None) -> float | None:
        """The value by the gauge's mode; None when nobody has set it."""
        full_name = self._families.full_name("gauge", name)
        return metric_json.value_of("gauge", full_name, _texts(labels))

    def histogram_stats(self, name: str, labels: Labels | None = None) -> Stats:
        """`count`, `mean`, `std`, `min`, `max`, `p50`, `p90`, `p95` and `p99`.

        Exact, but for the percentiles, which are interpolated in the bucket that the true value is
        in. `std` is the population's. None, but for the count of 0, when there is no value yet.
        """
        full_name = self._families.full_name("histogram", name)
        return metric_json.stats_of(full_name, _texts(labels))

    def export_prometheus(self) -> str:
        """This namespace's metrics in the Prometheus text format; `/metrics` has all."""
        registry = CollectorRegistry()
        registry.register(metric_json.OfNamespace(self.namespace))
        return generate_latest(registry).decode()

    def export_json(self) -> dict[str, Any]:
        """This namespace's `counters`, `gauges` and `histograms` by series, and `uptime_s`."""
        return metric_json.export_json([metric_json.OfNamespace(self.namespace)])

    def reset(self) -> None:
        """Forget all values of this namespace; declarations stay. For tests.

        Raises :class:`RuntimeError` under Gunicorn, where other workers have values too.
        """
        self._families.reset()

    def stats(self) -> dict[str, Any]:
        """What is in use in this process.

        `namespace`, numbers of `counters`, `gauges`, `histograms` and `series`, the names of those
        with too many label sets as `overflowing`, and `uptime_s`.
        """
        return self._families.stats() | {"uptime_s": metric_json.uptime()}

    @cached_property
    def _families(self) -> Families:
        # Not before the first use: facades are made at import, maybe before settings are read.
        namespace = _namespace(self._namespace or settings.service_name())
        return _families.setdefault(namespace, Families(namespace))

    def _record(self, kind: Kind, name: str, labels: Labels | None) -> Record:
        # By the texts of the values: 1, 1.0 and True are equal, and yet three label values.
        key = (kind, name, *labels, *map(str, labels.values())) if labels else (kind, name)
        families = self._families
        return families.recorders.get(key) or families.recorder(key, kind, name, labels)


class Timer(TimedBlock):
    """One timed block; `seconds` is known when it is over."""

    __slots__ = ("_record",)

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def ended(self, error: type[BaseException] | None) -> None:
        """Record the seconds."""
        self._record(self.seconds)


def _namespace(name: str) -> str:
    clean = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    return f"_{clean}" if clean[:1].isdigit() else clean


def _names(labels: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if labels is None else tuple(labels)


def _texts(labels: Labels | None) -> dict[str, str]:
    return {str(name): str(value) for name, value in (labels or {}).items()}
