"""The compose file: all of it comes up, and replicas are replaced without a loss (J2)."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sessions
import support
from boot.fixtures import Lossless
from boot.harness import Ports, ask, eventually
from boot.load import Load
from container.conftest import BuildImage, Built
from container.engine import Engine

pytestmark = pytest.mark.container


class Stack:
    """A project under Docker Compose."""

    def __init__(self, engine: Engine, image: Built, variables: Mapping[str, str]) -> None:
        self.project = image.project
        self.port = int(variables["PORT"])
        self.prometheus_port = int(variables["PROMETHEUS_PORT"])
        self._engine = engine
        self._environment = {**support.clean_environment(), "IMAGE": image.tag}
        self._make = [
            "make",
            f"DOCKER={engine.program}",
            f"IMAGE={image.tag}",
            f"IMAGE_OPTIONS=--network=host {' '.join(image.options)}",
        ]
        lines = [f"{name}={value}\n" for name, value in variables.items()]
        (self.project / ".env").write_text("".join(lines))

    def make(self, *targets: str) -> str:
        """Run the project's targets."""
        return self._run([*self._make, *targets])

    def compose(self, *arguments: str) -> str:
        """Run docker-compose."""
        return self._run(["docker-compose", *arguments])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self.project, env=self._environment, text=True, timeout=200,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{self.logs()}"
        return done.stdout

    def logs(self) -> str:
        """The end of everybody's log."""
        done = subprocess.run(
            ["docker-compose", "logs", "--no-color", "--tail=8"],
            cwd=self.project, env=self._environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout[-4000:]

    def identifier(self, service: str) -> str:
        """The container of a service."""
        return self.compose("ps", "--quiet", service).strip()


def typed(command: str) -> list[str]:
    """The words after `make` that the page has one type."""
    line, _ = sessions.typed(support.REPOSITORY / "docs/container.md", command)
    return shlex.split(line, comments=True)[1:]


@contextmanager
def stack(
    engine: Engine, image: Built, ports: Ports, others: Path, number: int, *options: str
) -> Iterator[Stack]:
    """Bring a project up, and take it down with its data in the end."""
    support.require_engine("docker-compose")
    third = engine.others(others)
    variables = {
        "PORT": str(ports.take()),
        "PROMETHEUS_PORT": str(ports.take()),
        "NETWORK": f"10.213.{100 + number}",
        "CPU_LIMIT": str(min(2, os.cpu_count() or 1)),
        **{f"{name}_IMAGE": third for name in ("NGINX", "POSTGRES", "REDIS", "PROMETHEUS")},
    }
    up = Stack(engine, image, variables)
    try:
        up.make(*typed("make up"), *options)
        yield up
    finally:
        up.compose(
            "--profile", "monitoring", "down", "--volumes", "--remove-orphans", "--timeout=5"
        )


@pytest.fixture(scope="module")
def lab_stack(
    lab_image: Built, engine: Engine, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The lab's service under Docker Compose, with Prometheus."""
    others = tmp_path_factory.mktemp("others")
    with stack(engine, lab_image, ports, others, 1, "PROFILE=monitoring") as up:
        yield up


def pay(port: int) -> str:
    """Make a payment, and return its id."""
    body = json.dumps({"amount": 1999, "currency": "EUR", "reference": "order 4711"}).encode()
    headers = {"Idempotency-Key": "order-4711", "Content-Type": "application/json"}
    reply = ask(port, "/payments", "POST", headers=headers, body=body)
    assert reply.status == 201, reply.body
    identifier: str = reply.json()["id"]
    return identifier


def test_every_container_is_narrow(lab_stack: Stack, engine: Engine) -> None:
    """Every container is read-only, without capabilities, bounded; only nginx can be reached."""
    published = {}
    for name in ("nginx", "app-1", "app-2", "prometheus"):
        (container,) = json.loads(engine("inspect", lab_stack.identifier(name)))
        host, config = container["HostConfig"], container["Config"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["Memory"] > 0
        assert host["NanoCpus"] > 0
        assert host["PidsLimit"] > 0
        assert config["User"] not in ("", "0", "root")
        assert name == "prometheus" or config["StopTimeout"] == 38
        published[name] = {binding["HostIp"] for (binding,) in host["PortBindings"].values()}
    assert published == {"nginx": {""}, "app-1": set(), "app-2": set(), "prometheus": {"127.0.0.1"}}


def test_the_client_is_known_behind_nginx(lab_stack: Stack) -> None:
    """Its address comes through, and what it claims about it doesn't."""
    reply = ask(lab_stack.port, "/whoami", headers={"X-Forwarded-For": "1.2.3.4"})
    assert reply.json()["client"].startswith("10.213.101.")
    assert not reply.json()["client"].endswith(".2"), "that is nginx"


def test_replicas_are_replaced_without_a_loss(lab_stack: Stack, lossless: Lossless) -> None:
    """`make up` after a change replaces both under load, one after the other: 0 lost, 0 502s."""
    up = lab_stack
    before = [up.identifier(name) for name in ("app-1", "app-2", "nginx")]
    (up.project / "deploy/compose/service.env").write_text("LOG_LEVEL=WARNING\n")
    with Load(up.port, limit=200) as load:
        load.reach(300)
        up.make("up")
        load.pass_by(300)
    after = [up.identifier(name) for name in ("app-1", "app-2", "nginx")]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, False, True]
    served = up.compose("logs", "--no-color", "nginx")
    lossless(load, at_least=2000)
    assert '"status_code":502' not in served
    assert '"upstream_status":"502 : 200"' in served, "no request met a closed listener"


def test_prometheus_reads_every_replica(lab_stack: Stack) -> None:
    """Both management ports are scraped, and the rules are loaded, the service's own as well."""

    def query(path: str) -> Any:
        return ask(lab_stack.prometheus_port, f"/api/v1/{path}").json()["data"]

    def up() -> set[str]:
        found = query("query?query=up")["result"]
        assert {sample["metric"]["job"] for sample in found} == {"boot-lab"}
        return {sample["metric"]["instance"] for sample in found if sample["value"][1] == "1"}

    eventually(lambda: up() == {"app-1:9000", "app-2:9000"}, 40, what="both replicas to be up")
    assert query("rules?type=alert")["groups"]
    files = query("status/config")["yaml"]
    assert "monitoring/rules.yml" in files
    assert "monitoring/custom_rules.yml" in files


def test_a_payment_on_postgresql_and_redis(
    build_image: BuildImage, engine: Engine, ports: Ports, tmp_path: Path
) -> None:
    """Migrated, its password in files of its own, it takes a payment and publishes the event."""
    answers = {"database": "postgresql", "events": "redis", "drain_seconds": 3}
    image = build_image("servers", answers)
    with stack(engine, image, ports, tmp_path, 3) as up:
        payment = pay(up.port)
        assert ask(up.port, f"/payments/{payment}").status == 200
        secrets = image.project / "deploy/compose/secrets"
        password = (secrets / "postgres_password").read_text()
        assert len(password) == 48
        assert secrets.stat().st_mode & 0o777 == 0o700
        shown = up.compose("config") + engine("inspect", *up.compose("ps", "--quiet").split())
        assert password not in shown
        redis_password = (secrets / "redis_password").read_text()
        assert redis_password not in shown
        events = ("redis-cli", "--raw", "XRANGE", "payment-api:events", "-", "+")
        read = ("exec", "-T", "-e", f"REDISCLI_AUTH={redis_password}", "redis", *events)
        eventually(lambda: payment in up.compose(*read), 20, what="the event")


def test_a_payment_on_sqlite_outlives_its_container(
    default_image: Built, engine: Engine, ports: Ports, tmp_path: Path
) -> None:
    """One replica, migrated first; its file is on a volume, which `make down` leaves alone."""
    with stack(engine, default_image, ports, tmp_path, 4) as up:
        payment = pay(up.port)
        up.compose("kill", "app")  # rather than wait for its drain
        up.make(*typed("make down"))
        up.compose("up", "--detach")
        eventually(lambda: ask(up.port, f"/payments/{payment}").status == 200, 30)
