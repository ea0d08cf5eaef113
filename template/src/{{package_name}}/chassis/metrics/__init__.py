"""Metrics that are right over all workers.

Each process writes its values to memory-mapped files and whoever is scraped adds them up
(prometheus-client's multi-process mode). The library names the files after the process id, so that
every recycled worker would leave some behind for ever; here they are named after the worker's slot,
which its successor takes over together with the counts: nothing is lost and nothing piles up.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import prometheus_client.values
from prometheus_client import Counter, Histogram
from prometheus_client.multiprocess import mark_process_dead

from .straight_to_file import observer

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

DURATION = "http_request_duration_seconds"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER_METHOD = "OTHER"
_REFUSALS = (
    "overload",
    "body_too_large",
    "deadline",
    "slow_body",
    "stalled_stream",
    "host",
    "handshake",
    "slow_head",
    "large_head",
    "bad_request",
)
_EXITS = ("left", "died", "hung")
_CONVERSATION_SECONDS = (1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
_MASTER = "master"

_identity: list[int | str] = [_MASTER]
_directory: list[Path] = []


def share_over_workers(parent: Path | None, service: str) -> Path:
    """Switch to multi-process mode, in the master, before any metric exists.

    Makes a fresh directory below `parent` (the system's temporary folder when None; memory rather
    than disk, if there is some) and removes those that a killed master left behind. Called again,
    on a reload, it changes nothing.
    """
    if _directory:
        return _directory[0]
    root = parent or Path(tempfile.gettempdir())
    prefix = f"{service}-metrics-"
    for stale in _without_master(root.glob(f"{prefix}*")):
        shutil.rmtree(stale, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    # Held open, and so locked, for as long as the master or a worker lives.
    fcntl.flock(os.open(directory, os.O_RDONLY), fcntl.LOCK_SH)
    _directory.append(directory)
    os.environ[DIRECTORY_VARIABLE] = str(directory)
    prometheus_client.values.ValueClass = prometheus_client.values.MultiProcessValue(  # type: ignore[no-untyped-call]
        process_identifier=lambda: _identity[0]
    )
    return directory


def become(slot: int) -> None:
    """From now on this process writes the files of `slot`. For a worker, right after the fork."""
    _identity[0] = slot


def identity() -> int | str:
    """Whose files this process writes: a worker's slot, or the master's."""
    return _identity[0]


def forget_gauges(slot: int) -> None:
    """Drop the gauges of a worker that is gone; its counts stay. For the master."""
    mark_process_dead(slot)  # type: ignore[no-untyped-call]


def remove() -> None:
    """Remove the directory. For the master, when it exits."""
    for directory in _directory:
        shutil.rmtree(directory, ignore_errors=True)


def _without_master(directories: Iterable[Path]) -> Iterator[Path]:
    # By lock and not by process id: in a container every master has the same one.
    for directory in directories:
        try:
            handle = os.open(directory, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield directory
        except OSError:
            pass
        finally:
            os.close(handle)


class RequestMetrics:
    """What is recorded of every request."""

    def __init__(self) -> None:
        self._duration = Histogram(
            DURATION,
            "Time from the request's head to the end of its reply.",
            ["method", "route", "status"],
        )
        refused = Counter(
            "http_requests_refused",
            "Requests that were answered by a limit instead of by the application.",
            ["reason"],
        )
        # From nought on: of a series that begins at 1 Prometheus sees no rise.
        self._refused_for = {reason: refused.labels(reason) for reason in _REFUSALS}
        self._abandoned = Counter(
            "http_requests_abandoned",
            "Requests past their deadline whose work goes on in a thread.",
        )
        self._conversation = Histogram(
            "websocket_duration_seconds",
            "Time from a WebSocket's handshake to its end.",
            ["route"],
            buckets=_CONVERSATION_SECONDS,
        )
        # Finding a child by its labels costs more than observing; there are few, so keep them.
        self._observers: dict[tuple[str, str, int], Callable[[float], None]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record a completed request, in the thread of the event loop.

        `route` is a template, never a raw path.
        """
        key = (method, route, status)
        observe = self._observers.get(key)
        if observe is None:
            known = method if method in _METHODS else _OTHER_METHOD
            observe = observer(self._duration.labels(known, route, str(status)))
            if known == method:
                self._observers[key] = observe
        observe(seconds)

    def conversed(self, route: str, seconds: float) -> None:
        """Record a WebSocket that has ended; its handshake is a request like any other."""
        self._conversation.labels(route).observe(seconds)

    def refused(self, reason: str) -> None:
        """Record a request that a limit refused."""
        self._refused_for[reason].inc()

    def abandoned(self) -> None:
        """Record a request that is over while its thread isn't."""
        self._abandoned.inc()


@cache
def requests() -> RequestMetrics:
    """The process' request metrics, made on first use: the mode has to be settled before."""
    return RequestMetrics()


@cache
def worker_exits() -> Counter:
    """How many workers went, by reason: from nought on. Counted in the master."""
    exits = Counter("gunicorn_worker_exits", "Workers that are gone.", ["reason"])
    for reason in _EXITS:
        exits.labels(reason)
    return exits
