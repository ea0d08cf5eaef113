"""Requests that outlast the second for which Uvicorn keeps its default headers (SPEC B1, B3)."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
from boot.balancer import balancer
from boot.fixtures import Boot, Lossless
from boot.harness import Ports
from boot.load import Client, Load, Reply, burst, request

pytestmark = [pytest.mark.boot, pytest.mark.load]

CLIENTS = (Client("slow keep-alive", keep_alive=True, think=0.8),) * 24
"""They ask for 1.2 to 2.6 seconds and wait for less than the services linger."""

LINGER = "1.5"


def test_replaced_workers(boot: Boot, lossless: Lossless) -> None:
    """Overlapping reloads of one service, and workers of another that are recycled: 0 lost."""
    reloaded = boot(WEB_CONCURRENCY="2", LINGER_SECONDS=LINGER)
    recycled = boot(
        WEB_CONCURRENCY="2", LINGER_SECONDS=LINGER, MAX_REQUESTS="12", MAX_REQUESTS_JITTER="4"
    )
    with (
        Load(reloaded.port, "/slow", CLIENTS) as reloading,
        Load(recycled.port, "/slow", CLIENTS) as recycling,
    ):
        for _ in range(3):
            time.sleep(1.7)
            old = reloaded.workers()
            reloaded.send(signal.SIGHUP)
        reloaded.wait_workers(2, other_than=old)
    lossless(reloading, at_least=60)
    lossless(recycling, at_least=60)
    assert len(reloading.tally.replies) >= 6, "three generations of workers, or more"
    assert len(recycling.tally.replies) >= 3
    assert reloaded.complaints() == []
    assert recycled.complaints() == []


def test_one_of_two_replicas_stops(
    boot: Boot, lossless: Lossless, ports: Ports, tmp_path: Path
) -> None:
    """SIGTERM of a replica behind a balancer, which the kept connections hold on to: 0 lost."""
    leaving, staying = (boot(WEB_CONCURRENCY="2", LINGER_SECONDS=LINGER) for _ in range(2))
    with (
        balancer("tcp", ports.take(), [leaving, staying], tmp_path) as entry,
        Load(entry.port, "/slow", CLIENTS) as load,
    ):
        load.reach(12)
        assert leaving.stop() == 0
    lossless(load, at_least=40)
    assert leaving.complaints() == []


def test_a_request_begun_before_the_signal_is_told_to_close(boot: Boot) -> None:
    """A reply during the drain says `Connection: close`, however long ago its request began."""
    service = boot(WEB_CONCURRENCY="1")
    replies: list[Reply] = []
    waiting = threading.Thread(
        target=lambda: replies.extend(burst(service.port, 1, request("/work?ms=2500")))
    )
    waiting.start()
    time.sleep(1.6)
    service.send(signal.SIGTERM)
    waiting.join()
    assert not service.find_logs(message="lingering"), "the service is still draining"
    assert [reply.status for reply in replies] == [200]
    assert [reply.headers.get("connection") for reply in replies] == ["close"]


def test_a_deadline_is_kept_while_a_stream_is_open(boot: Boot) -> None:
    """A stream, which may be idle for longer than a request may take, delays no deadline."""
    service = boot(WEB_CONCURRENCY="1", REQUEST_TIMEOUT_SECONDS="2", STREAM_IDLE_SECONDS="12")
    with Load(service.port, "/stream?count=12&ms=500", CLIENTS[:1], most=1) as stream:
        time.sleep(2.5)  # by now the ledger waits for nothing but the stream
        began = time.monotonic()
        assert service.ask("/sleep-forever").status == 504
        assert 1.8 < time.monotonic() - began < 4
        assert stream.tally.requests == 0, "the stream is still open"
        assert stream.join().lost == 0
