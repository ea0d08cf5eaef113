"""A payment gateway that misbehaves takes nothing but itself away (SPEC C4, D1 to D4).

The lab's upstream has a deadline of 1 s, opens at 5 failures in a worker and tries again after 1 s.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from boot.fixtures import Boot
from boot.gateway import Gateway, Mode
from boot.harness import Service, eventually
from boot.load import Reply, read_reply, request
from boot.test_metrics import Samples, scrape, total

pytestmark = [pytest.mark.boot, pytest.mark.load]

DEADLINE = 1.0
MARGIN = 3.0
"""Seconds on top of the deadline: the machine may be busy, but a hang would take far longer."""
CLIENTS = 16
LOOK_UP = request("/charges/7")
CHARGE = request("/charges", "POST", [("Content-Length", "0")])


@dataclass(frozen=True)
class Asked:
    """A reply of the service and the seconds that it took."""

    reply: Reply
    seconds: float


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """One that the tests of this module share."""
    with Gateway() as made:
        yield made


@pytest.fixture(scope="module")
def shared_service(boot_once: Boot, gateway: Gateway) -> Service:
    """Two workers that call the gateway; every attempt is logged."""
    # Without recycling, which would have a worker begin anew with a closed circuit.
    return boot_once(
        WEB_CONCURRENCY="2", GATEWAY_URL=gateway.url, LOG_LEVEL="DEBUG", MAX_REQUESTS="0"
    )


@pytest.fixture
def service(shared_service: Service, gateway: Gateway) -> Service:
    """The service, with a gateway that works and a circuit that is closed."""
    gateway.mode = "ok"
    heal(shared_service)
    return shared_service


def call(service: Service, sent: bytes, seconds: float) -> list[Asked]:
    """Ask from sixteen kept connections for so many seconds; every reply has to be whole."""

    async def client(until: float) -> list[Asked]:
        asked = []
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        try:
            while time.monotonic() < until:
                began = time.monotonic()
                writer.write(sent)
                async with asyncio.timeout(30):
                    reply = await read_reply(reader)
                asked.append(Asked(reply, time.monotonic() - began))
                if reply.headers.get("connection") == "close":
                    break
                await asyncio.sleep(0.02)
        finally:
            writer.close()
        return asked

    async def everybody() -> list[Asked]:
        until = time.monotonic() + seconds
        each = await asyncio.gather(*(client(until) for _ in range(CLIENTS)))
        return [asked for one in each for asked in one]

    return asyncio.run(everybody())


def circuit(service: Service) -> str:
    """The state of the circuit, the worst over the workers, by /health."""
    state: str = service.manage("/health").json()["breakers"]["gateway"]
    return state


def heal(service: Service) -> None:
    """Call until the circuit is closed in both workers."""

    def closed() -> bool:
        call(service, LOOK_UP, 0.2)
        return circuit(service) == "closed"

    eventually(closed, 20, what="a closed circuit")


def of_breaker(samples: Samples, sample: str, **labels: str) -> float:
    """The value of a sample of the gateway's breaker."""
    return samples[sample, frozenset({("name", "gateway"), *labels.items()})]


@contextmanager
def always_ready(service: Service) -> Iterator[None]:
    """Probe readiness, in which the gateway has no part, all the while (C4)."""
    statuses: list[int] = []
    over = threading.Event()

    def probe() -> None:
        while not over.wait(0.05):
            statuses.append(service.manage("/health/ready", timeout=10).status)

    prober = threading.Thread(target=probe)
    prober.start()
    try:
        yield
    finally:
        over.set()
        prober.join()
    assert len(statuses) > 5
    assert set(statuses) == {200}


@pytest.mark.parametrize(
    ("mode", "statuses"),
    [
        ("error", {200, 503}),  # the 500 of the gateway is the route's to judge: it says 200
        ("unavailable", {200, 503}),
        ("reset", {502, 503}),
        ("hang", {504, 503}),
        ("drip", {504, 503}),
    ],
)
def test_a_gateway_that_fails(
    service: Service,
    gateway: Gateway,
    mode: Mode,
    statuses: set[int],
    record_property: Callable[[str, object], None],
) -> None:
    """Replies stay within the deadline; the circuit opens, refuses at once, and closes again."""
    gateway.mode = mode
    before = gateway.seen[mode]
    opened: list[bool] = []

    def watch_circuit() -> None:
        is_open = eventually(lambda: circuit(service) == "open", 10, what="an open circuit")
        opened.append(is_open)

    with always_ready(service):
        watch = threading.Thread(target=watch_circuit)
        watch.start()
        asked = call(service, LOOK_UP, 3.5)
        watch.join()

        slowest = max(one.seconds for one in asked)
        tried = gateway.seen[mode] - before
        record_property("load", f"{len(asked)} asked, {tried} tried, {slowest:.2f} s at most")
        assert opened == [True], "/health shows it"
        assert {one.reply.status for one in asked} == statuses
        assert slowest < DEADLINE + MARGIN
        refused = [one for one in asked if one.reply.status == 503]
        assert len(refused) > len(asked) / 2
        assert {one.reply.headers["retry-after"] for one in refused} <= {"1", "2"}
        assert {one.reply.headers["content-type"] for one in refused} == {
            "application/problem+json"
        }
        assert tried < len(asked) / 2, "the gateway is left in peace"

        gateway.mode = "ok"
        heal(service)
    samples = scrape(service)
    assert of_breaker(samples, "circuit_breaker_state", state="closed") == 1
    assert of_breaker(samples, "circuit_breaker_state", state="open") == 0


