"""All workers speak with one voice, and checks can't be turned against the service (SPEC C1-C6)."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docs_code
import pytest
import support
from boot.fixtures import Boot
from boot.harness import Service, eventually
from boot.load import burst, request

pytestmark = pytest.mark.boot

WORKERS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the lab's check leaves a line for each run."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def service(boot_once: Boot, folder: Path) -> Service:
    """Four workers and a check that can be made to hang."""
    return boot_once(WEB_CONCURRENCY=str(WORKERS), LAB_FOLDER=str(folder))


def beliefs(service: Service, name: str) -> dict[int, str]:
    """What each worker takes the state to be, by pid; asks until all have answered."""
    found: dict[int, str] = {}

    def ask_many() -> bool:
        for reply in burst(service.port, 32, request("/states")):
            answer = reply.json()
            found[answer["pid"]] = answer[name]
        return len(found) == WORKERS

    eventually(ask_many, 15, what=f"an answer from all of {WORKERS} workers")
    return found


def probe_many(service: Service, path: str) -> Counter[tuple[int, str]]:
    """The answers of 64 probes at once."""
    replies = burst(service.management_port, 64, request(path))
    return Counter((reply.status, reply.json()["status"]) for reply in replies)


def shown(source: str, **here: str) -> dict[str, Any]:
    """What the page shows a probe say of this source, with what is said here instead of that."""
    block = docs_code.shown(support.REPOSITORY / "docs/health.md", f'"{source}: ')
    (line,) = (line for line in block.splitlines() if f'"{source}: ' in line)
    assert {"status", "reason", "checks"} == json.loads(line).keys()
    return {**json.loads(line), **here}


def test_a_broken_state_is_everybodys(service: Service) -> None:
    """BROKEN published in one of four workers is answered by all four, and taken back likewise."""
    assert service.ask("/break-liveness").status == 200
    assert set(beliefs(service, "liveness").values()) == {"BROKEN"}
    assert probe_many(service, "/health/live") == {(503, "DOWN"): 64}
    body = service.manage("/health/live").json()
    assert body == shown("ledger", reason="lab: asked to break")
    assert service.ask("/livez").status == 503

    assert service.ask("/mend-liveness").status == 200
    assert set(beliefs(service, "liveness").values()) == {"CORRECT"}
    assert probe_many(service, "/health/live") == {(200, "UP"): 64}


def test_refusing_traffic_is_everybodys(service: Service) -> None:
    """REFUSING_TRAFFIC published in one worker is answered by all, and taken back likewise."""
    assert service.ask("/refuse").status == 200
    assert set(beliefs(service, "readiness").values()) == {"REFUSING_TRAFFIC"}
    assert probe_many(service, "/health/ready") == {(503, "OUT_OF_SERVICE"): 64}
    body = service.manage("/health/ready").json()
    assert body == shown("importer", reason="lab: asked to refuse")
    assert service.manage("/health/live").status == 200
    assert service.manage("/health").status == 503

    assert service.ask("/accept").status == 200
    assert set(beliefs(service, "readiness").values()) == {"ACCEPTING_TRAFFIC"}
    assert probe_many(service, "/health/ready") == {(200, "UP"): 64}


def test_a_new_worker_does_not_take_back_what_was_published(boot: Boot) -> None:
    """A worker that is replaced while the state is BROKEN leaves it BROKEN."""
    service = boot(WEB_CONCURRENCY="2", MAX_REQUESTS="50", MAX_REQUESTS_JITTER="0")
    before = service.workers()
    service.ask("/break-liveness")
    service.ask("/refuse")

    def both_are_new() -> bool:
        burst(service.port, 16, request("/pid"))
        return not set(before) & set(service.workers())

    eventually(both_are_new)
    service.wait_log(message="accepting", count=4)
    assert service.manage("/health/live").status == 503
    assert service.manage("/health/ready").json()["reason"] == "lab: asked to refuse"


def test_probe_bodies(service: Service) -> None:
    """Probes answer in the vocabulary of SPEC C2a, and no cache may keep them."""
    for path in ("/health/live", "/health/ready", "/health/startup", "/health"):
        answer = service.manage(path)
        assert (path, answer.status, answer.json()["status"]) == (path, 200, "UP")
        assert answer.headers["cache-control"] == "no-store"
    check = service.manage("/health/ready").json()["checks"]["outside"]
    assert check["status"] == "ok"
    assert check["critical"] is True
    assert check["description"] == "Something outside"
    assert check["duration_ms"] >= 50
    aggregate = service.manage("/health").json()
    assert aggregate["groups"] == {"live": "UP", "ready": "UP", "startup": "UP"}
    assert len(aggregate["workers"]) == WORKERS
    assert service.manage("/health/nonsense").status == 404
    for path in ("/livez", "/readyz"):
        assert service.ask(path).json() == {"status": "UP"}


def test_five_hundred_probes_share_the_checks(service: Service, folder: Path) -> None:
    """500 concurrent probes run a check at most once per worker and cache period (1 s)."""
    time.sleep(1.1)  # the results of earlier tests have expired
    (folder / "runs").unlink(missing_ok=True)
    began = time.monotonic()
    replies = burst(service.management_port, 500, request("/health/ready"))
    took = time.monotonic() - began
    assert {reply.status for reply in replies} == {200}
    runs = runs_by_worker(folder)
    assert runs
    assert max(len(times) for times in runs.values()) <= 1 + took


def test_a_hanging_check_does_not_hold_the_probe(service: Service, folder: Path) -> None:
    """A check that hangs for 60 s fails the probe at its timeout (1 s), and liveness stays up."""
    (folder / "hang").touch()
    try:
        time.sleep(1.1)
        began = time.monotonic()
        replies = burst(service.management_port, 100, request("/health/ready"))
        took = time.monotonic() - began
        live = service.manage("/health/live")
    finally:
        (folder / "hang").unlink()
    assert took < 2.5
    assert {reply.status for reply in replies} == {503}
    body = replies[0].json()
    assert body["status"] == "DOWN"
    assert body["checks"]["outside"]["status"] == "error"
    assert "1 s" in body["checks"]["outside"]["error"]
    assert live.status == 200
    eventually(service.ready, 5, what="readiness once the check answers again")


def runs_by_worker(folder: Path) -> dict[int, list[float]]:
    """When each worker ran the check."""
    runs: dict[int, list[float]] = {}
    for line in (folder / "runs").read_text().splitlines():
        pid, at = line.split()
        runs.setdefault(int(pid), []).append(float(at))
    return runs


def test_a_service_is_not_ready_before_it_is(boot: Boot) -> None:
    """Until start-up is complete no probe says UP; afterwards all do."""
    service = boot(ready=False, WEB_CONCURRENCY="2")
    seen: list[int] = []

    def poll(path: str) -> Callable[[], bool]:
        def once() -> bool:
            answer = service.manage(path)
            seen.append(answer.status)
            return answer.status == 200

        return once

    eventually(poll("/health/startup"), 20)
    eventually(poll("/health/ready"), 5)
    assert set(seen) <= {200, 503}
