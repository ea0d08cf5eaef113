"""Stopping: nothing is lost on SIGTERM, and a second signal means now (SPEC B1, B6)."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import docs_code
import pytest
import support
from boot.balancer import Mode, balancer
from boot.fixtures import Boot, Lossless
from boot.harness import Ports, Record, Service, ask, eventually
from boot.load import Load, Reply, burst, request

pytestmark = [pytest.mark.boot, pytest.mark.load]

DOCS = support.REPOSITORY / "docs"


@pytest.mark.parametrize("mode", ["tcp", "http"])
def test_rolling_restart_of_two_replicas(
    mode: Mode, boot: Boot, lossless: Lossless, ports: Ports, tmp_path: Path
) -> None:
    """Both replicas restart, one after the other, behind a balancer: 0 lost, exit code 0."""
    replicas = [boot(WEB_CONCURRENCY="2"), boot(WEB_CONCURRENCY="2")]
    stopped = []
    with (
        balancer(mode, ports.take(), replicas, tmp_path) as entry,
        Load(entry.port) as load,
    ):
        load.reach(300)
        for old in replicas:
            assert old.stop() == 0
            stopped.append(old)
            boot(WEB_CONCURRENCY="2", port=old.port, management_port=old.management_port)
            entry.wait_up(2)
        load.reach(4000)
    lossless(load, at_least=4000)
    assert [service.complaints() for service in stopped] == [[], []]


class Watch:
    """A probe that asks again and again, each time on a new connection."""

    def __init__(self, port: int, path: str) -> None:
        self.seen: list[tuple[float, int, dict[str, str]]] = []
        self._port, self._path = port, path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.is_set():
            at = time.monotonic()
            try:
                answer = ask(self._port, self._path, timeout=5)
                self.seen.append((at, answer.status, answer.headers))
            except OSError:
                self.seen.append((at, 0, {}))
            self._stop.wait(0.04)

    def stop(self) -> None:
        """End the watch."""
        self._stop.set()
        self._thread.join(10)

    def first(self, status: int, since: float) -> float:
        """When this status was seen first, in seconds after ``since``."""
        return next(at - since for at, code, _ in self.seen if at >= since and code == status)


def test_readiness_fails_while_new_connections_are_still_served(boot: Boot) -> None:
    """On SIGTERM the probe says 503 at once; for the whole drain every new connection is served."""
    service = boot(WEB_CONCURRENCY="2")
    traffic = Watch(service.port, "/pid")
    ready = Watch(service.management_port, "/health/ready")
    live = Watch(service.management_port, "/health/live")
    readyz = Watch(service.port, "/readyz")
    slow: list[Reply] = []
    waiting = threading.Thread(
        target=lambda: slow.extend(burst(service.port, 4, request("/work?ms=5500")))
    )
    time.sleep(0.5)
    waiting.start()
    time.sleep(0.3)

    signalled = time.monotonic()
    service.send(signal.SIGTERM)
    eventually(lambda: not service.ready(), 2, what="readiness to fail")
    body = service.manage("/health/ready").json()
    code = service.wait_exit()
    waiting.join()
    for watch in (traffic, ready, live, readyz):
        watch.stop()

    shown = docs_code.shown(DOCS / "health.md", '"reason":"draining"').splitlines()
    assert body == json.loads(shown[0])
    assert ready.first(503, signalled) < 1
    assert readyz.first(503, signalled) < 1
    draining = [seen for seen in traffic.seen if 1 < seen[0] - signalled < 2.8]
    assert len(draining) > 10
    assert {status for _, status, _ in draining} == {200}
    assert {headers.get("connection") for _, _, headers in draining} == {"close"}
    assert 2.8 < traffic.first(0, signalled) < 5, "the listener closes after the drain"
    assert {status for at, status, _ in live.seen if at - signalled < 5} == {200}
    assert [reply.status for reply in slow] == [200] * 4
    assert {reply.headers.get("connection") for reply in slow} == {"close"}
    assert code == 0
    assert service.complaints() == []
    _assert_order(service)


def _assert_order(service: Service) -> None:
    """The log is that of the page: each worker's steps in their order, and the master's end."""
    page = docs_code.shown(DOCS / "shutdown.md", "Handling signal: term")
    shown = re.findall(r"^[\d:.]+  (\S+)  (.+?)(?: {2,}.*)?$", page, re.MULTILINE)
    assert len(shown) == len(page.splitlines())
    for logger, message in shown:
        assert service.find_logs(logger=logger, message=message), message
    assert service.logs()[-1]["message"] == shown[-1][1]

    steps = ["accepting", *(message for logger, message in shown if logger == "chassis.server")]
    by_slot: dict[object, list[Record]] = defaultdict(list)
    for record in service.find_logs(logger="chassis.server"):
        if record["message"] in steps:
            by_slot[record["slot"]].append(record)
    assert len(by_slot) == 2
    for records in by_slot.values():
        assert [record["message"] for record in records] == steps
        times = [record["timestamp"] for record in records]
        assert all(earlier <= later for earlier, later in pairwise(times))


def test_kept_connections_are_told_to_close(boot: Boot, lossless: Lossless, ports: Ports) -> None:
    """A single replica that stops under kept connections answers each of them a last time."""
    service = boot(WEB_CONCURRENCY="2")
    with Load(service.port) as load:
        load.reach(200)
        for _ in range(4):  # an impatient operator: more of the same changes nothing
            service.send(signal.SIGTERM)
            time.sleep(0.5)  # inside the drain; fresh connections are refused after it, rightly
        load.stop()
    lossless(load)
    assert service.wait_exit() == 0


def test_sigterm_in_the_middle_of_a_reload(
    boot: Boot, lossless: Lossless, ports: Ports, tmp_path: Path
) -> None:
    """SIGTERM flips readiness at once though Gunicorn's master waits for an old worker; 0 lost."""
    leaving, staying = boot(WEB_CONCURRENCY="2"), boot(WEB_CONCURRENCY="2")
    slow: list[Reply] = []
    with (
        balancer("tcp", ports.take(), [leaving, staying], tmp_path) as entry,
        Load(entry.port) as load,
    ):
        load.reach(300)
        waiting = threading.Thread(
            target=lambda: slow.extend(burst(leaving.port, 8, request("/work?ms=8000")))
        )
        waiting.start()
        load.pass_by(300)
        old = leaving.workers()
        leaving.send(signal.SIGHUP)
        eventually(lambda: len(set(leaving.workers()) - set(old)) == 2, what="new workers")
        leaving.wait_log(message="lingering")
        load.pass_by(600)
        assert set(old) & set(leaving.workers()), "an old worker still serves its slow requests"
        assert leaving.ready()

        signalled = time.monotonic()
        leaving.send(signal.SIGTERM)
        eventually(lambda: not leaving.ready(), 5, what="readiness to fail")
        assert time.monotonic() - signalled < 1.5
        code = leaving.wait_exit(20)
        waiting.join()
        load.reach(4000)
    lossless(load, at_least=4000)
    assert [reply.status for reply in slow] == [200] * 8
    assert code == 0
    assert leaving.complaints() == []


