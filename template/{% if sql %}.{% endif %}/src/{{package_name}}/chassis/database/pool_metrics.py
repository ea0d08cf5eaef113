"""What is measured of the pool, made on first use: the mode has to be settled before (`metrics`).

Each worker has a pool of its own; what is exported is their sum over the pod. A worker that is gone
has no connections, so its numbers go with it, while the counts stay.
"""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from .gate import Gate, Reason


class PoolMetrics:
    """The pool of this worker."""

    def __init__(self) -> None:
        self._size = Gauge(
            "database_pool_size",
            "Connections that the workers may hold in all.",
            multiprocess_mode="livesum",
        )
        self._in_use = Gauge(
            "database_pool_in_use", "Connections that are in use.", multiprocess_mode="livesum"
        )
        self._waiting = Gauge(
            "database_pool_waiting", "Who waits for a connection.", multiprocess_mode="livesum"
        )
        refused = Counter(
            "database_pool_refused",
            "Who got no connection: after the wait (timeout), or at once (queue).",
            ["reason"],
        )
        reasons: tuple[Reason, ...] = ("timeout", "queue")
        self._refused = {reason: refused.labels(reason) for reason in reasons}
        self._wait = Histogram(
            "database_pool_wait_seconds",
            "How long those waited who had to, and got a connection.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
        )

    def changed(self, gate: Gate) -> None:
        """See `Watcher`."""
        self._size.set(gate.size)
        self._in_use.set(gate.in_use)
        self._waiting.set(gate.waiting)

    def refused(self, reason: Reason) -> None:
        """See `Watcher`."""
        self._refused[reason].inc()

    def waited(self, seconds: float) -> None:
        """See `Watcher`."""
        self._wait.observe(seconds)


class WriterMetrics:
    """Those who wait for their turn to write to a file: to a client it is the same wait."""

    def changed(self, gate: Gate) -> None:
        """See `Watcher`. What the gauges show is connections."""

    def refused(self, reason: Reason) -> None:
        """See `Watcher`."""
        pool().refused(reason)

    def waited(self, seconds: float) -> None:
        """See `Watcher`."""
        pool().waited(seconds)


@cache
def writers() -> WriterMetrics:
    """The metrics of those who write in this process."""
    return WriterMetrics()


@cache
def pool() -> PoolMetrics:
    """The process' pool metrics."""
    return PoolMetrics()
