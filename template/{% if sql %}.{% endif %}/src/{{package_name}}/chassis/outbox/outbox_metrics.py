"""What is measured of the outbox, made on first use: the mode has to be settled before (`metrics`).

The gauges are about the whole database, so that every pod shows the same; take the maximum.
"""

from functools import cache

from prometheus_client import Counter, Gauge

from .outbox_board import Standing


class OutboxMetrics:
    """Counters by worker, and gauges of whoever counted last."""

    def __init__(self) -> None:
        self._published = Counter("outbox_published", "Events that the sink has taken.")
        self._failures = Counter(
            "outbox_failures",
            "Batches that came to nothing: the sink or the database was away.",
            ["reason"],
        )
        self._refused = Counter(
            "outbox_refused", "Times that the sink refused an event while it took others."
        )
        self._purged = Counter("outbox_purged", "Published events that were deleted for their age.")
        self._lag = self._gauge("outbox_lag_seconds", "Age of the oldest event that waits.")
        self._backlog = self._gauge("outbox_backlog", "Events that wait to be published.")
        self._parked = self._gauge("outbox_parked", "Events that were given up.")

    def published(self, count: int) -> None:
        """Record events that the sink has taken."""
        self._published.inc(count)

    def failed(self, reason: str) -> None:
        """Record a batch that came to nothing; `reason` is `sink` or `database`."""
        self._failures.labels(reason).inc()

    def refused(self, count: int) -> None:
        """Record events that the sink refused."""
        self._refused.inc(count)

    def purged(self, count: int) -> None:
        """Record events that were deleted."""
        self._purged.inc(count)

    def show(self, standing: Standing, now: float) -> None:
        """Set the gauges; the lag goes on growing while nobody can count."""
        self._lag.set(standing.lag(now))
        self._backlog.set(standing.waiting)
        self._parked.set(standing.parked)

    @staticmethod
    def _gauge(name: str, text: str) -> Gauge:
        return Gauge(name, text, multiprocess_mode="mostrecent")


@cache
def outbox() -> OutboxMetrics:
    """The process' outbox metrics."""
    return OutboxMetrics()
