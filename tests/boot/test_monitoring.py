"""A real Prometheus on a real service: what is shipped finds data, and alerts fire (SPEC J4)."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import monitoring
import pytest
import servers
import support
from boot.fixtures import booting
from boot.gateway import Gateway
from boot.harness import Ports, Service, eventually
from boot.test_models import BODY, ModelFile
from boot.test_models import project as model_project
from boot.test_payments import migrate, pay

__all__ = ["model_project"]

pytestmark = pytest.mark.boot

PAYMENTS = {"database": "postgresql", "events": "redis"}
NOT_YET = {
    "custom:slo_availability:objective": "an objective of the user's own",
    "custom:slo_latency:objective": "the same",
    'status=~"5.."': "nothing has failed",
    "http_client_retries_total": "no call was repeated",
    "outbox_failures_total": "no batch has come to nothing",
}
"""What has no data while all is well, and why."""


@dataclass
class Stage:
    """A service, all that it depends on, and a Prometheus that watches it."""

    project: Path
    service: Service
    prometheus: servers.Prometheus
    postgres: servers.Postgres
    redis: servers.Redis
    gateway: Gateway

    def fires(self, alert: str) -> None:
        """Wait until the alert fires."""
        eventually(lambda: alert in self.prometheus.firing(), 30, what=alert, every=0.2)

    def is_over(self, alert: str) -> None:
        """Wait until it doesn't any more."""
        eventually(lambda: alert not in self.prometheus.firing(), 40, what=f"no {alert}", every=0.2)


@pytest.fixture(scope="module")
def stage(installed: Callable[..., Path], ports: Ports) -> Iterator[Stage]:
    """Payments on PostgreSQL and Redis, with a gateway, under a light load."""
    support.require_engine("promtool")
    project = installed(PAYMENTS)
    rules = monitoring.hastened(project, OutboxLag=("> 60", "> 2"))
    with (
        servers.postgres() as postgres,
        servers.redis() as redis,
        Gateway() as gateway,
        booting(project, ports) as boot,
    ):
        url = postgres.create("payments")
        migrate(project, url, REDIS_URL=redis.url())
        service = boot(
            DATABASE_URL=url,
            REDIS_URL=redis.url(),
            PAYMENT_GATEWAY_URL=gateway.url,
            WEB_CONCURRENCY="2",
            MAX_REQUESTS="0",
            HEALTH_INTERVAL_SECONDS="1",
        )
        targets = {"payment-api": service.management_port}
        with servers.prometheus(targets, rules) as prometheus, paying(service):
            stage = Stage(project, service, prometheus, postgres, redis, gateway)
            eventually(lambda: prometheus.query("job:http_requests:rate5m > 0"), what="a scrape")
            yield stage


@contextmanager
def paying(service: Service) -> Iterator[None]:
    """Some payments a second, and a look at one, whatever they are answered."""
    over = threading.Event()

    def customer() -> None:
        while not over.wait(0.05):
            with suppress(OSError):
                reply = pay(service, str(uuid4()))
                if reply.status == 201:
                    service.ask(f"/payments/{reply.json()['id']}")

    customers = [threading.Thread(target=customer) for _ in range(2)]
    for each in customers:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in customers:
            each.join(30)


def is_absent(selector: str) -> bool:
    """Whether there is a good reason for this to have no data."""
    return any(part in selector for part in NOT_YET)


def without_data(prometheus: servers.Prometheus, project: Path, service: str) -> set[str]:
    """Which queries of the dashboard, and which selectors of the rules, find nothing."""
    queries = monitoring.dashboard_queries(project, service)
    asked = [query for query in queries.values() if not is_absent(query) or "vector(0)" in query]
    for rule in monitoring.rules(project):
        asked += [each for each in monitoring.selectors(rule["expr"]) if not is_absent(each)]
    assert len(asked) > 60
    return {query for query in asked if not prometheus.query(query)}


