"""Workers that die or hang (SPEC B4)."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import docs_code
import pytest
import support
from boot.fixtures import Boot, Lossless
from boot.harness import Record, Service, eventually
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
    dump = said_as_shown(service)["dump"]
    assert culprit in dump
    if path == "/hang":  # the tasks need the interpreter, which C code may keep to itself
        assert "Task" in dump
    assert service.ready()


def said_as_shown(service: Service) -> Record:
    """The line with the dump, one of those that the page shows; all have the fields shown there."""
    page = docs_code.shown(support.REPOSITORY / "docs/shutdown.md", "WORKER TIMEOUT")
    timeout, dump, accepting = (
        json.loads(line.replace(", ...}", "}")) for line in page.splitlines()
    )
    found: Record = service.wait_log(message=dump["message"], reason=dump["reason"])
    timeout["message"] = re.sub(r"\d+", str(found["worker_pid"]), timeout["message"])
    assert service.find_logs(**timeout)
    assert {name: found[name] for name in dump} == {
        **dump,
        **{name: found[name] for name in ("pid", "worker_pid", "slot", "dump")},
    }
    assert found["dump"].splitlines()[0] == dump["dump"].splitlines()[0]
    assert re.search(r"^  File \".+\", line \d+ in \w+$", found["dump"], re.MULTILINE)
    accepting |= {"pid": service.workers()[-1], "slot": found["slot"]}
    assert service.find_logs(**accepting)
    return found


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
