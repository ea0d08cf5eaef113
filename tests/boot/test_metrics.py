"""Metrics that are right over workers, recycling and death (SPEC F1, F2)."""

from __future__ import annotations

import os
import re
import signal
from collections import defaultdict
from pathlib import Path

import pytest
from boot.fixtures import Boot, Lossless
from boot.harness import Service, eventually
from boot.load import FRESH, KEEP_ALIVE, MIXED, Load

pytestmark = [pytest.mark.boot, pytest.mark.load]

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

_SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')  # fmt: skip
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def scrape(service: Service) -> Samples:
    """Every sample of one scrape, by name and labels."""
    answer = service.manage("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found: Samples = {}
    for line in answer.body.decode().splitlines():
        if line.startswith("#"):
            continue
        match = _SAMPLE.match(line)
        assert match, line
        key = (match[1], frozenset(_LABEL.findall(match[2] or "")))
        assert key not in found, f"twice: {key}"
        found[key] = float(match[3])
    return found


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum over the samples of this name that have these labels."""
    return sum(
        value
        for (sample, pairs), value in samples.items()
        if sample == name and labels.items() <= dict(pairs).items()
    )


def metric_files(service: Service) -> list[str]:
    """The metric files of the service, found by what a worker has mapped into its memory."""
    maps = Path(f"/proc/{service.workers()[0]}/maps").read_text()
    folders = {Path(line.split()[-1]).parent for line in maps.splitlines() if ".db" in line}
    assert len(folders) == 1, folders
    return sorted(path.name for path in folders.pop().iterdir())


def served(service: Service) -> float:
    """How many requests for /work were counted."""
    return total(scrape(service), "http_requests_total", route="/work")


def recycle_one(service: Service) -> None:
    """Replace the oldest worker: one more, then one less."""
    count = len(service.workers())
    service.send(signal.SIGTTIN)
    service.wait_workers(count + 1)
    service.send(signal.SIGTTOU)
    service.wait_workers(count)


def test_counts_are_exact(boot: Boot, lossless: Lossless) -> None:
    """10,000 requests, four workers, two recycled, one killed: exact but for what it had."""
    service = boot(WEB_CONCURRENCY="4", MAX_REQUESTS="0")
    with Load(service.port, "/work?ms=5") as load:
        load.reach(3000)
        recycle_one(service)
        load.reach(5000)
        recycle_one(service)
        load.reach(6000)
    lossless(load, at_least=6000)
    before = load.tally.ok
    eventually(lambda: served(service) == before, 5, what=f"a count of {before}")

    with Load(service.port, "/work?ms=5") as load:
        load.reach(1000)
        os.kill(service.workers()[0], signal.SIGKILL)
        load.reach(4000)
    service.wait_workers(4)
    tally = load.tally
    lossless(load, at_most_lost=len(MIXED))
    eventually(lambda: served(service) >= before + tally.ok, 5, what="the full count")
    assert served(service) <= before + tally.requests

    scrapes = [scrape(service) for _ in range(10)]
    requests = [
        {key: value for key, value in each.items() if key[0].startswith("http_request_duration")}
        for each in scrapes
    ]
    assert all(each == requests[0] for each in requests)
    assert {total(each, "http_requests_total", route="/work") for each in scrapes} == {
        served(service)
    }
    assert total(scrapes[0], "gunicorn_workers") == 4
    assert total(scrapes[0], "gunicorn_worker_exits_total") == 3
    assert service.ready()


def test_files_do_not_pile_up(boot: Boot) -> None:
    """The files of 16 workers, one after the other, are those of as many as live at a time."""
    service = boot(WEB_CONCURRENCY="2", LINGER_SECONDS="0.2", MAX_REQUESTS="0")
    with Load(service.port, "/work?ms=20", [KEEP_ALIVE, FRESH] * 4) as load:
        load.reach(100)
        descriptors = open_files(service.pid)
        for _ in range(4):
            recycle_one(service)
        for _ in range(5):
            old = service.workers()
            service.send(signal.SIGHUP)
            service.wait_workers(2, other_than=old)
        load.pass_by(100)
    assert load.tally.lost == 0, str(load.tally)
    lived = {record["pid"] for record in service.find_logs(message="accepting")}
    assert len(lived) == 2 + 4 + 5 * 2
    # Two workers, their two successors while a reload lasts, and two that may still linger.
    writers = {name.split("_")[-1] for name in metric_files(service) if name.endswith(".db")}
    assert len(writers - {"master.db"}) <= 6, writers
    assert open_files(service.pid) <= descriptors + 4
    eventually(lambda: served(service) == load.tally.ok, 5)


def open_files(pid: int) -> int:
    """How many file descriptors a process holds."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_files_go_with_the_master(boot: Boot) -> None:
    """A stopped service leaves no metric file behind."""
    first = boot(WEB_CONCURRENCY="1")
    maps = Path(f"/proc/{first.workers()[0]}/maps").read_text()
    folder = next(Path(line.split()[-1]).parent for line in maps.splitlines() if ".db" in line)
    assert folder.exists()
    first.stop(signal.SIGINT)
    assert not folder.exists()


def test_labels_are_bounded(boot: Boot) -> None:
    """The route label is the template with its prefixes; unknown paths and methods share one."""
    service = boot(WEB_CONCURRENCY="2")
    for number in range(20):
        service.ask(f"/v1/items/{number}")
        service.ask(f"/unknown/{number}")
        service.ask("/pid", method=f"X{number}")
    eventually(
        lambda: total(scrape(service), "http_requests_total", route="/v1/items/{item_id}") == 20
    )
    labels: defaultdict[str, set[str]] = defaultdict(set)
    samples = scrape(service)
    for name, pairs in samples:
        if name == "http_requests_total":
            for label, value in pairs:
                labels[label].add(value)
    assert set(labels) == {"method", "route", "status"}
    assert len(labels["route"]) <= 3
    assert labels["method"] <= {"GET", "OTHER"}
    assert total(samples, "http_requests_total", status="404") == 20
    assert not any("/unknown" in value for value in labels["route"])


def test_the_gauges_are_there(boot: Boot) -> None:
    """Workers, lag, availability and in-flight requests are told, and right."""
    service = boot(WEB_CONCURRENCY="2")
    samples = scrape(service)
    assert total(samples, "gunicorn_workers") == 2
    assert total(samples, "gunicorn_workers", state="accepting") == 2
    for name, expected in {"liveness_state": 1, "readiness_state": 1, "draining": 0}.items():
        assert total(samples, f"application_{name}") == expected, name
    assert total(samples, "http_requests_in_flight_limit") == 2000
    assert total(samples, "asyncio_event_loop_lag_seconds") < 1
    with Load(service.port, "/work?ms=1500", most=24):
        eventually(lambda: total(scrape(service), "http_requests_in_flight") == 24, 5)
    eventually(lambda: total(scrape(service), "http_requests_in_flight") == 0, 5)
    service.ask("/break-liveness")
    service.ask("/refuse")
    samples = scrape(service)
    assert total(samples, "application_liveness_state") == 0
    assert total(samples, "application_readiness_state") == 0


def test_probes_and_scrapes_are_not_counted(boot: Boot) -> None:
    """What the platform asks is in no request metric and on no access line."""
    service = boot(WEB_CONCURRENCY="1")
    for path in ("/livez", "/readyz"):
        service.ask(path)
    for path in ("/health", "/health/ready", "/metrics", "/info"):
        service.manage(path)
    service.ask("/pid")
    service.wait_log(logger="access")
    assert total(scrape(service), "http_requests_total") == 1
    assert [record["path"] for record in service.find_logs(logger="access")] == ["/pid"]
