"""What is measured of models, made on first use: the mode has to be settled before (`metrics`)."""

import threading
from collections.abc import Iterator
from functools import cache

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .model_board import ModelBoard
from .model_state import ModelState

_OUTCOMES = ("ok", "error", "timeout")

_making = threading.Lock()
"""Models are loaded in threads, and a metric can be made only once."""


class ModelMetrics:
    """Counts and times by model; there are as many labels as models were registered."""

    def __init__(self) -> None:
        self._warm_up = Histogram(
            "model_warm_up_seconds",
            "Time to load a model and make its first predictions.",
            ["model"],
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250),
        )
        self._refreshes = Counter(
            "model_refreshes",
            "Attempts to replace a model that is in use, by outcome: ok, error, timeout.",
            ["model", "outcome"],
        )
        self._prediction = Histogram(
            "model_prediction_seconds",
            "Time that a prediction took, waiting for a thread included.",
            ["model"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self._batch = Histogram(
            "model_batch_size",
            "How many inputs were predicted at once.",
            ["model"],
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
        )

    def warmed(self, model: str, seconds: float) -> None:
        """Record a warm-up that succeeded."""
        self._warm_up.labels(model).observe(seconds)
        # From nought on: of a series that begins at 1 Prometheus sees no rise.
        for outcome in _OUTCOMES:
            self._refreshes.labels(model, outcome)

    def refreshed(self, model: str, outcome: str) -> None:
        """Record an attempt to replace a model."""
        self._refreshes.labels(model, outcome).inc()

    def predicted(self, model: str, batch: int, seconds: float) -> None:
        """Record a prediction."""
        self._prediction.labels(model).observe(seconds)
        self._batch.labels(model).observe(batch)


@cache
def _made() -> ModelMetrics:
    return ModelMetrics()


def models() -> ModelMetrics:
    """The process' model metrics. From any thread."""
    with _making:
        return _made()


class ModelCollector(Collector):
    """Where the models stand in the worker where it is worst, read from the memory they share."""

    def __init__(self, board: ModelBoard) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        warm = GaugeMetricFamily(
            "model_warm", "1 when the model is warm in every worker.", labels=["model"]
        )
        states = GaugeMetricFamily(
            "model_state",
            "1 for the state of the model in the worker where it is worst.",
            labels=["model", "state"],
        )
        for name, standing in self._board.standings().items():
            warm.add_metric([name], standing.worst.is_warm)
            for state in ModelState:
                states.add_metric([name, state.label], state is standing.worst)
        yield warm
        yield states
