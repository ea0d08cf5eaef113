"""Events of a service with several workers, on a real PostgreSQL and a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
import servers
from boot.fixtures import booting
from boot.harness import Ports, Service, eventually
from boot.test_payments import migrate, pay

pytestmark = pytest.mark.boot


@pytest.fixture(scope="module")
def redis() -> Iterator[servers.Redis]:
    """A Redis of this module's own."""
    with servers.redis() as server:
        yield server


@pytest.fixture
def service(
    installed: Callable[..., Path], redis: servers.Redis, ports: Ports
) -> Iterator[Service]:
    """Two workers that publish to that Redis."""
    project = installed({"database": "postgresql", "events": "redis"})
    with servers.postgres() as postgres, booting(project, ports) as boot:
        url = postgres.create("payments")
        migrate(project, url, REDIS_URL=redis.url())
        yield boot(DATABASE_URL=url, REDIS_URL=redis.url(), WEB_CONCURRENCY="2")


def test_a_redis_that_is_away_degrades(service: Service, redis: servers.Redis) -> None:
    """Payments are taken all the same; readiness shows what is wrong, and says yes."""
    ready = service.manage("/health/ready").json()
    assert (ready["status"], set(ready["checks"])) == ("UP", {"database", "schema", "redis"})

    redis.stop()

    def degraded() -> bool:
        reply = service.manage("/health/ready")
        assert reply.status == 200
        body = reply.json()
        assert body["checks"]["redis"]["status"] == "error"
        return bool(body["status"] == "DEGRADED")

    eventually(degraded, what="a degraded readiness")
    assert service.manage("/health").json()["status"] == "DEGRADED"
    ids = [pay(service, str(uuid4())).json()["id"] for _ in range(20)]
    assert len(set(ids)) == 20

    redis.start()
    eventually(lambda: service.manage("/health/ready").json()["status"] == "UP", what="all well")
    eventually(lambda: set(ids) <= published(redis), what="the events of all payments")
    assert not service.complaints()


def published(redis: servers.Redis) -> set[str]:
    """The keys of the events that are in the stream: the payments' ids."""
    lines = redis.run("XRANGE", "payment-api:events", "-", "+")
    return {value for name, value in pairwise(lines) if name == "key"}
