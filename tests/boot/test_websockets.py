"""WebSockets over real sockets: limits, goodbyes, and clients that don't keep to the protocol."""

from __future__ import annotations

import json
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from boot.fixtures import Boot
from boot.harness import Service, eventually

pytestmark = pytest.mark.boot

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
MASK = b"\1\2\3\4"


class Client:
    """As much of RFC 6455 as a test needs. `head` is what the server answered to the handshake."""

    def __init__(self, port: int, path: str, headers: str = "Host: service\r\n") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._stream = self.socket.makefile("rb")
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\n{headers}Connection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        lines = list(iter(lambda: self._stream.readline().decode().rstrip(), ""))
        self.status = int(lines[0].split()[1])
        pairs = (line.partition(":") for line in lines[1:])
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self.socket.close()

    def problem(self) -> Any:
        """The problem that was the answer to the handshake."""
        assert self.headers["content-type"] == "application/problem+json"
        return json.loads(self._stream.read(int(self.headers["content-length"])))

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send one frame, masked as clients have to."""
        size = len(payload)
        length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BQ", 0xFF, size)
        masked = bytes(byte ^ MASK[n % 4] for n, byte in enumerate(payload))
        self.socket.sendall(bytes([0x80 | opcode]) + length + MASK + masked)

    def receive(self) -> tuple[int, bytes]:
        """The next frame's opcode and payload; EOFError at the end of the connection."""
        head = self._stream.read(2)
        if len(head) < 2:
            raise EOFError
        size = head[1] & 127
        if size == 126:
            (size,) = struct.unpack("!H", self._stream.read(2))
        return head[0] & 15, self._stream.read(size)

    def say(self, text: str) -> str:
        """Send a text and return the answer to it."""
        self.send(text.encode())
        opcode, payload = self.receive()
        assert opcode == TEXT, (opcode, payload)
        return payload.decode()

    def close_code(self) -> int:
        """Read on until the server closes, and return with what code."""
        while True:
            opcode, payload = self.receive()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")


@contextmanager
def connected(service: Service, path: str, **options: str) -> Iterator[Client]:
    """A client that was let in."""
    with Client(service.port, path, **options) as client:
        assert client.status == 101, client.status
        yield client


@pytest.fixture(scope="module")
def service(boot_once: Boot) -> Service:
    """One worker that has little patience and room for two."""
    return boot_once(
        WEB_CONCURRENCY="1",
        MAX_REQUESTS="0",
        REQUEST_TIMEOUT_SECONDS="1",
        STREAM_IDLE_SECONDS="2",
        WORKER_CONNECTIONS="2",
        MAX_BODY_BYTES="100000",
    )


def line_of(service: Service, client: Client) -> dict[str, Any]:
    """The access line of a client's conversation."""
    request_id = client.headers["x-request-id"]
    return service.wait_log(logger="access", request_id=request_id)


def test_an_echo_comes_back_and_is_logged_once(service: Service) -> None:
    """With what the handshake was answered, and how it ended."""
    with connected(service, "/talk/den") as client:
        assert client.say("hello") == "den: hello"
        assert client.say("żółć " * 1000) == "den: " + "żółć " * 1000
        client.send(b"are you there?", PING)
        assert client.receive() == (PONG, b"are you there?")
        client.send((4001).to_bytes(2, "big"), CLOSE)
        assert client.close_code() == 4001
    line = line_of(service, client)
    assert (line["method"], line["route"]) == ("WEBSOCKET", "/talk/{room}")
    assert (line["status_code"], line["close_code"]) == (101, 4001)


def test_handshake_and_conversation_are_measured(service: Service) -> None:
    """Each once."""
    handshakes = 'http_requests_total{method="GET",route="/monologue",status="101"}'
    conversations = 'websocket_duration_seconds_count{route="/monologue"}'

    def metric(name: str) -> float:
        lines = service.manage("/metrics").body.decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    before = metric(handshakes), metric(conversations)
    with connected(service, "/monologue") as client:
        client.receive()
        assert (metric(handshakes), metric(conversations)) == (before[0] + 1, before[1])
    eventually(lambda: metric(conversations) == before[1] + 1, what="the end of it counted")
    assert not service.find_logs(level="error", path="/monologue")


def test_silence_ends_it(service: Service) -> None:
    """1001 after two seconds without a message; a ping is none."""
    with connected(service, "/talk/den") as client:
        client.say("hello")
        began = time.monotonic()
        client.send(b"", PING)
        assert client.close_code() == 1001
    assert 1.5 < time.monotonic() - began < 4


