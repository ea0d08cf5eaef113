"""Replacing workers under load: SIGHUP, SIGTTIN and SIGTTOU (SPEC B3)."""

from __future__ import annotations

import signal
import time

import docs_code
import pytest
import support
from boot.fixtures import Boot, Lossless
from boot.load import PROBE, Load

pytestmark = [pytest.mark.boot, pytest.mark.load]


def test_three_reloads(boot: Boot, lossless: Lossless) -> None:
    """SIGHUP three times under load: 0 lost, readiness never flips, all workers are new."""
    service = boot(WEB_CONCURRENCY="2")
    replaced = []
    with (
        Load(service.management_port, "/health/ready", [PROBE] * 2) as probes,
        Load(service.port) as load,
    ):
        for _ in range(3):
            load.pass_by(500)
            old = service.workers()
            replaced += old
            service.send(signal.SIGHUP)
            service.wait_workers(2, other_than=old)
        load.reach(4000)
        load.pass_by(300)
    lossless(load, at_least=4000)
    assert probes.tally.lost == 0, str(probes.tally)
    assert len(load.tally.replies) == 8, "pids that have answered: two of each generation"
    assert service.complaints() == []
    page = docs_code.shown(support.REPOSITORY / "docs/shutdown.md", "HANDING_OVER ->")
    states = [state.strip().lower().replace("_", " ") for state in page.split("->")]
    for worker in replaced:
        said = [line["message"] for line in service.find_logs(logger="chassis.server", pid=worker)]
        assert said == [*states, "stopped"]


def test_a_storm_of_reloads(boot: Boot, lossless: Lossless) -> None:
    """Five SIGHUPs in a second, each before the last has settled: 0 lost, two workers remain."""
    service = boot(WEB_CONCURRENCY="2")
    with Load(service.port) as load:
        load.reach(300)
        old = service.workers()
        for _ in range(5):
            service.send(signal.SIGHUP)
            time.sleep(0.2)
        service.wait_workers(2, other_than=old)
        load.pass_by(500)
    lossless(load)
    assert len(service.workers()) == 2
    assert service.complaints() == []


def test_throughput_during_a_reload(boot: Boot, lossless: Lossless) -> None:
    """A reload doesn't leave the clients waiting: no request takes longer than two seconds."""
    service = boot(WEB_CONCURRENCY="2")
    with Load(service.port, timeout=2) as load:
        load.reach(300)
        old = service.workers()
        service.send(signal.SIGHUP)
        service.wait_workers(2, other_than=old)
        load.pass_by(300)
    lossless(load)


def test_one_worker_more_and_one_less(boot: Boot, lossless: Lossless) -> None:
    """SIGTTIN and SIGTTOU under load: 0 lost, and readiness never flips."""
    service = boot(WEB_CONCURRENCY="2")
    with (
        Load(service.management_port, "/health/ready", [PROBE] * 2) as probes,
        Load(service.port) as load,
    ):
        for _ in range(2):
            service.send(signal.SIGTTIN)
            service.wait_workers(3)
            service.wait_log(message="accepting", count=3)
            load.pass_by(400)
            service.send(signal.SIGTTOU)
            service.wait_workers(2)
            load.pass_by(400)
        service.send(signal.SIGTTOU)
        service.wait_workers(1)
        load.reach(4000)
    lossless(load, at_least=4000)
    assert probes.tally.lost == 0, str(probes.tally)
    assert service.complaints() == []
    assert service.stop() == 0
