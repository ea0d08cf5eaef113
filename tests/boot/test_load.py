"""The measuring tool itself: a load client that could not lose would prove nothing."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from boot.balancer import balancer
from boot.fixtures import Boot
from boot.harness import Ports, Service
from boot.load import FRESH, FRESH_HESITANT, KEEP_ALIVE, KEEP_ALIVE_THINKING, Load

pytestmark = [pytest.mark.boot, pytest.mark.load]

USUAL = Path(__file__).parent / "usual"

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OK_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


@contextmanager
def scripted(*replies: bytes | None) -> Iterator[int]:
    """A server that gives these replies on each connection and then closes; None: says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    for reply in replies:
                        connection.recv(65536)
                        if reply is None:
                            connection.recv(65536)
                        else:
                            connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize(
    ("replies", "outcomes"),
    [
        pytest.param([OK, OK, OK, OK], [], id="kept, all well"),
        pytest.param([CHUNKED, OK, CHUNKED, OK], [], id="chunked"),
        pytest.param([OK_CLOSE], [], id="a close that was announced loses nothing"),
        pytest.param([OK, OK, b""], ["reset"], id="a close that was not announced"),
        pytest.param([b""], ["reset"] * 4, id="closed without a word"),
        pytest.param([OK[:-1]], ["cut"] * 4, id="cut in the body"),
        pytest.param([OK[:20]], ["cut"] * 4, id="cut in the head"),
        pytest.param([CHUNKED[:-5]], ["cut"] * 4, id="cut before the last chunk"),
        pytest.param([OK, b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", OK, OK], ["status"],
                     id="an error status"),
        pytest.param([None], ["timeout"] * 4, id="no reply at all"),
    ],
)  # fmt: skip
def test_each_loss_is_counted(replies: list[bytes | None], outcomes: list[str]) -> None:
    """Of four requests on a kept connection every loss is counted, once, under its own name."""
    with scripted(*replies) as port, Load(port, clients=[KEEP_ALIVE], most=4, timeout=0.3) as load:
        tally = load.join()
    assert [loss.outcome for loss in tally.losses] == outcomes
    assert tally.requests == 4


def test_a_refused_connection_is_counted(ports: Ports) -> None:
    """A port where nobody listens loses every request."""
    with Load(ports.take(), clients=[FRESH, KEEP_ALIVE], most=4) as load:
        tally = load.join()
    assert [loss.outcome for loss in tally.losses] == ["refused"] * 4


@contextmanager
def usual_recipe(project: Path, port: int) -> Iterator[Service]:
    """Boot the usual recipe; it has one port for all."""
    service = Service(USUAL, port, port, command=[str(project / ".venv/bin/gunicorn")])
    try:
        service.wait_ready()
        yield service
    finally:
        service.kill()


def test_the_usual_recipe_loses_requests_on_a_reload(project: Path, ports: Ports) -> None:
    """The same clients see the losses that a plain worker has on SIGHUP."""
    with usual_recipe(project, ports.take()) as service, Load(service.port) as load:
        for _ in range(2):
            load.pass_by(300)
            old = service.workers()
            service.send(signal.SIGHUP)
            service.wait_workers(2, old)
    assert load.tally.lost > 0, str(load.tally)


def test_without_the_linger_requests_are_lost(boot: Boot) -> None:
    """Clients that think for a moment show what LINGER_SECONDS is for."""
    service = boot(WEB_CONCURRENCY="2", LINGER_SECONDS="0")
    with Load(service.port, clients=[KEEP_ALIVE_THINKING, FRESH_HESITANT] * 12) as load:
        load.reach(50)
        old = service.workers()
        service.send(signal.SIGHUP)
        service.wait_workers(2, other_than=old)
    assert load.tally.lost > 0, str(load.tally)


def test_the_usual_recipe_loses_requests_on_a_rolling_restart(
    project: Path, ports: Ports, tmp_path: Path
) -> None:
    """The same balancer and clients see the losses of a readiness that is flipped too late."""
    with (
        usual_recipe(project, ports.take()) as first,
        usual_recipe(project, ports.take()) as second,
        balancer("tcp", ports.take(), [first, second], tmp_path) as entry,
        Load(entry.port) as load,
    ):
        load.reach(300)
        first.stop()
        load.pass_by(300)
    assert load.tally.lost > 0, str(load.tally)
