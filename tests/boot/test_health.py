"""The health of a whole pod, told by whichever worker is asked (SPEC C3, C5, C6)."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boot.fixtures import Boot
from boot.harness import Service, eventually
from boot.load import burst, request

pytestmark = pytest.mark.boot

WORKERS = 2
HEALTH_JSON = "application/health+json"
SYSTEM = {
    "cpu_load_1m",
    "memory_total_mb",
    "memory_available_mb",
    "memory_usage_pct",
    "disk_total_gb",
    "disk_free_gb",
    "python_version",
    "pid",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files make the lab's checks fail or hang, and where they leave a line for each run."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def service(boot_once: Boot, folder: Path) -> Service:
    """Two workers whose checks run three times a second."""
    return boot_once(
        WEB_CONCURRENCY=str(WORKERS),
        LAB_EXTRA="checks",
        LAB_FOLDER=str(folder),
        HEALTH_INTERVAL_SECONDS="0.3",
        HEALTH_CACHE_SECONDS="0.2",
    )


@pytest.fixture
def sick(service: Service, folder: Path) -> Iterator[int]:
    """The pid of the one worker in which the check `picky` fails, and that it does."""
    pid = service.workers()[0]
    (folder / "sick").write_text(str(pid))
    yield pid
    (folder / "sick").unlink()
    eventually(lambda: everywhere(service, "picky") == {("ok", (("ok", WORKERS),))}, 15)


def reports(service: Service) -> list[dict[str, Any]]:
    """`/health` as all of the workers tell it; asks until each has answered."""
    found: list[dict[str, Any]] = []

    def ask_many() -> bool:
        found.clear()
        found.extend(
            reply.json() for reply in burst(service.management_port, 32, request("/health"))
        )
        return {report["system"]["pid"] for report in found} == set(service.workers())

    eventually(ask_many, 15, what="an answer from each worker")
    return found


def everywhere(service: Service, check: str) -> set[tuple[str, tuple[tuple[str, int], ...]]]:
    """A check's status with its count of workers by status, in the words of each worker."""
    parts = [report["checks"][check] for report in reports(service)]
    return {(part["status"], tuple(sorted(part["workers"].items()))) for part in parts}


def metric(service: Service, line: str) -> float:
    """The value of the series that is written like this."""
    text = service.manage("/metrics").body.decode()
    values = [row.removeprefix(line) for row in text.splitlines() if row.startswith(f"{line} ")]
    assert len(values) == 1, (line, values)
    return float(values[0])


def test_the_system_shows(service: Service) -> None:
    """With exactly the glossary's keys, of the worker that answers, in numbers that can be."""
    for report in reports(service):
        system = report["system"]
        assert set(system) == SYSTEM
        assert system["pid"] in service.workers()
        assert 0 <= system["memory_available_mb"] <= system["memory_total_mb"]
        host = int(Path("/proc/meminfo").read_text().split()[1]) / 1024
        assert system["memory_total_mb"] <= round(host, 2)
        assert 0 <= system["memory_usage_pct"] <= 100
        assert 0 < system["disk_free_gb"] <= system["disk_total_gb"]
        assert system["python_version"].startswith("3.")
        assert {"memory", "disk"} <= set(report["checks"])
        assert not report["checks"]["memory"]["critical"]


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/health/startup"])
def test_the_form_is_negotiated(service: Service, path: str) -> None:
    """`application/json` unless the client prefers the other, and caches know what it is about."""
    for header, expected in (
        ("*/*", "application/json"),
        (f"{HEALTH_JSON};q=0.5, application/json", "application/json"),
        (HEALTH_JSON, HEALTH_JSON),
        (f"application/json;q=0.5, {HEALTH_JSON};q=0.8, */*;q=0.1", HEALTH_JSON),
    ):
        reply = service.manage(path, headers={"Accept": header})
        assert (header, reply.headers["content-type"]) == (header, expected)
        assert reply.headers["vary"] == "Accept"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.status == 200
    body = service.manage(path, headers={"Accept": HEALTH_JSON}).json()
    assert body["status"] == "pass"
    assert body["serviceId"] == "boot-lab"
    if path == "/health/ready":
        (outside,) = body["checks"]["outside"]
        assert (outside["status"], outside["observedUnit"]) == ("pass", "ms")
        assert outside["time"].endswith("Z")


