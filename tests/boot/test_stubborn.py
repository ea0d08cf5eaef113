"""Code of the user's that stands in the way of a stop, or of a worker (SPEC B1, B4)."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from boot.fixtures import Boot
from boot.harness import eventually

pytestmark = pytest.mark.boot


def test_a_resource_that_ignores_its_cancellation(boot: Boot) -> None:
    """Workers that can't close it leave in time, by a reload as by a stop, and say why."""
    settings = {
        "WEB_CONCURRENCY": "2",
        "LAB_EXTRA": "stubborn",
        "REQUEST_TIMEOUT_SECONDS": "2",
        "CLOSE_SECONDS": "1",
        "GRACEFUL_TIMEOUT_SECONDS": "7",
    }
    reloaded, stopped = boot(**settings), boot(**settings)
    old = {service: set(service.workers()) for service in (reloaded, stopped)}
    began = time.monotonic()
    stopped.send(signal.SIGTERM)
    reloaded.send(signal.SIGHUP)
    reloaded.wait_log(message="stopping", count=2)
    eventually(
        lambda: not old[reloaded] & set(reloaded.workers()), 2 + 1 + 2, what="the end of the old"
    )
    reloaded.wait_workers(2)
    assert stopped.wait_exit() == 0
    assert time.monotonic() - began < 7 + 2
    for service, workers in old.items():
        assert sorted(record["pid"] for record in service.complaints()) == sorted(workers)
        for record in service.complaints():  # nobody was killed
            assert record["message"] == "shutdown not finished in time"
            assert "lifespan" in record["tasks"].lower()


def test_a_resource_that_awaits_its_own_cancelled_task(boot: Boot, tmp_path: Path) -> None:
    """Its CancelledError is its own matter: the resources before it close, in reverse order."""
    service = boot(WEB_CONCURRENCY="1", LAB_EXTRA="own", LAB_FOLDER=str(tmp_path))
    service.send(signal.SIGHUP)
    service.wait_log(message="stopped")
    steps = (tmp_path / "steps").read_text().splitlines()
    closed = [step for step in steps if step.startswith("close")]
    assert closed == ["close own", "close third", "close second", "close first"]
    (complaint,) = service.complaints()
    assert complaint["resource"] == "extra"


def test_a_listener_that_raises(boot: Boot) -> None:
    """Each worker tells of it once and goes on; whoever published gets their reply."""
    service = boot(WEB_CONCURRENCY="2", LAB_EXTRA="listener")
    workers = service.workers()
    assert service.ask("/break-liveness").status == 200
    service.wait_log(message="availability listener failed", count=2)
    time.sleep(0.5)
    assert {record["pid"] for record in service.complaints()} == set(workers)
    assert len(service.complaints()) == 2
    assert {record["exception"]["message"] for record in service.complaints()} == {
        "the listener has failed"
    }
    assert service.ask("/pid").status == 200
    assert service.workers() == workers
