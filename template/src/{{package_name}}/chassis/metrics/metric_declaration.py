"""What a metric is: its kind, its names, and how the workers' values come together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from prometheus_client import Counter, Gauge, Histogram

Kind = Literal["counter", "gauge", "histogram"]
GaugeMode = Literal["mostrecent", "sum", "min", "max"]

DEFAULT_BUCKETS = Histogram.DEFAULT_BUCKETS

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN_LABELS = frozenset({"le", "pid"})  # by prometheus-client, for buckets and processes

_MULTIPROCESS_MODES = {
    # What was said last stays true when the worker that said it is recycled. The others are about
    # what each worker has, and a worker that is gone has nothing.
    "mostrecent": "mostrecent",
    "sum": "livesum",
    "min": "livemin",
    "max": "livemax",
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One metric. `labels` None: whichever its first use has.

    Names are Prometheus' (https://prometheus.io/docs/concepts/data_model/), without the colon,
    which belongs to recording rules. Raises ValueError for others.
    """

    kind: Kind
    name: str
    help: str = ""
    labels: tuple[str, ...] | None = None
    buckets: Sequence[float] = DEFAULT_BUCKETS
    mode: GaugeMode = "mostrecent"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} can't name a metric: letters, digits and _ only, no digit first"
            )
        for label in self.labels or ():
            if not _NAME.fullmatch(str(label)) or label.startswith("__") or label in _TAKEN_LABELS:
                raise ValueError(
                    f"{label!r} can't be a label of {self.name}: letters, digits and _ only, "
                    f"no digit and no __ first, and none of {', '.join(sorted(_TAKEN_LABELS))}"
                )
        if self.mode not in get_args(GaugeMode):
            modes = ", ".join(get_args(GaugeMode))
            raise ValueError(f"the mode {self.mode!r} of {self.name} is not one of {modes}")

    def check(self, kind: Kind, labels: tuple[str, ...]) -> None:
        """Raise ValueError when a use of the metric doesn't fit what it is."""
        if self.kind != kind:
            raise ValueError(f"{self.name} is a {self.kind}, not a {kind}")
        if set(self.labels or ()) != set(labels):
            has, given = ", ".join(self.labels or ()), ", ".join(map(str, labels))
            raise ValueError(f"{self.name} has the labels ({has}), not ({given})")

    @property
    def file_prefix(self) -> str:
        """How prometheus-client's files for such metrics begin."""
        if self.kind == "gauge":
            return f"gauge_{_MULTIPROCESS_MODES[self.mode]}"
        return self.kind

    def make(self) -> Counter | Gauge | Histogram:
        """The metric itself, registered; ValueError where the name or the buckets can't be."""
        labels = self.labels or ()
        try:
            if self.kind == "counter":
                return Counter(self.name, self.help, labels)
            if self.kind == "histogram":
                return Histogram(self.name, self.help, labels, buckets=self.buckets)
            mode: Any = _MULTIPROCESS_MODES[self.mode]
            return Gauge(self.name, self.help, labels, multiprocess_mode=mode)
        except ValueError as error:
            raise ValueError(f"{self.name} can't be a {self.kind}: {error}") from None