def test_one_sick_worker_shows_whoever_is_asked(service: Service, sick: int) -> None:
    """In `/health`, in the metrics and in the history of the pod; and it stays ready."""
    both = {("fail", (("fail", 1), ("ok", 1)))}
    eventually(lambda: everywhere(service, "picky") == both, 15, what="one sick worker of two")
    for report in reports(service):
        assert report["status"] == "DEGRADED"
        assert report["groups"]["ready"] == "UP"
        assert 0 < report["healthy_ratio"] < 1
    for _ in range(10):  # whoever is scraped
        series = 'health_check_status{check="picky",critical="false",status='
        assert metric(service, f'{series}"fail"}}') == 1
        assert metric(service, f'{series}"ok"}}') == 0
        assert metric(service, "health_healthy_ratio") < 1
    assert metric(service, 'health_check_duration_seconds_count{check="picky"}') > 0
    assert service.manage("/health/ready").status == 200
    warning = service.wait_log(message="health check failed", check="picky")
    assert warning["pid"] == sick
    reply = service.manage("/health", headers={"Accept": HEALTH_JSON})
    assert (reply.status, reply.json()["status"]) == (200, "warn")
    assert reply.json()["checks"]["picky"][0]["status"] == "warn"


def test_a_sick_worker_that_dies_takes_its_word_along(service: Service, folder: Path) -> None:
    """Its successor is well, and the pod with it."""
    victim = service.workers()[0]
    (folder / "sick").write_text(str(victim))
    sick = {("fail", (("fail", 1), ("ok", 1)))}
    eventually(lambda: everywhere(service, "picky") == sick, 15)
    os.kill(victim, signal.SIGKILL)
    service.wait_workers(WORKERS, other_than=[victim])
    well = {("ok", (("ok", WORKERS),))}
    eventually(lambda: everywhere(service, "picky") == well, 15)
    (folder / "sick").unlink()


def test_a_hanging_check_holds_nobody_up(service: Service, folder: Path) -> None:
    """`/health` says so after the check's own half second; readiness doesn't even ask it."""
    (folder / "stuck").touch()
    try:
        eventually(lambda: {status for status, _ in everywhere(service, "stuck")} == {"error"}, 15)
        began = time.monotonic()
        replies = burst(service.management_port, 50, request("/health"))
        took = time.monotonic() - began
        ready = service.manage("/health/ready")
    finally:
        (folder / "stuck").unlink()
    assert took < 3
    assert Counter((reply.status, reply.json()["status"]) for reply in replies) == {
        (200, "DEGRADED"): 50
    }
    assert "0.5 s" in replies[0].json()["checks"]["stuck"]["error"]
    assert (ready.status, list(ready.json()["checks"])) == (200, ["outside"])
    eventually(lambda: {status for status, _ in everywhere(service, "stuck")} == {"ok"}, 15)


def test_a_storm_asks_once_a_worker_and_cache_period(boot: Boot, tmp_path: Path) -> None:
    """300 looks at `/health` at once, beside the worker's own runs, on the defaults."""
    service = boot(WEB_CONCURRENCY=str(WORKERS), LAB_EXTRA="checks", LAB_FOLDER=str(tmp_path))
    time.sleep(1.1)  # what the start has asked has expired
    (tmp_path / "stuck-runs").unlink(missing_ok=True)
    began = time.monotonic()
    replies = burst(service.management_port, 300, request("/health"))
    took = time.monotonic() - began
    assert {reply.status for reply in replies} == {200}
    runs = Counter(line.split()[0] for line in (tmp_path / "stuck-runs").read_text().splitlines())
    assert set(map(int, runs)) <= set(service.workers())
    assert max(runs.values()) <= 1 + took
