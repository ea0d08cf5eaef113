"""What a scrape of `/metrics` returns."""

import os
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

from .. import availability, metrics, roster, settings
from ..availability import Availability, LivenessState, ReadinessState
from ..breaker import breakers
from ..breaker.breaker_metrics import BreakerCollector
from ..breaker.circuit_state import CircuitState
from ..health import health_board
from ..health.health_metrics import HealthCollector
from ..models import model_board
from ..models.model_metrics import ModelCollector
from ..roster import Roster, WorkerState

_SERVING = frozenset(WorkerState) - {WorkerState.STARTING, WorkerState.STOPPING}


class PodCollector(Collector):
    """Gauges that are true of the service as a whole, read from the memory that workers share.

    `places` is how many requests one worker serves at once; None where nobody knows yet.
    """

    def __init__(
        self, roster: Roster, availability: Availability, places: int | None = None
    ) -> None:
        self._roster = roster
        self._availability = availability
        self._places = places

    def collect(self) -> Iterator[Metric]:
        workers = list(self._roster.workers())
        by_state = GaugeMetricFamily("gunicorn_workers", "Workers by state.", labels=["state"])
        for state in WorkerState:
            if state is not WorkerState.FREE:
                count = sum(worker.state is state for worker in workers)
                by_state.add_metric([state.name.lower()], count)
        yield by_state
        yield GaugeMetricFamily(
            "http_requests_in_flight",
            "Requests being served.",
            sum(worker.in_flight for worker in workers),
        )
        if self._places is not None:
            yield GaugeMetricFamily(
                "http_requests_in_flight_limit",
                "Requests that may be served at once; further ones are refused.",
                self._places * sum(worker.state in _SERVING for worker in workers),
            )
        yield GaugeMetricFamily(
            "asyncio_event_loop_lag_seconds",
            "How late the event loop of the worst worker lately ran what was due.",
            max((worker.lag for worker in workers), default=0.0),
        )
        yield GaugeMetricFamily(
            "application_liveness_state",
            "1 when CORRECT, 0 when BROKEN or never set.",
            self._availability.liveness is LivenessState.CORRECT,
        )
        yield GaugeMetricFamily(
            "application_readiness_state",
            "1 when ACCEPTING_TRAFFIC, 0 when REFUSING_TRAFFIC or never set.",
            self._availability.readiness is ReadinessState.ACCEPTING_TRAFFIC,
        )
        yield GaugeMetricFamily(
            "application_draining",
            "1 while the service terminates.",
            self._roster.terminating_since is not None,
        )


class ProcessCollector(Collector):
    """What the processes have written, and what follows from it."""

    def collect(self) -> Iterator[Metric]:
        for metric in self._written():
            yield metric
            if metric.name == metrics.DURATION:
                yield _requests_total(metric)

    def _written(self) -> Iterable[Metric]:
        if metrics.DIRECTORY_VARIABLE in os.environ:
            shared = MultiProcessCollector(None)  # type: ignore[no-untyped-call]
            written: Iterable[Metric] = shared.collect()  # type: ignore[no-untyped-call]
            return written
        return REGISTRY.collect()


def _requests_total(duration: Metric) -> Metric:
    # The histogram counts the requests already: a counter of its own would be written for nothing.
    total = CounterMetricFamily(
        "http_requests", "Requests that were answered.", labels=["method", "route", "status"]
    )
    for sample in duration.samples:
        if sample.name == f"{metrics.DURATION}_count":
            labels = sample.labels
            total.add_metric([labels["method"], labels["route"], labels["status"]], sample.value)
    return total


def breaker_states() -> dict[str, CircuitState]:
    """Each circuit breaker's state, the worst over the workers that are alive."""
    return breakers.current.states(worker.slot for worker in roster.current.workers())


def collectors() -> list[Collector]:
    """All that there is to tell of this service."""
    breakers.current.publish()
    places = settings.current().worker_connections if settings.are_set() else None
    return [
        ProcessCollector(),
        PodCollector(roster.current, availability.current, places),
        BreakerCollector(breaker_states),
        ModelCollector(model_board.current),
        HealthCollector(health_board.current),
    ]


def render() -> bytes:
    """All metrics in the Prometheus text format. Reads files: call it off the event loop."""
    registry = CollectorRegistry()
    for collector in collectors():
        registry.register(collector)
    return generate_latest(registry)