def test_sigterm_right_after_sighup(
    boot: Boot, lossless: Lossless, ports: Ports, tmp_path: Path
) -> None:
    """SIGTERM that overtakes the new workers' start-up is honoured as well; 0 lost."""
    leaving, staying = boot(WEB_CONCURRENCY="2"), boot(WEB_CONCURRENCY="2")
    with (
        balancer("tcp", ports.take(), [leaving, staying], tmp_path) as entry,
        Load(entry.port) as load,
    ):
        load.reach(300)
        leaving.send(signal.SIGHUP)
        load.pass_by(60)
        leaving.send(signal.SIGTERM)
        eventually(lambda: not leaving.ready(), 1.5, what="readiness to fail")
        code = leaving.wait_exit(20)
        load.reach(4000)
    lossless(load, at_least=4000)
    assert code == 0
    assert leaving.complaints() == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (None, signal.SIGINT),
        (None, signal.SIGQUIT),
        (signal.SIGTERM, signal.SIGINT),
        (signal.SIGTERM, signal.SIGQUIT),
        (signal.SIGHUP, signal.SIGINT),
    ],
)
def test_a_second_signal_means_now(
    first: signal.Signals | None, second: signal.Signals, boot: Boot
) -> None:
    """SIGINT or SIGQUIT ends the service within three seconds, whatever it is doing."""
    service = boot(WEB_CONCURRENCY="2")
    with Load(service.port, "/sleep-forever"):
        time.sleep(0.3)
        if first:
            service.send(first)
            time.sleep(1)
        began = time.monotonic()
        service.stop(second, within=10)
        took = time.monotonic() - began
    assert took < 3
    assert service.workers_left() == []