def test_the_deadline_of_requests_holds_for_the_handshake(service: Service) -> None:
    """It is a request until it is answered."""
    with Client(service.port, "/undecided") as client:
        assert client.status == 504
        assert client.problem()["request_id"] == client.headers["x-request-id"]
    assert line_of(service, client)["status_code"] == 504


def test_it_takes_a_place_as_every_request(service: Service) -> None:
    """The third of two is refused like any other, and a place that gets free is given again."""
    with connected(service, "/talk/a") as first, connected(service, "/talk/b"):
        with Client(service.port, "/talk/c") as client:
            assert (client.status, client.headers["retry-after"]) == (503, "1")
            assert client.problem()["detail"] == "All places are taken. Try again soon."
        assert service.ask("/pid").status == 503
        first.send(b"leave")
        assert first.close_code() == 1000
        eventually(lambda: service.ask("/pid").status == 200, what="a free place")


def test_a_message_is_limited_like_a_body(service: Service) -> None:
    """1009, message too big (RFC 6455 section 7.4.1)."""
    with connected(service, "/talk/den") as client:
        client.send(b"x" * 100_001)
        assert client.close_code() == 1009


def test_an_exception_closes_it(service: Service) -> None:
    """1011, and one entry with the traceback."""
    with connected(service, "/talk/den") as client:
        client.send(b"fail")
        assert client.close_code() == 1011
    request_id = client.headers["x-request-id"]
    assert line_of(service, client)["close_code"] == 1011
    (failure,) = service.find_logs(level="error", request_id=request_id)
    assert failure["exception"]["message"] == "the lab has crashed in the middle of a talk"


def test_a_path_without_one_is_refused_with_a_problem(service: Service) -> None:
    """403 is what ASGI makes of it."""
    with Client(service.port, "/nowhere") as client:
        assert (client.status, client.problem()["title"]) == (403, "Forbidden")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param("Host: a\r\nHost: b\r\n", 400, id="two hosts"),
        pytest.param("Host: a\r\nX-Long: " + "x" * 9000 + "\r\n", 431, id="a long header"),
        pytest.param("Host: a\r\n" + "X-Many: x\r\n" * 200, 431, id="many headers"),
        pytest.param("Host: a\r\nContent-Length: 5\r\n", 400, id="a body"),
    ],
)
def test_a_handshake_that_is_wrong_is_answered_and_closed(
    service: Service, headers: str, status: int
) -> None:
    """And not left open for ever, unanswered."""
    with Client(service.port, "/talk/den", headers) as client:
        problem = client.problem()
        assert client.status == problem["status"] == status
        assert client.headers["x-request-id"] == problem["request_id"]
        assert client.socket.recv(1) == b""


def test_a_client_that_does_not_read_is_dropped(service: Service) -> None:
    """Its silence counts as any other, and nothing of what it left unread stays."""

    def sockets() -> int:
        (worker,) = service.workers()
        descriptors = Path(f"/proc/{worker}/fd").iterdir()
        return sum("socket" in str(descriptor.readlink()) for descriptor in descriptors)

    before = sockets()
    with connected(service, "/monologue?ms=0&size=65536") as client:
        assert line_of(service, client)["close_code"] == 1001
        eventually(lambda: sockets() <= before, 20, what="the end of the connection")
    levels = {record["level"] for record in service.find_logs(logger="uvicorn.error")}
    assert "error" not in levels


def test_hosts_are_checked(boot: Boot) -> None:
    """As on every request."""
    service = boot(ALLOWED_HOSTS="good.example")
    with Client(service.port, "/talk/den", "Host: evil.example\r\n") as stranger:
        assert stranger.status == 400
    with connected(service, "/talk/den", headers="Host: good.example\r\n") as client:
        assert client.say("hello") == "den: hello"


def test_a_stop_ends_conversations_when_it_has_to(boot: Boot) -> None:
    """They go on through the drain and are closed with 1012, service restart, at its end.

    Whoever comes during the drain is let in, as every request is.
    """
    service = boot(WEB_CONCURRENCY="1", MAX_REQUESTS="0")
    with (
        connected(service, "/talk/den") as listener,
        connected(service, "/monologue") as speaker,
    ):
        service.send(signal.SIGTERM)
        service.wait_log(message="draining")
        assert listener.say("still there?") == "den: still there?"
        with connected(service, "/talk/late") as late:
            assert late.headers["connection"] == "Upgrade"
            assert late.say("hello") == "late: hello"
            assert [listener.close_code(), speaker.close_code(), late.close_code()] == [1012] * 3
    assert service.wait_exit() == 0
    assert not service.complaints()
    codes = {line["close_code"] for line in service.find_logs(logger="access", status_code=101)}
    assert codes <= {1012, 1006}
    assert 1012 in codes
