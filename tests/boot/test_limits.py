"""Limits: whoever asks too much is refused or cut off, and nobody else notices (SPEC A6-A8)."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sessions
import support
from boot.fixtures import Boot
from boot.harness import Answer, Service, eventually
from boot.load import FRESH, KEEP_ALIVE, PROBE, Load, Reply, burst, converse, request

pytestmark = pytest.mark.boot

PAGE = support.REPOSITORY / "docs/limits.md"
CHUNKED = [("Transfer-Encoding", "chunked"), ("Connection", "close")]


@pytest.fixture(scope="module")
def service(boot_once: Boot) -> Service:
    """One worker with short limits."""
    return boot_once(
        WEB_CONCURRENCY="1",
        MAX_REQUESTS="0",
        REQUEST_TIMEOUT_SECONDS="2",
        HEADER_TIMEOUT_SECONDS="2",
        STREAM_IDLE_SECONDS="2",
        MAX_BODY_BYTES=str(2**20),
        MAX_HEADER_BYTES=str(2**16),
    )


@contextmanager
def bystanders(service: Service) -> Iterator[None]:
    """Other clients that are served all the while, on both ports; they must not notice."""
    with (
        Load(service.port, "/work?ms=20", [KEEP_ALIVE, FRESH], timeout=2) as traffic,
        Load(service.management_port, "/health/live", [PROBE] * 4, timeout=2) as probes,
    ):
        traffic.pass_by(5)
        yield
        traffic.pass_by(20)
        probes.pass_by(20)
    assert traffic.tally.lost == 0, str(traffic.tally)
    assert probes.tally.lost == 0, str(probes.tally)


def assert_problem(reply: Answer | Reply, status: int) -> None:
    """The reply is an RFC 9457 problem that names the request."""
    assert reply.status == status, (reply.status, reply.body)
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["request_id"] == reply.headers["x-request-id"]


def counted(service: Service, name: str) -> float:
    """The sum of a counter over its labels."""
    lines = service.manage("/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_a_body_within_the_limit_is_taken(service: Service) -> None:
    """Exactly 1 MiB goes through, with a length and in chunks."""
    body = b"x" * 2**20
    assert service.ask("/echo", "POST", body=body).json() == {"bytes": 2**20}
    chunk = b"10000\r\n" + b"x" * 2**16 + b"\r\n"
    sent = request("/echo", "POST", CHUNKED, chunk * 16 + b"0\r\n\r\n")
    assert burst(service.port, 1, sent)[0].json() == {"bytes": 2**20}


def test_a_body_that_says_it_is_too_long_is_refused(service: Service) -> None:
    """A Content-Length past 1 MiB is answered 413, before and after the body is sent."""
    with bystanders(service):
        length = [("Content-Length", str(2**20 + 1))]
        assert_problem(burst(service.port, 1, request("/echo", "POST", length))[0], 413)
        sent = request("/echo", "POST", length, b"x" * (2**20 + 1))
        assert_problem(burst(service.port, 1, sent)[0], 413)


def test_a_chunked_body_past_the_limit_is_refused(service: Service) -> None:
    """A chunked body of 4 MiB, which has no length to look at, is answered 413 as well."""
    chunk = b"10000\r\n" + b"x" * 2**16 + b"\r\n"
    with bystanders(service):
        sent = request("/echo", "POST", CHUNKED, chunk * 64 + b"0\r\n\r\n")
        assert_problem(burst(service.port, 1, sent)[0], 413)


def test_an_endless_body_is_refused(service: Service) -> None:
    """A client that never ends its body is answered 413 and cut off."""

    def endless() -> Iterator[bytes]:
        yield request("/echo", "POST", CHUNKED)
        while True:
            yield b"10000\r\n" + b"x" * 2**16 + b"\r\n"

    with bystanders(service):
        heard, took = converse(service.port, endless(), pause=0.005, timeout=15)
    assert heard.startswith(b"HTTP/1.1 413") or not heard
    assert took < 10


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        pytest.param(b"1\r\nx\r\n0\r\n", b"X-T: " + b"a" * 60_000 + b"\r\n", id="trailers"),
        pytest.param(b"1\r\nx\r\n0\r\nX-T: ", b"a" * 65_536, id="one trailer"),
        pytest.param(b"1;", b"a" * 65_536, id="an extension of a chunk"),
    ],
)
def test_what_frames_a_body_is_limited_too(head: bytes, piece: bytes, service: Service) -> None:
    """A chunked body whose framing never ends is cut off, and takes no memory with it."""

    def endless() -> Iterator[bytes]:
        yield request("/echo", "POST", CHUNKED) + head
        while True:
            yield piece

    worker = service.workers()[0]
    before = resident_mib(worker)
    with bystanders(service):
        _, took = converse(service.port, endless(), timeout=15)
    assert took < 5
    assert resident_mib(worker) < before + 64


def resident_mib(pid: int) -> int:
    """The memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) // 1024


