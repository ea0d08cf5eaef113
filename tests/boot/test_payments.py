"""The payments of a service with several workers: one for each key, captured, and traceable."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import servers
import support
from boot.fixtures import booting
from boot.gateway import Gateway
from boot.harness import Answer, Ports, Service, eventually

pytestmark = pytest.mark.boot

ORDER = {"amount": 1999, "currency": "EUR", "reference": "order 4711"}
WORKERS = {"WEB_CONCURRENCY": "2"}


def pay(service: Service, key: str, headers: dict[str, str] | None = None) -> Answer:
    """Post a payment."""
    return service.ask(
        "/payments",
        "POST",
        headers={"Idempotency-Key": key, "Content-Type": "application/json", **(headers or {})},
        body=json.dumps(ORDER).encode(),
    )


def run(project: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run something of the project's in its environment."""
    return subprocess.run(
        [str(project / ".venv/bin" / command[0]), *command[1:]],
        cwd=project,
        env=support.clean_environment() | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def payments(
    request: pytest.FixtureRequest, installed: Callable[..., Path], tmp_path_factory: Any
) -> Iterator[tuple[Path, dict[str, str]]]:
    """An installed service and where its database is, migrated; on each of the databases."""
    project = installed({"database": request.param})
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('payments')}/payments.db"
        migrate(project, url)
        yield project, {"DATABASE_URL": url, **WORKERS}
    else:
        with servers.postgres() as server:
            url = server.create("payments")
            migrate(project, url)
            yield project, {"DATABASE_URL": url, **WORKERS}


def migrate(project: Path, url: str, **variables: str) -> None:
    """Make the tables."""
    done = run(project, "alembic", "upgrade", "heads", DATABASE_URL=url, **variables)
    assert done.returncode == 0, done.stderr


def test_a_postgresql_that_turns_read_only_and_back(
    installed: Callable[..., Path], ports: Ports
) -> None:
    """As after a failover: payments are refused and no worker is ready, then all is well again.

    The log has a line for each worker and change, and no traceback.
    """
    project = installed({"database": "postgresql"})
    with servers.postgres() as server, booting(project, ports) as boot:
        url = server.create("payments")
        migrate(project, url)
        service = boot(DATABASE_URL=url, **WORKERS)
        workers = service.workers()
        with Shoppers(service) as shoppers:
            shoppers.see(201, 20)
            turn_read_only(server, on=True)
            eventually(lambda: not any(service.ready() for _ in range(10)), what="not ready")
            body = service.manage("/health/ready").json()
            assert body["reason"] == "failing: database"
            assert "read-only" in body["checks"]["database"]["error"]
            refused = shoppers.see(503, 20)
            assert refused.headers["content-type"] == "application/problem+json"
            assert int(refused.headers["retry-after"]) >= 1
            assert service.ask("/payments").status == 200, "who only reads is served"
            turn_read_only(server, on=False)
            service.wait_ready()
            eventually(lambda: all(service.ready() for _ in range(10)), what="all are ready")
            shoppers.see(201, 40)
        assert shoppers.statuses <= {201, 503}
        assert service.workers() == workers
        assert service.stop() == 0
    for message in ("database read-only", "database writable"):
        assert 1 <= len(service.find_logs(message=message)) <= len(workers), message
    assert not [entry for entry in service.logs() if "exception" in entry]
    assert not service.complaints()


def test_what_is_missing_is_told_at_once_and_a_migration_needs_the_database_alone(
    installed: Callable[..., Path], ports: Ports
) -> None:
    """The job is given what it needs and no more; without that it ends with one line."""
    project = installed(support.EVERY_FEATURE)
    migration = ("alembic", "upgrade", "heads")
    done = run(project, *migration)
    assert done.returncode != 0
    assert done.stderr + done.stdout == (
        "FAILED: DATABASE_URL is missing: set it in the environment or as a file in SECRETS_DIR\n"
    )
    with servers.postgres() as server:
        url = server.create("payments")
        done = run(project, *migration, DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
        server.stop()
        done = run(project, *migration, DATABASE_URL=url)
        assert done.returncode != 0
        told = done.stderr + done.stdout
        assert told.startswith("FAILED: not migrated: the database of DATABASE_URL isn't"), told
        assert told.endswith("try again when it is\n"), told
        assert len(told.splitlines()) == 1
    with booting(project, ports) as boot:
        service = boot(ready=False)
        assert service.wait_exit() == 78
        (line,) = service.logs()
    for name in ("DATABASE_URL is", "REDIS_URL is", "JWT_ISSUER is", "JWT_SECRET_KEY"):
        assert name in line["message"]


def turn_read_only(server: servers.Postgres, *, on: bool) -> None:
    """Have the server refuse writes, on sessions that are open too, as a standby does."""
    server.run(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
    server.run("SELECT pg_reload_conf()")


class Shoppers:
    """A few clients that pay all the time, until the block ends."""

    def __init__(self, service: Service) -> None:
        self.statuses: set[int] = set()
        self._service = service
        self._replies: list[Answer] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._shop) for _ in range(4)]

    def see(self, status: int, count: int) -> Answer:
        """Wait for so many replies of this status from now on, and return the last."""
        begun = len(self._replies)

        def seen() -> list[Answer]:
            found = [reply for reply in self._replies[begun:] if reply.status == status]
            return found if len(found) >= count else []

        return eventually(seen, what=f"{count} replies of status {status}")[-1]

    def _shop(self) -> None:
        while not self._over.wait(0.02):
            reply = pay(self._service, str(uuid4()))
            self.statuses.add(reply.status)
            self._replies.append(reply)

    def __enter__(self) -> Shoppers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


Payments = tuple[Path, dict[str, str]]


