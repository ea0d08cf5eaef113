"""Nothing that was acknowledged is lost and nothing is done twice, whatever is killed meanwhile.

Clients pay at 10,000 requests a minute and then as fast as they are served. Meanwhile the service
is restarted, workers are killed, and PostgreSQL and Redis go away; Redis forgets everything. What
counts is what the books say when all is over. LOSS_SECONDS is how long each database is put
through it: 20 by default, a minute for the figures in the documentation.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import servers
from boot import books
from boot.balancer import Balancer, balancer
from boot.gateway import Gateway
from boot.harness import Ports, Service, eventually
from boot.payers import Payers
from boot.test_payments import run
from boot.witness import KEEPS, Published, Stream, Witness, read_memory, take_memory

pytestmark = [pytest.mark.boot, pytest.mark.load, pytest.mark.timeout(600)]

SECONDS = float(os.environ.get("LOSS_SECONDS", "20"))
PER_MINUTE = 10_000
CLIENTS = 32
PAUSE = SECONDS / 15
"""Between two mishaps: each of them, and a new start, takes time of its own."""

STREAM = "payment-api:events"
SETTINGS = {
    "WEB_CONCURRENCY": "2",
    "PAYMENT_GATEWAY_DEADLINE_SECONDS": "2",
    # A relay that was killed holds its events for so long.
    "OUTBOX_LEASE_SECONDS": "5",
    "OUTBOX_PUBLISH_TIMEOUT_SECONDS": "2",
    "OUTBOX_MAX_BACKOFF_SECONDS": "2",
    "OUTBOX_MAX_LAG_SECONDS": "600",
}

Mishap = Callable[[], None]


class Instance:
    """A place in which one instance of the service runs after the other."""

    def __init__(self, project: Path, ports: Ports, settings: dict[str, str]) -> None:
        port, management_port = ports.take(), ports.take()

        def start() -> Service:
            return Service(project, port, management_port, settings)

        self._start = start
        self.all = [self._start()]

    @property
    def now(self) -> Service:
        """The one that runs."""
        return self.all[-1]

    def anew(self) -> None:
        """Stop it as a platform does, and start it anew."""
        assert self.now.stop(within=60) == 0, self.now.tail()
        self.all.append(self._start())
        self.now.wait_ready(60)

    def pull_the_plug(self) -> None:
        """Kill all of its processes at once, and start it anew."""
        self.now.kill()
        self.all.append(self._start())
        self.now.wait_ready(60)

    def kill_a_worker(self) -> None:
        """With SIGKILL, while it serves; the master starts another one."""
        with suppress(FileNotFoundError, ProcessLookupError):  # it is being restarted just now
            for worker in self.now.workers()[:1]:
                os.kill(worker, signal.SIGKILL)

    def reload(self) -> None:
        """Replace the workers."""
        old = self.now.workers()
        self.now.send(signal.SIGHUP)
        eventually(lambda: not set(old) & set(self.now.workers()), 60, what="the reload")

    def stop(self) -> None:
        """For good; what is under way is finished."""
        assert self.now.stop(within=60) == 0, self.now.tail()

    def kill(self) -> None:
        """In the end, whatever the test has come to."""
        for service in self.all:
            service.kill()


class Rolling:
    """Restarts instances in turn, until the block ends; each of them at least once."""

    def __init__(self, instances: Sequence[Instance], entry: Balancer) -> None:
        self.restarts = 0
        self._instances = instances
        self._entry = entry
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._rolling = self._threads.submit(self._roll)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._rolling.result(200)

    def _roll(self) -> None:
        for instance in itertools.cycle(self._instances):
            if self._stopping.is_set() and self.restarts >= len(self._instances):
                return
            eventually(lambda: self._entry.up() == len(self._instances), 60, what="both in service")
            instance.anew()
            self.restarts += 1


def go_through(payers: Payers, mishaps: Sequence[Mishap]) -> None:
    """Let mishaps happen one after the other, first at a pace and then at full speed.

    Each of them at least once; over and over while there is time.
    """
    began = time.monotonic()
    payers.come_at(PER_MINUTE)
    for number in itertools.count():
        passed = time.monotonic() - began
        if number >= len(mishaps) // 2 and passed > SECONDS / 2:
            payers.hurry(CLIENTS)
        if number >= len(mishaps) and passed > SECONDS:
            return
        time.sleep(PAUSE)
        mishaps[number % len(mishaps)]()


def migrate(project: Path, settings: dict[str, str]) -> None:
    """Make the tables."""
    done = run(project, "alembic", "upgrade", "heads", **settings)
    assert done.returncode == 0, done.stderr


def assert_agrees(project: Path, settings: dict[str, str], began: datetime) -> None:
    """The service's own command says so, too."""
    for day in sorted({began.date(), datetime.now(UTC).date()}):
        command = ("python", "-m", "payment_api.payments.reconcile", "--day", f"{day}", "--json")
        done = run(project, *command, **settings)
        assert done.returncode in (0, 1), done.stderr
        report = json.loads(done.stdout)
        found = [shown for shown in report["shown"] if shown["differences"]]
        assert not found, f"{report['differences']} differences, such as {found[:5]}"
        assert done.returncode == 0
        assert report["agree"]