def test_trailers_are_no_headers(service: Service) -> None:
    """What a client puts after its body can't pass for a header that a proxy would have removed."""
    sent = request("/headers", "POST", CHUNKED, b"1\r\nx\r\n0\r\nX-Trailer: sneaked in\r\n\r\n")
    names = burst(service.port, 1, sent)[0].json()
    assert "host" in names
    assert "x-trailer" not in names


@pytest.mark.parametrize("path", ["/sleep-forever", "/sync-work?ms=4000"])
def test_a_request_past_its_deadline_is_answered_504(path: str, service: Service) -> None:
    """What takes longer than REQUEST_TIMEOUT_SECONDS is given up, in coroutines and in threads."""
    abandoned = counted(service, "http_requests_abandoned_total")
    with bystanders(service):
        began = time.monotonic()
        reply = service.ask(path)
        took = time.monotonic() - began
    assert_problem(reply, 504)
    assert 1.8 < took < 3.5
    if "sync" in path:
        eventually(lambda: counted(service, "http_requests_abandoned_total") == abandoned + 1, 5)
    else:
        assert counted(service, "http_requests_abandoned_total") == abandoned


def test_a_refusal_looks_as_the_page_shows_it(service: Service) -> None:
    """As it is typed, but for the service's shorter deadline. Headers may come in any order."""
    typed, shown = sessions.typed(PAGE, "/slow")
    here = typed.replace("localhost:8000", f"127.0.0.1:{service.port}")

    done = subprocess.run(["bash", "-c", here], capture_output=True, text=True, check=True)

    status, *headers, dots, problem = shown
    head, _, body = done.stdout.partition("\n\n")
    assert dots == "..."
    assert head.splitlines()[0] == status
    assert {*headers} <= {*head.splitlines()}
    assert json.loads(body) == json.loads(problem.replace("15 seconds", "2 seconds"))


def test_a_stream_is_bounded_by_silence_not_by_length(service: Service) -> None:
    """A stream that goes on for longer than the deadline is served; one that stalls is cut off."""
    whole = burst(service.port, 1, request("/stream?count=8&ms=400"))[0]
    assert whole.status == 200
    assert whole.body == b"".join(b"%d\n" % number for number in range(8))
    heard, took = converse(service.port, [request("/stream?count=3&ms=6000")], timeout=15)
    assert not heard.endswith(b"0\r\n\r\n"), "a client can't take it for whole"
    assert took < 5.5


def one_by_one(data: bytes) -> list[bytes]:
    """Each byte for itself."""
    return [data[at : at + 1] for at in range(len(data))]


def test_one_header_byte_a_second_is_cut_off(service: Service) -> None:
    """A client that drips its request head is cut off at HEADER_TIMEOUT_SECONDS."""
    with bystanders(service):
        heard, took = converse(service.port, one_by_one(request("/pid")), pause=1, timeout=15)
    assert not heard or heard.startswith(b"HTTP/1.1 408")
    assert 1.5 < took < 6


def test_silence_is_cut_off(service: Service) -> None:
    """A client that connects and says nothing is cut off as well."""
    with bystanders(service):
        heard, took = converse(service.port, [], timeout=20)
    assert heard == b""
    assert took < 12


def test_one_body_byte_a_second_is_cut_off(service: Service) -> None:
    """A client that drips its body gets 408 or 504 at the deadline."""
    head = request("/echo", "POST", [("Content-Length", "100")])
    with bystanders(service):
        heard, took = converse(service.port, [head, *one_by_one(b"x" * 100)], 1, timeout=20)
    assert heard.startswith((b"HTTP/1.1 408", b"HTTP/1.1 504"))
    assert took < 8


def test_a_head_that_is_too_large_is_refused(service: Service) -> None:
    """A request head past 64 KiB is answered 431 or cut off, in one header and in many."""
    large = [("X-Filler", "a" * 70_000)]
    many = [(f"X-Filler-{number}", "a" * 1000) for number in range(80)]
    with bystanders(service):
        for headers in (large, many):
            heard, took = converse(service.port, [request("/pid", headers=headers)], timeout=15)
            assert not heard or heard.startswith(b"HTTP/1.1 431")
            assert took < 6


@pytest.mark.parametrize(
    "nonsense",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20, b"GET\r\n\r\n", b"\0" * 100_000],
    ids=["a TLS greeting", "no HTTP", "nulls"],
)
def test_nonsense_is_cut_off(nonsense: bytes, service: Service) -> None:
    """What is no HTTP gets 400 or nothing, and the connection ends."""
    complaints = len(service.complaints())
    with bystanders(service):
        heard, took = converse(service.port, [nonsense], timeout=15)
    assert not heard or heard.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))
    assert took < 6
    assert len(service.complaints()) == complaints


