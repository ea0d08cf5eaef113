"""A service and its PostgreSQL: outages, limits, rollouts and migrations (SPEC I3, I4, C2, A9)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import servers
import support
from boot.customers import Customers
from boot.fixtures import Boot, Lossless, booting
from boot.harness import Ports, Service, eventually
from boot.load import KEEP_ALIVE, PROBE, Load

pytestmark = pytest.mark.boot

HERE = Path(__file__).parent
ANSWERS = {
    "service_name": "boot-data",
    "archetype": "minimal",
    "database": "postgresql",
    "replicas_min": "2",
    "replicas_max": "2",
    "cpu_limit": "500m",  # two workers
    "drain_seconds": "3",
}
MIGRATIONS = {1: 1, 2: 2, 3: 2, 4: 3}
"""How many migrations each version has: it is the next one that takes away what 3 doesn't use."""

LONG_DRAIN = {
    "DRAIN_SECONDS": "20",
    "GRACEFUL_TIMEOUT_SECONDS": "50",
    "TERMINATION_GRACE_SECONDS": "70",
}
REFUSED = ("too many clients", "remaining connection slots")

BACKFILL = """
WITH batch AS (
    SELECT id FROM orders WHERE remark IS NULL LIMIT 50 FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE orders SET remark = note WHERE id IN (SELECT id FROM batch) RETURNING 1
) SELECT count(*) FROM moved
"""


@pytest.fixture(scope="session")
def installation(shared_folder: Path, render: Callable[..., Path]) -> Path:
    """An installed service with orders in a PostgreSQL database, in all versions."""

    def build(folder: Path) -> None:
        render(folder, ANSWERS)
        shutil.copytree(HERE / "data", folder / "src/boot_data", dirs_exist_ok=True)
        support.sync(folder)

    return support.build_once(shared_folder / "boot-data", build)


Version = Callable[[int], Path]


@pytest.fixture
def version(installation: Path, tmp_path: Path) -> Version:
    """The folder of one version, with the migrations that it has."""

    @cache
    def make(number: int) -> Path:
        folder = tmp_path / f"version-{number}"
        versions = folder / "migrations/versions"
        versions.mkdir(parents=True)
        for name in ("gunicorn.conf.py", "alembic.ini", "migrations/env.py"):
            shutil.copy(installation / name, folder / name)
        for migration in sorted((HERE / "data_migrations").glob("*.py"))[: MIGRATIONS[number]]:
            shutil.copy(migration, versions)
        (folder / ".venv").symlink_to(installation / ".venv")
        return folder

    return make


@pytest.fixture
def postgres() -> Iterator[servers.Postgres]:
    """A PostgreSQL that takes at most 100 connections, as it does by default."""
    with servers.postgres(max_connections=100) as server:
        yield server


@pytest.fixture
def url(postgres: servers.Postgres) -> str:
    """The URL of the service's database."""
    return postgres.create("orders")


Start = Callable[..., Service]


@pytest.fixture
def start(ports: Ports, url: str, version: Version) -> Iterator[Start]:
    """Start a version of the service on the database."""
    with ExitStack() as stack:

        @cache
        def boot(number: int) -> Boot:
            return stack.enter_context(booting(version(number), ports))

        def begin(number: int = 1, **options: Any) -> Service:
            lab = str(min(number, 3))
            return boot(number)(DATABASE_URL=url, LAB_VERSION=lab, **options)

        yield begin