def assert_nothing_lost(
    payers: Payers, stored: books.Books, published: Sequence[Published]
) -> None:
    """Everything agrees."""
    assert not payers.wrong, "\n".join(payers.wrong[:20])
    found = list(books.differences(payers.paid, stored, published))
    assert not found, f"{len(found)} differences:\n" + "\n".join(found[:20])


def assert_no_traceback(instances: Sequence[Instance]) -> None:
    """An outage is no surprise: nobody's log is full of tracebacks for it."""
    for service in (service for instance in instances for service in instance.all):
        found = [record["exception"] for record in logged(service) if "exception" in record]
        told = "\n".join(f"{exception}" for exception in found[:3])
        assert not found, f"{len(found)} tracebacks, such as\n{told}"


def logged(service: Service) -> Iterator[dict[str, Any]]:
    """The lines of its log; a process that was killed may have left a piece of one."""
    for line in service.lines:
        try:
            yield json.loads(line.text)
        except ValueError:
            continue


def figures(payers: Payers, stored: books.Books, published: Sequence[Published]) -> str:
    """What happened, in numbers."""
    seen = payers.figures
    events = len({event.id for event in published})
    captured = sum(row["status"] == "captured" for row in stored.payments)
    told = {
        "acknowledged": len(payers.acknowledged),
        "of": len(payers.paid),
        "attempts in vain": seen.retries(),
        "5xx": seen.errors(),
        "longest": f"{seen.longest:.1f} s",
        "captured": captured,
        "events": events,
        "repeated": len(published) - events,
    }
    print(told, dict(seen.statuses))  # noqa: T201 - the figures are what it is for
    return ", ".join(f"{value} {name}" for name, value in told.items())


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway that captures everything."""
    with Gateway() as running:
        yield running


def test_on_postgresql_and_redis(
    installed: Callable[..., Path],
    ports: Ports,
    gateway: Gateway,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Two instances behind a balancer, restarted in turn all the while."""
    project = installed({"database": "postgresql", "events": "redis", "drain_seconds": "3"})
    began = datetime.now(UTC)
    lost: list[Path] = []
    with ExitStack() as stack:
        postgres = stack.enter_context(servers.postgres(max_connections=100))
        redis = stack.enter_context(servers.redis(**KEEPS))
        settings = SETTINGS | {
            "DATABASE_URL": postgres.create("payments"),
            "REDIS_URL": redis.url(),
        }
        migrate(project, settings)
        capturing = settings | {"PAYMENT_GATEWAY_URL": gateway.url}
        instances = [Instance(project, ports, capturing) for _ in range(2)]
        for instance in instances:
            stack.callback(instance.kill)
            instance.now.wait_ready()
        entry = stack.enter_context(
            balancer("http", ports.take(), [i.now for i in instances], tmp_path)
        )
        witness = stack.enter_context(Witness(redis.port, STREAM))
        payers = stack.enter_context(Payers(entry.port))

        def kill_workers() -> None:
            for instance in instances:
                instance.kill_a_worker()

        def redis_restarts() -> None:
            redis.stop()
            time.sleep(1)
            redis.start()

        def redis_forgets() -> None:
            redis.kill()
            lost.append(take_memory(redis))
            time.sleep(1)
            redis.start()

        def postgres_restarts() -> None:
            postgres.stop()
            time.sleep(1)
            postgres.start()

        def postgres_crashes() -> None:
            postgres.kill()
            postgres.start()

        rolling = Rolling(instances, entry)
        with rolling:
            go_through(
                payers,
                [
                    kill_workers, redis_restarts, postgres_restarts,
                    redis_forgets, postgres_crashes, kill_workers,
                ],
            )  # fmt: skip
        payers.finish()
        for instance in instances:
            instance.stop()
        # What waits still is published by one that doesn't capture more.
        last = Instance(project, ports, settings)
        stack.callback(last.kill)
        last.now.wait_ready()
        waiting = "SELECT count(*) FROM outbox_events WHERE published_at IS NULL"
        eventually(lambda: postgres.run(waiting, "payments") == "0", 60, what="all is published")
        witness.finish()
        last.stop()
        stored = books.of_postgres(postgres, "payments")
        # What Redis has forgotten before the witness saw it was published all the same.
        entries: Stream = dict(witness.seen)
        for memory in lost:
            entries |= read_memory(memory, STREAM)
        published = [entries[position] for position in sorted(entries)]
        told = figures(payers, stored, published)
        forgotten = len(entries) - len(witness.seen)
        record_property("load", f"{told}, {forgotten} forgotten, {rolling.restarts} restarts")
        assert_nothing_lost(payers, stored, published)
        assert_agrees(project, settings, began)
        assert_no_traceback([*instances, last])
        assert rolling.restarts >= 2
        assert len(payers.acknowledged) == len(payers.paid) > PER_MINUTE / 60 * SECONDS / 4


