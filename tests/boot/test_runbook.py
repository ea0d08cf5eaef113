"""What the runbook has one type finds what it says, beside a service that has had a bad night."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import runbooks
import sessions
import support
from boot.fixtures import Boot
from boot.gateway import Gateway
from boot.harness import Service

pytestmark = pytest.mark.boot

MAY_LACK = {"error", "request_id"}
"""What a line may lack: not each is about an exception, or a request."""


@dataclass
class Night:
    """A service at 2 a.m., its runbook, and a shell that has typed the first block of it."""

    service: Service
    page: str
    shell: str
    request_id: str

    def filled(self, command: str) -> str:
        """The command with what one looks for in its place."""
        command = command.replace('.request_id == "..."', f'.request_id == "{self.request_id}"')
        return command.replace('.message == "..."', '.message == "shutdown not finished in time"')


@pytest.fixture(scope="module")
def night(
    boot_once: Boot, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Night]:
    """A request that crashed, a call that failed, a worker that hung, one that didn't stop."""
    support.require_engine("jq")
    support.require_engine("curl")
    with Gateway() as gateway:
        service = boot_once(
            WEB_CONCURRENCY="2",
            LAB_EXTRA="stubborn",
            GATEWAY_URL=gateway.url,
            WORKER_TIMEOUT_SECONDS="5",
            REQUEST_TIMEOUT_SECONDS="2",
            CLOSE_SECONDS="1",
            GRACEFUL_TIMEOUT_SECONDS="7",
        )
        crashed = service.ask("/crash")
        assert crashed.status == 500
        gateway.mode = "reset"
        assert service.ask("/charges/7").status == 502
        with pytest.raises(ConnectionError):
            service.ask("/hang")
        service.wait_log(message="worker dump")
        service.wait_workers(2)
        service.send(signal.SIGHUP)
        service.wait_log(message="shutdown not finished in time", count=2)
        service.wait_workers(2)
        service.wait_ready()
        service.ask("/refuse")
        service.wait_log(logger="chassis.availability", reason="asked to refuse")
        log = tmp_path_factory.mktemp("night") / "service.log"
        log.write_text("".join(f"{line.text}\n" for line in service.lines), "utf-8")
        page = runbooks.read(project)
        shell = runbooks.prelude(page, AT=f"127.0.0.1:{service.management_port}", logs=f"cat {log}")
        yield Night(service, page, shell, crashed.headers["x-request-id"])


def test_each_command_finds_something(night: Night) -> None:
    """It ends with 0, prints something, and of each line that it makes all is there."""
    commands = [line for line in runbooks.typed(night.page) if line.startswith(("curl", "logs"))]
    assert len(commands) > 12
    for command in commands:
        done = runbooks.run(night.shell, night.filled(command))
        assert (done.returncode, done.stderr) == (0, ""), command
        assert done.stdout.strip() not in ("", "null"), command
        if "jq -c" in command:
            for line in done.stdout.splitlines():
                made = json.loads(line)
                lacking = {name for name, value in made.items() if value is None}
                assert lacking <= MAY_LACK, command


def test_an_error_is_shown_by_what_was_raised(night: Night) -> None:
    """Of an exception its type, and its request, by whose id all that is about it is found."""
    errors, one = (
        line
        for line in runbooks.typed(night.page)
        if line.startswith("logs | jq -c 'select(.level") or "request_id ==" in line
    )

    shown = [json.loads(line) for line in runbooks.run(night.shell, errors).stdout.splitlines()]
    about = runbooks.run(night.shell, night.filled(one)).stdout

    (crash,) = (line for line in shown if line["request_id"] == night.request_id)
    assert crash["error"] == "RuntimeError"
    assert {"chassis.request", "access"} == {json.loads(it)["logger"] for it in about.splitlines()}


def test_the_first_page_asks_the_same(night: Night) -> None:
    """What is typed on the documentation's first page says why the service isn't ready."""
    page = (support.REPOSITORY / "docs/index.md").read_text("utf-8")
    typed = [step.command for step in sessions.steps(page) if isinstance(step, sessions.Step)]
    ready, health = (it for it in typed if it is not None and it.startswith("curl"))
    port = f"127.0.0.1:{night.service.management_port}"

    said, whole = (
        json.loads(runbooks.run("", it.replace("localhost:9000", port)).stdout)
        for it in (ready, health)
    )

    assert said["reason"] == "lab: asked to refuse"
    assert {"checks", "breakers", "workers"} <= set(whole)
    assert whole["status"] == "OUT_OF_SERVICE"
