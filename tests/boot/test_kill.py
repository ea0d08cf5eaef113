"""Workers that die or hang (SPEC B4)."""

from __future__ import annotations

import os
import signal
import time

import pytest
from boot.fixtures import Boot, Lossless
from boot.harness import eventually
from boot.load import FRESH, MIXED, Load

pytestmark = [pytest.mark.boot, pytest.mark.load]


def test_a_killed_worker_takes_only_its_own_requests_with_it(
    boot: Boot, lossless: Lossless
) -> None:
    """SIGKILL of a worker loses at most what it had in flight, and the master replaces it."""
    service = boot(WEB_CONCURRENCY="2")
    with Load(service.port) as load:
        load.reach(300)
        victim = service.workers()[0]
        os.kill(victim, signal.SIGKILL)
        service.wait_workers(2, other_than=[victim])
        load.reach(2000)
    lossless(load, at_most_lost=len(MIXED))
    assert service.ready()
    assert service.stop() == 0


@pytest.mark.parametrize(
    ("path", "culprit"), [("/hang", "in hang"), ("/hang-in-c", "in hang_in_c")]
)
def test_a_worker_that_hangs_is_replaced_alone(path: str, culprit: str, boot: Boot) -> None:
    """A blocked event loop costs one worker; the other serves, and the log has the stacks."""
    service = boot(
        WEB_CONCURRENCY="2",
        MAX_REQUESTS="0",  # the other one would have its share before the hung one is found
        WORKER_TIMEOUT_SECONDS="5",
        REQUEST_TIMEOUT_SECONDS="2",
        CLOSE_SECONDS="1",
    )
    before = service.workers()
    with Load(service.port, path, [FRESH], most=1) as hanging:
        time.sleep(0.5)
        # New connections only: those that the hung worker held before are its own loss.
        with Load(service.port, "/work?ms=20", [FRESH] * 8, timeout=10) as others:
            eventually(lambda: len(set(before) & set(service.workers())) == 1, 20)
            service.wait_workers(2)
            others.pass_by(200)
    assert hanging.tally.lost == 1
    assert others.tally.lost == 0, str(others.tally)
    assert len(set(before) & set(service.workers())) == 1, "the other worker stayed"
    dumps = [text for text in map(str, service.logs()) if culprit in text]
    assert dumps, f"no dump of the stacks in the log\n{service.tail()}"
    if path == "/hang":  # the tasks need the interpreter, which C code may keep to itself
        assert any("Task" in text for text in dumps)
    assert service.ready()


def test_a_worker_that_dies_while_it_starts_leaves_the_others_alone(
    boot: Boot, lossless: Lossless
) -> None:
    """A kill just after the fork doesn't leave a slot that is starting for ever."""
    service = boot(WEB_CONCURRENCY="2")
    service.send(signal.SIGTTIN)
    newcomer = service.wait_workers(3)[-1]
    os.kill(newcomer, signal.SIGKILL)
    service.wait_workers(3, other_than=[newcomer])
    with Load(service.port, limit=30) as load:
        load.reach(200)
        old = service.workers()
        service.send(signal.SIGHUP)
        service.wait_workers(2, other_than=old)
        load.pass_by(200)
    lossless(load)