def test_ctrl_c_in_a_terminal(boot: Boot) -> None:
    """SIGINT to master and workers at once ends them all within three seconds, without errors."""
    service = boot(WEB_CONCURRENCY="2")
    began = time.monotonic()
    service.send_to_group(signal.SIGINT)
    assert service.wait_exit(10) == 0
    assert time.monotonic() - began < 3
    assert service.workers_left() == []
    assert service.complaints() == []


def test_sigterm_to_the_whole_group(
    boot: Boot, lossless: Lossless, ports: Ports, tmp_path: Path
) -> None:
    """SIGTERM to master and workers alike, as systemd sends it, loses nothing either."""
    leaving, staying = boot(WEB_CONCURRENCY="2"), boot(WEB_CONCURRENCY="2")
    with (
        balancer("tcp", ports.take(), [leaving, staying], tmp_path) as entry,
        Load(entry.port) as load,
    ):
        load.reach(300)
        leaving.send_to_group(signal.SIGTERM)
        code = leaving.wait_exit(20)
        load.pass_by(300)
    lossless(load)
    assert code == 0
    assert leaving.complaints() == []


def test_workers_whose_master_is_killed_drain_and_leave(boot: Boot) -> None:
    """SIGKILL of the master leaves no orphans: the workers say 503, serve for the drain, exit."""
    service = boot(WEB_CONCURRENCY="2")
    service.send(signal.SIGKILL)
    eventually(lambda: not service.ready(), 2, what="readiness to fail")
    assert service.ask("/pid").status == 200
    eventually(lambda: not service.workers_left(), 15, what="the end of the workers")


def test_a_stop_without_traffic_is_as_long_as_the_drain(boot: Boot) -> None:
    """An idle service drains, and then has nothing to wait for."""
    service = boot(WEB_CONCURRENCY="2")
    began = time.monotonic()
    assert service.stop() == 0
    assert 2.8 < time.monotonic() - began < 8
    assert service.complaints() == []


def test_resources_close_in_reverse_order(boot: Boot, tmp_path: Path) -> None:
    """Each resource closes even though another fails; background work is finished or cancelled."""
    service = boot(
        WEB_CONCURRENCY="1", LAB_FOLDER=str(tmp_path), LAB_FAIL="close second", DRAIN_SECONDS="3"
    )
    service.ask("/background?ms=3500")
    service.ask("/background?ms=60000")
    assert service.stop() == 0
    assert (tmp_path / "steps").read_text().splitlines() == [
        "open first",
        "open second",
        "open third",
        "background 3500 done",
        "close third",
        "close second",
        "close first",
    ]
    assert [record["level"] for record in service.complaints()] == ["error"]
    assert "can't close second" in str(service.complaints()[0])
    assert service.find_logs(level="warning", task="background 60000")


def test_a_resource_that_hangs_does_not_hold_the_exit(boot: Boot, tmp_path: Path) -> None:
    """A close that takes for ever is given up within CLOSE_SECONDS; the others still close."""
    service = boot(
        WEB_CONCURRENCY="1", LAB_FOLDER=str(tmp_path), LAB_HANG="close third", CLOSE_SECONDS="2"
    )
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 3 + 1 + 2 + 3
    steps = (tmp_path / "steps").read_text().splitlines()
    assert steps[-3:] == ["close third", "close second", "close first"]
