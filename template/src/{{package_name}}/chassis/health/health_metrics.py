"""Health as Prometheus metrics (SPEC C3, F2).

How long a check took is written by the worker that asked it, when it asked it. What the checks
found is read from the board by whoever is scraped and is the worst over the workers. A scrape asks
no check.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache

from prometheus_client import Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import logs
from .health_board import CHECKS, HealthBoard
from .health_check import CheckResult

_log = logs.get_logger("chassis.health")


@cache
def durations() -> Histogram:
    """How long checks took. Made on first use: the multi-process mode has to be settled before."""
    return Histogram(
        "health_check_duration_seconds",
        "Time that a health check took, or its timeout.",
        ["check"],
        buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    )


class HealthRecorder:
    """Tells board and metrics of each run. Both show the first 64 checks, for bounded labels."""

    def __init__(self, board: HealthBoard, healthy_ratio: Callable[[], float]) -> None:
        self._board = board
        self._healthy_ratio = healthy_ratio
        self._has_complained = False

    def __call__(self, results: Mapping[str, CheckResult]) -> None:
        """Record what a run brought. For `HealthRegistry.observe`."""
        left_out = self._board.publish(results, self._healthy_ratio())
        for name, result in results.items():
            if name not in left_out:
                durations().labels(name).observe(result.duration_ms / 1000)
        if left_out and not self._has_complained:
            self._has_complained = True
            _log.error("too many health checks to show them all", shown=CHECKS)


class HealthCollector(Collector):
    """What the board says."""

    def __init__(self, board: HealthBoard) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        statuses = GaugeMetricFamily(
            "health_check_status",
            "1 for what the check found in the worker where it is worst.",
            labels=["check", "critical", "status"],
        )
        for name, standing in self._board.standings().items():
            critical = str(standing.critical).lower()
            for status in ("ok", "fail", "error"):
                statuses.add_metric([name, critical, status], status == standing.worst)
        yield statuses
        ratio = self._board.healthy_ratio
        if ratio is not None:
            yield GaugeMetricFamily(
                "health_healthy_ratio",
                "The part of the last runs after which all was healthy, in the worst worker.",
                ratio,
            )
