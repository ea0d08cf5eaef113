"""What is measured of upstreams. Made on first use: the mode has to be settled before."""

from collections.abc import Callable
from functools import cache
from http import HTTPStatus

from prometheus_client import Counter, Gauge, Histogram

from ..metrics.straight_to_file import observer

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_STATUSES = frozenset(HTTPStatus)


class UpstreamMetrics:
    """Counts and times by upstream; there are as many as were declared."""

    def __init__(self) -> None:
        self._duration = Histogram(
            "http_client_request_duration_seconds",
            "Time of an attempt to call an upstream, from sending to the end of its reply.",
            ["upstream", "method", "status"],
        )
        self._retries = Counter(
            "http_client_retries", "Attempts that repeated an earlier one.", ["upstream"]
        )
        self._in_flight = Gauge(
            "http_client_requests_in_flight",
            "Calls to an upstream that hold a connection, over all workers.",
            ["upstream"],
            multiprocess_mode="livesum",
        )
        # Finding a child by its labels costs more than observing; there are few, so keep them.
        self._observers: dict[tuple[str, str, int | str], Callable[[float], None]] = {}
        self._gauges: dict[str, Gauge] = {}

    def in_flight(self, upstream: str) -> Gauge:
        """The gauge of one upstream."""
        gauge = self._gauges.get(upstream)
        if gauge is None:
            gauge = self._gauges[upstream] = self._in_flight.labels(upstream)
        return gauge

    def retried(self, upstream: str) -> None:
        """Record that an attempt is made again."""
        self._retries.labels(upstream).inc()

    def attempted(self, upstream: str, method: str, outcome: int | str, seconds: float) -> None:
        """Record an attempt: its status, or in a word why there is none.

        In the thread of the event loop, to which the connections belong.
        """
        known = method if method in _METHODS else "OTHER"
        key = (upstream, known, outcome)
        observe = self._observers.get(key)
        if observe is None:
            observe = observer(self._duration.labels(upstream, known, status_label(outcome)))
            if isinstance(outcome, str) or outcome in _STATUSES:
                self._observers[key] = observe
        observe(seconds)


def status_label(outcome: int | str) -> str:
    """A label for a status; of those that HTTP doesn't know only the class, such as `4xx`."""
    if isinstance(outcome, str) or outcome in _STATUSES:
        return str(outcome)
    return f"{outcome // 100}xx"


@cache
def upstreams() -> UpstreamMetrics:
    """The process' metrics of upstreams."""
    return UpstreamMetrics()