def alembic(folder: Path, url: str, *arguments: str) -> list[str]:
    """Run Alembic in the folder of a version, as `make migrate` does; the lines that it prints."""
    done = subprocess.run(
        [folder / ".venv/bin/alembic", *arguments],
        cwd=folder,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def assert_no_traceback(service: Service) -> None:
    """Nothing in the log is or holds a traceback."""
    found = [r for r in service.logs() if "exception" in r or "Traceback" in r["message"]]
    assert not found, found[:2]


def metric(service: Service, name: str) -> float:
    """A metric without labels, of all workers."""
    lines = service.manage("/metrics").body.decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def sessions(postgres: servers.Postgres) -> int:
    """How many connections the service has."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'boot-data'"
    return int(postgres.run(query))


def wait_not_ready(service: Service) -> None:
    """Wait until every worker says so: each lets its last answer stand for a second."""
    eventually(lambda: not any(service.ready() for _ in range(10)), what="not ready")


def full(service: Service) -> Load:
    """More clients than the service has connections, each of which holds one for a while."""
    return Load(service.port, "/hold?ms=200", [KEEP_ALIVE] * 24)


def test_postgresql_goes_and_comes_back(
    postgres: servers.Postgres, url: str, start: Start, version: Version
) -> None:
    """Not ready while it is away, alive all the time, and ready again without a restart.

    Requests get a problem meanwhile, and the log a line for each worker instead of tracebacks.
    """
    alembic(version(1), url, "upgrade", "heads")
    service = start()
    # Each worker asks its checks when it accepts; one that hasn't seen the schema yet would be
    # right to name that, too.
    service.wait_all_accept()
    time.sleep(1)
    workers = service.workers()
    number = service.ask("/orders/first", "POST").json()
    with Load(service.management_port, "/health/live", [PROBE]) as alive:
        for stop in (postgres.stop, postgres.kill):
            stop()
            wait_not_ready(service)
            body = service.manage("/health/ready").json()
            assert (body["status"], body["reason"]) == ("DOWN", "failing: database")
            for _ in range(20):
                reply = service.ask(f"/orders/{number}")
                assert reply.status == 503
                assert reply.headers["content-type"] == "application/problem+json"
                assert int(reply.headers["retry-after"]) >= 1
                assert "127.0.0.1" not in reply.body.decode()
            postgres.start()
            service.wait_ready()
            assert service.ask(f"/orders/{number}").json() == "first"
    assert alive.tally.lost == 0, str(alive.tally)
    assert service.workers() == workers
    assert service.stop() == 0
    assert_no_traceback(service)
    assert len(service.find_logs(message="database away")) <= 2 * len(workers)
    assert not service.complaints()


def test_a_server_that_falls_silent_is_noticed(
    postgres: servers.Postgres, url: str, start: Start, version: Version
) -> None:
    """It takes connections and says nothing: requests and probes end in time all the same."""
    alembic(version(1), url, "upgrade", "heads")
    service = start(DATABASE_STATEMENT_TIMEOUT_SECONDS="1", DATABASE_CONNECT_TIMEOUT_SECONDS="1")
    assert service.ask("/orders/first", "POST").status == 200
    with postgres.silent():
        wait_not_ready(service)
        began = time.monotonic()
        assert service.ask("/orders/1").status == 503
        assert time.monotonic() - began < 10
        assert service.manage("/health/live").status == 200
    service.wait_ready()
    assert service.ask("/orders/1").json() == "first"
    assert service.stop() == 0
    assert_no_traceback(service)


def test_booted_before_its_migration(url: str, start: Start, version: Version) -> None:
    """Readiness says what is missing and requests are refused; then it mends itself."""
    service = start(ready=False)
    service.wait_log(message="accepting", count=2)
    ready = service.manage("/health/ready")
    assert (ready.status, ready.json()["reason"]) == (503, "failing: schema")
    told = ready.json()["checks"]["schema"]["error"]
    assert "the database is empty, this version needs 0001 and chassis_" in told
    assert told.endswith(": run `make migrate`")
    assert service.manage("/health/live").status == 200
    for _ in range(10):
        reply = service.ask("/orders/early", "POST")
        assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    alembic(version(1), url, "upgrade", "heads")
    service.wait_ready()
    assert service.ask("/orders/late", "POST").json() == 1
    later = start(2, ready=False)
    later.wait_log(message="accepting", count=2)
    told = later.manage("/health/ready").json()["checks"]["schema"]["error"]
    assert "the database is at revision 0001 and chassis_" in told
    assert "this version needs 0002: run" in told
    for one in (service, later):
        assert one.stop() == 0
        assert_no_traceback(one)


def test_migrations_go_up_and_down(
    url: str, version: Version, installed: Callable[..., Path], tmp_path: Path
) -> None:
    """On both databases: there and back and there again, and nothing is left in between."""
    sqlite = installed()
    for folder, at in ((version(4), url), (sqlite, f"sqlite:///{tmp_path}/test.db")):
        up = alembic(folder, at, "upgrade", "heads")
        assert len(up) >= 3
        assert len(alembic(folder, at, "downgrade", "base")) == len(up)
        assert alembic(folder, at, "current") == []
        assert alembic(folder, at, "upgrade", "heads") == up
    alembic(sqlite, f"sqlite:///{tmp_path}/test.db", "check")  # the tables are the code's


def test_jobs_that_migrate_at_once_wait_for_each_other(url: str, version: Version) -> None:
    """Four at once: one does the work, and none fails."""
    folder = version(4)
    printed: list[list[str]] = []

    def migrate() -> None:
        printed.append(alembic(folder, url, "upgrade", "heads"))

    jobs = [threading.Thread(target=migrate) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(printed) == 4
    assert sum("up to 0003" in lines for lines in printed) == 1


def test_more_workers_than_connections_stop_the_boot(start: Start) -> None:
    """One line with the arithmetic, and the status of a wrong configuration."""
    service = start(ready=False, WEB_CONCURRENCY="19")
    assert service.wait_exit() == 78
    (line,) = service.logs()
    assert "(100 - 10) // (19 x (2 x 2 + 1)) = 0" in line["message"]
    assert "need at least 105" in line["message"]


@pytest.mark.load
def test_a_rollout_stays_below_the_limit_of_the_server(
    postgres: servers.Postgres,
    url: str,
    start: Start,
    version: Version,
    lossless: Lossless,
    record_property: Callable[[str, object], None],
) -> None:
    """Two replicas are replaced under load, with one more for a while, and all pools are full.

    Old ones drain and still serve beside the new; the server refuses nobody.
    """
    alembic(version(1), url, "upgrade", "heads")
    counted = [0]
    ended = threading.Event()

    def count() -> None:
        while not ended.wait(0.1):
            counted.append(sessions(postgres))

    counting = threading.Thread(target=count)
    with ExitStack() as stack:
        stack.callback(counting.join)
        stack.callback(ended.set)
        counting.start()

        def replica() -> tuple[Service, Load]:
            # The server's limit is what counts here, and not how long a client may wait.
            service = start(DATABASE_POOL_TIMEOUT_SECONDS="10", **LONG_DRAIN)
            load = stack.enter_context(full(service))
            load.reach(60)
            return service, load

        old = [replica(), replica()]
        sized = old[0][0].find_logs(message="database pool sized")[0]
        assert sized["arithmetic"] == "(100 - 10) // (2 x (2 x 2 + 1)) = 9"
        assert metric(old[0][0], "database_pool_size") == 18
        new = [replica()]  # the one more
        for service, load in old:
            service.send(signal.SIGTERM)
            new.append(replica())
            load.pass_by(20)
        for _, load in old:
            load.stop()  # the platform leads the clients elsewhere before the drain is over
        for service, _ in old:
            assert service.wait_exit(60) == 0
        for _, load in new:
            load.pass_by(40)
            load.stop()
    record_property("load", f"{max(counted)} connections")
    for service, load in old + new:
        lossless(load)
        assert_no_traceback(service)
    told = postgres.log.read_text().splitlines()
    assert not [line for line in told if any(text in line for text in REFUSED)]
    assert 72 < max(counted) <= 90


@pytest.mark.load
def test_a_worker_gives_idle_connections_back_while_it_drains(
    postgres: servers.Postgres, url: str, start: Start, version: Version
) -> None:
    """Long before it is gone, and it still serves."""
    alembic(version(1), url, "upgrade", "heads")
    service = start(**LONG_DRAIN)
    with full(service) as load:
        load.reach(100)
    assert sessions(postgres) > 9
    service.send(signal.SIGTERM)
    eventually(lambda: sessions(postgres) <= 2, within=5, what="connections given back")
    assert service.ask("/orders/late", "POST").status == 200


@pytest.mark.load
def test_a_full_pool_refuses_and_stays_ready(url: str, start: Start, version: Version) -> None:
    """More clients than it can carry: they are told when to come back, and the probes stay well."""
    alembic(version(1), url, "upgrade", "heads")
    service = start(DATABASE_POOL_SIZE="1")
    with (
        Load(service.management_port, "/health/ready", [PROBE]) as probes,
        Load(service.port, "/hold?ms=50", [KEEP_ALIVE] * 100) as load,
    ):
        eventually(lambda: load.tally.ok > 100, what="served")
    assert probes.tally.lost == 0, str(probes.tally)
    assert {loss.outcome for loss in load.tally.losses} == {"status"}
    assert all(loss.detail.startswith("503 ") for loss in load.tally.losses)
    assert_no_traceback(service)


@pytest.mark.load
def test_a_column_is_renamed_while_versions_serve_side_by_side(
    postgres: servers.Postgres,
    url: str,
    start: Start,
    version: Version,
    record_property: Callable[[str, object], None],
) -> None:
    """Expand, move the data, contract: four versions, three migrations, 0 lost.

    Each order is looked up at any of those that serve, whichever of them has stored it.
    """
    alembic(version(1), url, "upgrade", "heads")
    first = start(1)
    with Customers() as customers:
        customers.are_sent_to(first)
        customers.pass_by(50)
        alembic(version(2), url, "upgrade", "heads")  # expand, under load
        customers.pass_by(50)
        assert first.ready(), "what it doesn't know of is no fault"
        second = start(2)
        customers.are_sent_to(first, second)
        customers.pass_by(200)
        customers.are_sent_to(second)
        assert first.stop() == 0
        while postgres.run(BACKFILL, "orders") != "0":
            customers.pass_by(5)
        third = start(3)
        customers.are_sent_to(second, third)
        customers.pass_by(200)
        customers.are_sent_to(third)
        assert second.stop() == 0
        alembic(version(4), url, "upgrade", "heads")  # contract, under load
        customers.pass_by(50)
        fourth = start(4)
        customers.are_sent_to(third, fourth)
        customers.pass_by(200)
        assert third.ready()
    record_property("load", f"0 lost of {len(customers.orders)}")
    assert customers.lost == Counter()
    stored = postgres.run("SELECT id || ' ' || remark FROM orders", "orders").splitlines()
    assert {f"{number} {note}" for number, note in customers.orders.items()} == set(stored)
    for service in (first, second, third, fourth):
        assert_no_traceback(service)