def test_a_gateway_that_limits(service: Service, gateway: Gateway) -> None:
    """A 429 is an answer: the circuit stays closed, and 30 s that don't fit aren't waited for."""
    gateway.mode = "limited"
    with always_ready(service):
        asked = call(service, LOOK_UP, 1.5)
    assert {(one.reply.status, one.reply.json()["status"]) for one in asked} == {(200, 429)}
    assert max(one.seconds for one in asked) < DEADLINE + MARGIN
    assert circuit(service) == "closed"


def test_a_charge_without_a_key_is_made_once(service: Service, gateway: Gateway) -> None:
    """Whatever comes of it; with a key it is tried again, under the same."""
    gateway.mode = "error"
    before = gateway.seen["error"]
    assert service.ask("/charges", "POST").json() == {"status": 500}
    assert gateway.seen["error"] == before + 1
    assert "idempotency-key" not in gateway.headers
    service.ask("/charges", "POST", headers={"Idempotency-Key": "k-1"})
    assert gateway.seen["error"] > before + 2
    assert gateway.headers["idempotency-key"] == "k-1"


def test_the_gateway_learns_whose_call_it_is(service: Service, gateway: Gateway) -> None:
    """The request's id and trace context arrive there; its credentials don't."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = {"X-Request-ID": "r-77", "traceparent": parent, "tracestate": "vendor=1"}
    secret = {"Authorization": "Bearer hunter2", "Cookie": "session=hunter2"}
    assert service.ask("/charges/7", headers={**sent, **secret}).status == 200
    seen = gateway.headers
    assert seen["x-request-id"] == "r-77"
    assert (seen["traceparent"], seen["tracestate"]) == (parent, "vendor=1")
    assert not {"authorization", "cookie"} & seen.keys()
    service.wait_log(request_id="r-77", message="upstream attempt", status_code=200)


def test_it_is_measured_and_logged(service: Service, gateway: Gateway) -> None:
    """Attempts by outcome, retries, the breaker's calls; nothing in flight; no secret in a line."""
    for mode in ("reset", "hang", "ok"):
        gateway.mode = mode
        call(service, CHARGE, 0.3)
        call(service, LOOK_UP, 0.3)
    heal(service)

    def settled() -> bool:
        samples = scrape(service)
        count = "http_client_request_duration_seconds_count"
        return (
            all(
                total(samples, count, upstream="gateway", method=method, status=status) > 0
                for method, status in (("GET", "200"), ("GET", "timeout"), ("POST", "error"))
            )
            and total(samples, "http_client_retries_total", upstream="gateway") > 0
            and total(samples, "http_client_requests_in_flight", upstream="gateway") == 0
            and of_breaker(samples, "circuit_breaker_calls_total", outcome="failed") > 0
        )

    eventually(settled, 10)
    service.wait_log(logger="chassis.upstream", message="upstream call failed")
    failed = service.find_logs(logger="chassis.upstream", message="upstream call failed")
    assert {line["level"] for line in failed} == {"warning"}
    service.wait_log(logger="chassis.breaker", after="open")
    assert service.complaints() == []
    loggers = {record["logger"] for record in service.logs()}
    assert not {name for name in loggers if name.startswith(("httpx2", "httpcore2", "stamina"))}
    assert not [line for line in service.lines if "hunter2" in line.text]


def test_stopping_does_not_wait_for_the_gateway(boot: Boot, gateway: Gateway) -> None:
    """Calls under way at SIGTERM end by their deadline, and the service exits in order."""
    gateway.mode = "hang"
    service = boot(WEB_CONCURRENCY="2", GATEWAY_URL=gateway.url, DRAIN_SECONDS="3")
    asking = threading.Thread(target=lambda: call(service, LOOK_UP, 0.5))
    asking.start()
    time.sleep(0.3)
    assert service.stop() == 0
    asking.join()
    assert service.complaints() == []
