"""Circuit breakers as Prometheus metrics (SPEC D2, F2).

Calls and transitions are counters that each worker writes for its slot, so the sum over workers is
exact and survives them. Writing one costs more than a whole guarded call; the numbers are carried
over from time to time instead.

The state is read from the board by whoever is scraped and is the worst over the workers. A gauge
for each worker couldn't tell: the largest value for each label (`livemax`) would show a circuit as
open and closed at once, and that of a killed worker would stay until the master cleans up.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache

from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .circuit_state import CircuitState
from .circuit_stats import CircuitCounts

States = Callable[[], Mapping[str, CircuitState]]


class BreakerMetrics:
    """The counters of this process."""

    def __init__(self) -> None:
        self._calls = Counter(
            "circuit_breaker_calls",
            "Calls by outcome; slow ones succeeded, but took too long.",
            ["name", "outcome"],
        )
        self._transitions = Counter(
            "circuit_breaker_transitions", "Changes of state.", ["name", "from", "to"]
        )

    def add(self, name: str, change: Mapping[tuple[str, ...], int]) -> None:
        """Count what came since the last time; see `tally`."""
        for labels, count in change.items():
            metric = self._calls if len(labels) == 1 else self._transitions
            metric.labels(name, *labels).inc(count)


@cache
def counters() -> BreakerMetrics:
    """The process' counters, made on first use: the multi-process mode has to be settled before."""
    return BreakerMetrics()


class Tally:
    """What one breaker has counted that the metrics don't show yet."""

    def __init__(self, counts: Callable[[], CircuitCounts]) -> None:
        self._counts = counts
        self._before: dict[tuple[str, ...], int] = {}
        self._shown: dict[tuple[str, ...], int] = {}

    def start_over(self) -> None:
        """Leave out what was counted before now."""
        self._before, self._shown = _labelled(self._counts()), {}

    def take(self) -> dict[tuple[str, ...], int]:
        """The growth since it was last taken, by the labels that follow the name.

        The first time outcomes that didn't occur are in it too: a series has to begin at 0 for the
        first failure to be seen as a rise.
        """
        counted = _labelled(self._counts()).items()
        now = {labels: count - self._before.get(labels, 0) for labels, count in counted}
        shown, self._shown = self._shown, now
        return {
            labels: count - shown.get(labels, 0)
            for labels, count in now.items()
            if count != shown.get(labels)
        }


def _labelled(counts: CircuitCounts) -> dict[tuple[str, ...], int]:
    moves = counts.transitions.items()
    return {
        ("succeeded",): counts.succeeded - counts.slow,
        ("slow",): counts.slow,
        ("failed",): counts.failed,
        ("rejected",): counts.rejected,
        **{(before.value, after.value): count for (before, after), count in moves},
    }


class BreakerCollector(Collector):
    """`circuit_breaker_state`: 1 for the worst state over the workers, 0 for the others."""

    def __init__(self, states: States) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "circuit_breaker_state",
            "1 for the state of the circuit in the worker where it is worst.",
            labels=["name", "state"],
        )
        for name, current in self._states().items():
            for state in CircuitState:
                family.add_metric([name, state.value], state is current)
        yield family