def test_on_sqlite(
    installed: Callable[..., Path],
    ports: Ports,
    gateway: Gateway,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """One instance with two workers, whose events are lines of its log."""
    project = installed({"drain_seconds": "3"})
    began = datetime.now(UTC)
    with ExitStack() as stack:
        file = tmp_path / "payments.db"
        settings = SETTINGS | {"DATABASE_URL": f"sqlite:///{file}"}
        migrate(project, settings)
        capturing = settings | {"PAYMENT_GATEWAY_URL": gateway.url}
        instance = Instance(project, ports, capturing)
        stack.callback(instance.kill)
        instance.now.wait_ready()
        payers = stack.enter_context(Payers(instance.now.port))
        go_through(
            payers,
            [
                instance.reload, instance.kill_a_worker, instance.anew,
                instance.reload, instance.pull_the_plug, instance.kill_a_worker,
            ],
        )  # fmt: skip
        payers.finish()
        instance.stop()
        last = Instance(project, ports, settings)
        stack.callback(last.kill)
        last.now.wait_ready()
        eventually(
            lambda: all(event["published_at"] for event in books.of_sqlite(file).events),
            60, what="all is published", every=0.5,
        )  # fmt: skip
        last.stop()
        stored = books.of_sqlite(file)
        published = [
            event
            for service in [*instance.all, *last.all]
            for event in map(_from_log, logged(service))
            if event is not None
        ]
        record_property("load", figures(payers, stored, published))
        assert_nothing_lost(payers, stored, published)
        assert_agrees(project, settings, began)
        assert_no_traceback([instance, last])
        assert len(payers.acknowledged) == len(payers.paid) > PER_MINUTE / 60 * SECONDS / 4


def _from_log(record: dict[str, Any]) -> Published | None:
    if record["message"] != "event published":
        return None
    return Published(record["event_id"], record["type"], record["key"], record["data"])