def test_a_thousand_requests_at_once(boot: Boot) -> None:
    """Of 1,100 concurrent requests one worker serves 1,000 and refuses 100; its probes stay 200."""
    service = boot(WEB_CONCURRENCY="1")
    with Load(service.management_port, "/health/ready", [PROBE] * 4, timeout=3) as probes:
        replies = burst(service.port, 1100, request("/work?ms=6000"), timeout=30)
    statuses = Counter(reply.status for reply in replies)
    assert statuses == {200: 1000, 503: 100}
    refused = [reply for reply in replies if reply.status == 503]
    for reply in refused:
        assert_problem(reply, 503)
        assert int(reply.headers["retry-after"]) >= 1
    assert probes.tally.lost == 0, str(probes.tally)
    assert counted(service, "http_requests_refused_total") == 100
    assert service.ask("/pid").status == 200


def test_traffic_probes_are_answered_when_all_places_are_taken(boot: Boot) -> None:
    """/livez and /readyz on the traffic port answer while requests are refused."""
    service = boot(WEB_CONCURRENCY="1", WORKER_CONNECTIONS="5")
    with Load(service.port, "/work?ms=2500", [FRESH] * 5, most=5) as load:
        eventually(lambda: service.ask("/pid").status == 503, 5)
        for path in ("/livez", "/readyz"):
            assert service.ask(path).status == 200
    assert load.tally.lost == 0, str(load.tally)
    assert service.ask("/pid").status == 200


FORWARDED = {"X-Forwarded-For": "198.51.100.6, 203.0.113.9", "X-Forwarded-Proto": "https"}


def test_a_stranger_s_proxy_headers_are_ignored(service: Service) -> None:
    """Without FORWARDED_ALLOW_IPS nobody can say that he is somebody else."""
    answer = service.ask("/whoami", headers=FORWARDED).json()
    assert (answer["client"], answer["scheme"]) == ("127.0.0.1", "http")


def test_a_known_proxy_is_believed(boot: Boot) -> None:
    """The client and the scheme come from a proxy at an address in FORWARDED_ALLOW_IPS."""
    service = boot(WEB_CONCURRENCY="1", FORWARDED_ALLOW_IPS="10.0.0.0/8,127.0.0.1")
    reply = service.ask("/whoami", headers=FORWARDED | {"X-Request-ID": "proxied"})
    assert (reply.json()["client"], reply.json()["scheme"]) == ("203.0.113.9", "https")
    assert service.wait_log(logger="access", request_id="proxied")["client"] == "203.0.113.9"


def test_a_proxy_elsewhere_is_not_believed(boot: Boot) -> None:
    """A peer outside FORWARDED_ALLOW_IPS is taken for what it is."""
    service = boot(WEB_CONCURRENCY="1", FORWARDED_ALLOW_IPS="10.0.0.0/8")
    answer = service.ask("/whoami", headers=FORWARDED).json()
    assert (answer["client"], answer["scheme"]) == ("127.0.0.1", "http")


def test_replies_are_safe_by_default(service: Service) -> None:
    """Security headers are on every reply, the server's name on none, and the docs are off."""
    for path in ("/pid", "/nowhere", "/crash"):
        headers = service.ask(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "content-security-policy" in headers
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
    assert service.ask("/docs").status == 404
    assert service.ask("/openapi.json").status == 404
    for path in ("/health", "/metrics", "/info", "/loggers", "/threaddump"):
        assert service.ask(path).status == 404, "details stay on the management port"


def test_problems_for_unknown_routes_and_methods(service: Service) -> None:
    """404 and 405 are problems as well."""
    assert_problem(service.ask("/nowhere"), 404)
    assert_problem(service.ask("/pid", "POST"), 405)


def test_host_check_cors_and_docs_by_setting(boot: Boot) -> None:
    """ALLOWED_HOSTS, CORS_ALLOW_ORIGINS, DOCS_ENABLED and HSTS_SECONDS do what they say."""
    service = boot(
        WEB_CONCURRENCY="1",
        ALLOWED_HOSTS="api.example.com",
        CORS_ALLOW_ORIGINS="https://shop.example.com",
        DOCS_ENABLED="true",
        HSTS_SECONDS="3600",
    )
    good = {"Host": "api.example.com"}
    assert service.ask("/pid", headers=good).status == 200
    assert_problem(service.ask("/pid", headers={"Host": "evil.example.com"}), 400)
    assert service.ask("/docs", headers=good).status == 200
    assert service.ask("/openapi.json", headers=good).status == 200
    shop = service.ask("/pid", headers=good | {"Origin": "https://shop.example.com"})
    assert shop.headers["access-control-allow-origin"] == "https://shop.example.com"
    assert shop.headers["strict-transport-security"].startswith("max-age=3600")
    other = service.ask("/pid", headers=good | {"Origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in other.headers