def reconcile(payments: Payments) -> dict[str, Any]:
    """What the command says of today."""
    project, variables = payments
    today = f"{datetime.now(UTC):%F}"
    command = ("python", "-m", "payment_api.payments.reconcile", "--day", today, "--json")
    report: dict[str, Any] = json.loads(run(project, *command, **variables).stdout)
    return report


def test_a_key_is_one_payment_over_all_workers(payments: Payments, ports: Ports) -> None:
    """Requests with the same key, at once and in several processes, have one reply."""
    project, variables = payments
    keys = [str(uuid4()) for _ in range(40)]
    with booting(project, ports) as boot:
        service = boot(**variables)
        with ThreadPoolExecutor(16) as threads:
            replies = list(threads.map(lambda key: (key, pay(service, key)), keys * 8))
        workers = {entry["pid"] for entry in service.find_logs(message="request completed")}

    assert len(workers) == 2
    assert {reply.status for _, reply in replies} == {201}
    by_key = {key: {reply.body for at, reply in replies if at == key} for key in keys}
    assert {len(bodies) for bodies in by_key.values()} == {1}
    first = [reply for _, reply in replies if "idempotency-replayed" not in reply.headers]
    assert len(first) == len(keys)
    report = reconcile(payments)
    assert report["agree"]
    assert report["payments"] == report["replies"] == report["events"] == len(keys)


def test_payments_are_captured_whatever_the_gateway_does(payments: Payments, ports: Ports) -> None:
    """While it is away they stay accepted, its circuit opens, and the service stays ready."""
    project, variables = payments
    with booting(project, ports) as boot, Gateway() as gateway:
        gateway.mode = "error"
        service = boot(
            PAYMENT_GATEWAY_URL=gateway.url,
            PAYMENT_GATEWAY_TOKEN="a token",  # noqa: S106
            PAYMENT_GATEWAY_DEADLINE_SECONDS="0.5",
            **variables,
        )
        made = [pay(service, str(uuid4())).json()["id"] for _ in range(10)]
        assert {status(service, payment) for payment in made} == {"accepted"}
        eventually(lambda: circuit(service) == "open", what="the circuit opens")
        assert service.ready()
        assert pay(service, str(uuid4())).status == 201

        gateway.mode = "ok"
        for payment in made:
            eventually(lambda: status(service, payment) == "captured", 90, what="it is captured")  # noqa: B023
        assert gateway.headers["authorization"] == "Bearer a token"
        assert "a token" not in str(service.logs())
    assert reconcile(payments)["agree"]


def status(service: Service, payment: str) -> str:
    """How far a payment is."""
    return str(service.ask(f"/payments/{payment}").json()["status"])


def circuit(service: Service) -> str:
    """The state of the gateway's circuit, the worst over the workers."""
    return str(service.manage("/health").json().get("breakers", {}).get("payment-gateway"))


class Issuer:
    """An issuer of tokens; it is away while `document` is None."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self.document: object = None
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                body = json.dumps(issuer.document).encode()
                self.send_response(200 if issuer.document else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/jwks.json"

    def __enter__(self) -> Issuer:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def key(self, kid: str) -> tuple[dict[str, str], str]:
        """A new key: its public half as a JWK, and a token that is signed with it."""
        code = f"""
import json, time, jwt
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())) | {{"kid": {kid!r}}}
claims = {{"iss": "https://issuer.example", "aud": "payment-api", "sub": "a-shop"}}
claims |= {{"exp": time.time() + 600, "scope": "payments:read payments:write"}}
print(json.dumps([jwk, jwt.encode(claims, key, "ES256", headers={{"kid": {kid!r}}})]))
"""
        jwk, token = json.loads(run(self._project, "python", "-c", code).stdout)
        return jwk, token


def test_tokens_by_an_issuers_keys(
    installed: Callable[..., Path], ports: Ports, tmp_path: Path
) -> None:
    """Fetched when they are needed, rotated, and kept while the issuer is away."""
    project = installed({"auth": "jwt"})
    url = f"sqlite:///{tmp_path}/payments.db"
    told = {"JWT_ISSUER": "https://issuer.example", "JWT_AUDIENCE": "payment-api"}
    with booting(project, ports) as boot, Issuer(project) as issuer:
        told |= {"JWT_ALGORITHMS": "ES256", "JWT_JWKS_URL": issuer.url, "DATABASE_URL": url}
        done = run(project, "alembic", "upgrade", "heads", **told)
        assert done.returncode == 0, done.stderr
        service = boot(WEB_CONCURRENCY="1", JWT_JWKS_REFRESH_SECONDS="1", **told)
        first, token = issuer.key("first")

        def ask(with_token: str) -> int:
            return pay(service, "k", {"Authorization": f"Bearer {with_token}"}).status

        assert ask(token) == 503  # it can't be told: the issuer was away from the start
        assert service.ready()
        issuer.document = {"keys": [first]}
        eventually(lambda: ask(token) == 201, 60, what="the issuer is back", every=0.5)

        second, other = issuer.key("second")
        issuer.document = {"keys": [first, second]}
        eventually(lambda: ask(other) == 201, 60, what="the new key is known", every=0.5)

        issuer.document = None
        for _ in range(20):
            assert ask(token) == ask(other) == 201
        stranger = issuer.key("stranger")[1]
        eventually(lambda: ask(stranger) == 503, 60, what="nobody can tell", every=0.5)
        issuer.document = {"keys": [second]}
        eventually(lambda: ask(token) == 401, 60, what="the old key is taken back", every=0.5)
        assert ask(other) == 201
        text = str(service.logs())
        assert all(part not in text for each in (token, other) for part in each.split("."))