def test_all_that_is_asked_has_an_answer(stage: Stage) -> None:
    """Every query of the dashboard and every metric of an alert has data, but for a reason."""

    def all_there() -> bool:
        missing = without_data(stage.prometheus, stage.project, "payment-api")
        assert not missing, missing
        return True

    eventually(all_there, 30, what="data for everything", every=0.5)
    # Each rule is evaluated without an error, and what is well doesn't look like a fault.
    assert not stage.prometheus.query("prometheus_rule_evaluation_failures_total > 0")
    assert not stage.prometheus.firing() & {
        "ServiceDown", "InstanceUnreachable", "NoInstanceReady", "NotReady", "LivenessBroken",
        "HealthCheckFailing", "WorkerHung", "WorkerDied", "CircuitOpen", "OutboxLag",
        "OutboxBacklog", "OutboxParked", "ErrorBudgetBurnFast", "ErrorBudgetBurnSlow",
    }  # fmt: skip


def test_the_names_are_as_prometheus_wants_them(stage: Stage) -> None:
    """`promtool check metrics` has nothing to say about a scrape."""
    scrape = stage.service.manage("/metrics").body
    done = subprocess.run(
        [support.require_engine("promtool"), "check", "metrics"],
        input=scrape,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_gateway_that_fails_opens_a_circuit(stage: Stage) -> None:
    """And the alert is over when the gateway is back."""
    stage.gateway.mode = "error"
    stage.fires("CircuitOpen")
    assert "NotReady" not in stage.prometheus.firing()
    stage.gateway.mode = "ok"


def test_events_that_wait_are_told_of(stage: Stage) -> None:
    """Redis is away: the lag grows, its check fails, and payments are taken all the same."""
    stage.redis.stop()
    stage.fires("OutboxLag")
    stage.fires("HealthCheckFailing")
    assert pay(stage.service, str(uuid4())).status == 201
    stage.redis.start()
    stage.is_over("OutboxLag")


def test_a_service_without_its_database_is_not_ready(stage: Stage) -> None:
    """All instances at once, so it is told twice; and requests fail, which burns the budget."""
    stage.postgres.stop()
    for alert in ("NotReady", "NoInstanceReady", "ErrorBudgetBurnFast"):
        stage.fires(alert)
    stage.postgres.start()
    for alert in ("NotReady", "NoInstanceReady"):
        stage.is_over(alert)


def test_a_worker_that_is_killed_is_told_of(stage: Stage) -> None:
    """Once, at the first one that dies."""
    assert "WorkerDied" not in stage.prometheus.firing()
    os.kill(stage.service.workers()[0], signal.SIGKILL)
    stage.fires("WorkerDied")
    stage.service.wait_workers(2)


def test_a_service_that_is_gone_is_down(stage: Stage) -> None:
    """Last: there is nothing left to look at."""
    stage.service.kill()
    stage.fires("ServiceDown")


def test_a_model_that_fails_makes_another_stale(
    model_project: Path, ports: Ports, tmp_path: Path
) -> None:
    """Every query has data in a service that predicts as well; a bad file is told of."""
    file = ModelFile(tmp_path, model_project / "models/iris.onnx")
    file.put()
    with booting(model_project, ports) as boot:
        service = boot(HEALTH_INTERVAL_SECONDS="1", **file.settings)
        rules = monitoring.hastened(model_project)
        with servers.prometheus({"model-lab": service.management_port}, rules) as prometheus:

            def all_there() -> bool:
                service.ask(
                    "/predictions",
                    "POST",
                    body=BODY.encode(),
                    headers={"Content-Type": "application/json"},
                )
                missing = without_data(prometheus, model_project, "model-lab")
                # It calls nobody, and has no critical check.
                there_are_none = ("circuit_breaker_", "http_client_", 'critical="true"')
                missing = {q for q in missing if not any(name in q for name in there_are_none)}
                assert not missing, missing
                return True

            eventually(all_there, 30, what="data for everything", every=0.5)
            assert not prometheus.firing() & {"ModelStale", "ModelNotWarm"}
            file.put(content=b"no model at all")
            eventually(lambda: "ModelStale" in prometheus.firing(), 30, what="ModelStale")
            assert service.ready()
