"""Metrics that are made by their first use, with bounded labels.

The objects of prometheus-client are made when something is first recorded, not when it is declared:
by then the process is a worker and knows where to write (:func:`.metrics.share_over_workers`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args

from prometheus_client import REGISTRY, Counter, Histogram

from .. import logs
from ..logs import origin
from . import metric_files, moments
from .metric_declaration import Declaration, Kind
from .metric_files import Owner

Labels = Mapping[str, object]
Record = Callable[[float], None]

MAX_LABEL_SETS = 1000
"""Label sets of one metric that a worker's slot tells apart; the rest count as OVERFLOW."""

OVERFLOW = "other"

origin.INTERNAL_MODULES.add(__name__)  # the warning names the code that records
_log = logs.get_logger("chassis.metrics")


class Families:
    """The metrics of one namespace in this process, by name.

    `recorders` holds, by key, what records into each series: the short way for those who know it.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.recorders: dict[object, Record] = {}
        self._declared: dict[str, Declaration] = {}
        self._used: dict[str, Family] = {}
        self._lock = threading.RLock()

    def full_name(self, kind: Kind, name: str) -> str:
        """The metric's name as it is exported, a counter's without `_total`."""
        if kind == "counter":
            name = name.removesuffix("_total")
        return f"{self.namespace}_{name}"

    def declare(self, declaration: Declaration) -> None:
        """Say what a metric is before its first use. Saying the same again changes nothing."""
        declared = self._in_full(declaration)
        with self._lock:
            used = self._used.get(declared.name)
            known = self._declared.get(declared.name) or (used and used.declaration)
            if known is not None and known != declared:
                raise ValueError(f"{declared.name} is declared already, or in use, as {known}")
            self._declared[declared.name] = declared

    def recorder(self, key: object, kind: Kind, name: str, labels: Labels | None) -> Record:
        """What records into one series; kept in `recorders` under `key` unless it overflowed."""
        labels = labels or {}
        with self._lock:
            record, is_own = self._family(kind, name, tuple(labels)).recorder(labels)
            if is_own:
                self.recorders[key] = record
            return record

    def stats(self) -> dict[str, Any]:
        """How many metrics and series are in use in this process, and which overflowed."""
        with self._lock:
            used = list(self._used.values())
        kinds = [family.declaration.kind for family in used]
        return {
            "namespace": self.namespace,
            **{f"{kind}s": kinds.count(kind) for kind in get_args(Kind)},
            "series": sum(family.series for family in used),
            "overflowing": [family.declaration.name for family in used if family.overflowing],
        }

    def reset(self) -> None:
        """Forget what was recorded; declarations stay. For tests, where one process is all."""
        if metric_files.directory():
            raise RuntimeError("metrics of several workers can't be reset: counters only rise")
        with self._lock:
            self.recorders.clear()
            while self._used:
                self._used.popitem()[1].remove()

    def _family(self, kind: Kind, name: str, labels: tuple[str, ...]) -> Family:
        full_name = self.full_name(kind, name)
        family = self._used.get(full_name)
        if family is not None:
            family.declaration.check(kind, labels)
            return family
        declared = self._declared.get(full_name) or self._in_full(Declaration(kind, name))
        if declared.labels is None:
            declared = replace(declared, labels=labels)
        declared.check(kind, labels)
        family = self._used[full_name] = Family(declared)
        return family

    def _in_full(self, declaration: Declaration) -> Declaration:
        name = declaration.name
        text = declaration.help or f"{name.replace('_', ' ')}."
        return replace(declaration, name=self.full_name(declaration.kind, name), help=text)


class Family:
    """One metric with all its series."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.overflowing = False
        self._names = declaration.labels or ()
        self._metric = declaration.make()
        self._owner: Owner | None = None
        self._seen: set[tuple[str, ...]] = set()

    @property
    def series(self) -> int:
        """The number of label sets so far."""
        return len(self._seen)

    def recorder(self, labels: Labels) -> tuple[Record, bool]:
        """What records into the series of `labels`, and whether that series is its own."""
        values = tuple(str(labels[name]) for name in self._names)
        is_own = self._admit(values)
        if not is_own:
            values = (OVERFLOW,) * len(values)
        child = self._metric.labels(*values) if values else self._metric
        if isinstance(child, Histogram):
            named = dict(zip(self._names, values, strict=True))
            series = moments.of_series(self.declaration.name, named)
            return _both(child.observe, series.observe), is_own
        return child.inc if isinstance(child, Counter) else child.set, is_own

    def remove(self) -> None:
        """Take the metric out of the registry."""
        REGISTRY.unregister(self._metric)
        moments.forget(self.declaration.name)

    def _admit(self, values: tuple[str, ...]) -> bool:
        """Whether there is room for a label set: every one of them stays in memory and files."""
        owner = metric_files.owner()
        if self._owner != owner:
            # The successor of a recycled worker goes on with its files: what is there, counts.
            self._owner, self._seen = owner, self._written_by(owner)
        if values in self._seen:
            return True
        if len(self._seen) < MAX_LABEL_SETS:
            self._seen.add(values)
            return True
        if not self.overflowing:
            self.overflowing = True
            _log.warning(
                "metric has too many label sets, further ones are counted as one",
                metric=self.declaration.name,
                limit=MAX_LABEL_SETS,
                counted_as=dict.fromkeys(self._names, OVERFLOW),
            )
        return False

    def _written_by(self, owner: Owner) -> set[tuple[str, ...]]:
        directory = metric_files.directory()
        if directory is None:
            return set()
        path = directory / f"{self.declaration.file_prefix}_{owner}.db"
        start = json.dumps([self.declaration.name])[:-1] + ", "
        labels = (
            json.loads(key)[2] for key, _, _ in metric_files.entries(path) if key.startswith(start)
        )
        return {tuple(found[name] for name in self._names) for found in labels}


def _both(first: Record, second: Record) -> Record:
    def record(value: float) -> None:
        first(value)
        second(value)

    return record
