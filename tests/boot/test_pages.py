"""What pages show of a service that runs is what one prints, and what they have one type works.

Numbers, ids and moments are those of the day that a page was written; the fields, and what is said
in words, are today's.
"""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docs_code
import pytest
import servers
import sessions
import support
import yaml
from boot.fixtures import booting
from boot.harness import Ports, Service
from boot.test_payments import migrate, pay, run

pytestmark = pytest.mark.boot

DOCS = support.REPOSITORY / "docs"
OWN_CHECKS = {"ledger", "search"}
"""Those that docs/health.md registers itself."""

PLACE = {"module", "function", "line"}
"""Where in the code: docs/workers.md leaves it out."""


def page(name: str) -> str:
    """The text of a page."""
    return (DOCS / name).read_text("utf-8")


def plain(name: str, part: str) -> str:
    """The block of a page that names no language and has this in it."""
    found = [block.code for block in docs_code.fences(page(name)) if not block.language]
    (code,) = (each for each in found if part in each)
    return code


def samples(name: str, *keys: str) -> list[dict[str, Any]]:
    """The JSON of a page, one document or one a line, that has these keys."""
    found: list[dict[str, Any]] = []
    for block in docs_code.blocks(page(name), "json"):
        try:
            found.append(json.loads(block.code))
        except ValueError:
            found += [json.loads(line) for line in block.code.splitlines()]
    having = [each for each in found if each.keys() >= set(keys)]
    assert having, f"{name} shows nothing with {keys}"
    return having


def commands(name: str, part: str) -> list[sessions.Step]:
    """What a page has one type with this in it, and what is printed then."""
    steps = [each for each in sessions.steps(page(name)) if isinstance(each, sessions.Step)]
    return [step for step in steps if step.command is not None and part in step.command]


def form(value: object) -> object:
    """What stays of a value when another service says it: its fields, and the kind of each."""
    if isinstance(value, dict):
        return {name: form(each) for name, each in value.items() if name not in OWN_CHECKS}
    if isinstance(value, list):
        return [form(value[0])] if value else []
    if isinstance(value, str):
        return "text"
    return "number or nothing" if not isinstance(value, bool) else "yes or no"


@dataclass
class Stage:
    """A service of the default answers, and its project and database."""

    project: Path
    service: Service
    database: Path

    def type(self, command: str, **instead: str) -> str:
        """What is printed when somebody types a command, on this service's ports."""
        here = command.replace("localhost:9000", f"127.0.0.1:{self.service.management_port}")
        for old, new in instead.items():
            here = here.replace(f"<{old}>", new)
        done = subprocess.run(
            ["bash", "-c", here], capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout


@pytest.fixture(scope="module")
def stage(
    installed: Callable[..., Path], ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Two workers, and one payment."""
    project = installed()
    database = tmp_path_factory.mktemp("pages") / "payments.db"
    url = f"sqlite:///{database}"
    migrate(project, url)
    with booting(project, ports) as boot:
        service = boot(DATABASE_URL=url, WEB_CONCURRENCY="2")
        assert pay(service, "order-4711").status == 201
        service.wait_log(message="event published")
        yield Stage(project, service, database)


def test_the_probe_says_what_is_shown(stage: Stage) -> None:
    """`/health/ready`, as it is typed."""
    (step,) = commands("health.md", "/health/ready")
    assert step.command is not None
    assert form(json.loads(stage.type(step.command))) == form(json.loads("".join(step.printed)))


def test_the_overview_has_what_is_shown(stage: Stage) -> None:
    """All of its fields, in both vocabularies; one check of the sample hangs."""
    (shown,) = samples("health.md", "groups")
    hung = shown["checks"].pop("search")
    assert hung.keys() - {"error"} == shown["checks"]["database"].keys()
    shown["groups"].pop("books")
    assert form(stage.service.manage("/health").json()) == form(shown)

    (step,) = commands("health.md", "application/health+json")
    assert step.command is not None
    (shown,) = samples("health.md", "serviceId")
    shown.pop("notes")
    assert form(json.loads(stage.type(step.command))) == form(shown)


def test_what_runs_here_has_what_is_shown(stage: Stage) -> None:
    """`/info`, and the boot line that it repeats."""
    (info,) = samples("health.md", "template_version")
    (line,) = samples("workers.md", "cpu_bound")
    shown = stage.service.manage("/info").json()
    info["git_revision"] = None
    assert form(shown) == form(info)
    said = stage.service.find_logs(message="workers sized")[0]
    assert form({name: value for name, value in said.items() if name not in PLACE}) == form(line)
    assert info["workers"]["sizing"].keys() < line.keys()


def test_a_level_is_set_as_shown(stage: Stage) -> None:
    """And taken back, and nonsense is refused."""
    steps = commands("health.md", "/loggers/")
    assert len(steps) == 3
    for step in steps:
        assert step.command is not None
        assert stage.type(step.command).split() == "".join(step.printed).split()


def test_where_a_worker_is_looks_as_shown(stage: Stage) -> None:
    """The stacks of its tasks: which, and in which lines of which files."""
    block = plain("health.md", "Stack for")
    said = stage.service.manage("/threaddump").body.decode()
    for line in filter(None, block.splitlines()):
        words = re.sub(r"line \d+|worker\.py:\d+", "...", line.strip())
        pattern = re.escape(words).replace(re.escape("..."), ".*").replace('"chassis', '".*chassis')
        assert re.search(pattern.replace("at\\ chassis", "at\\ .*chassis"), said), line


def test_log_lines_have_what_is_shown(stage: Stage) -> None:
    """That of a request, and that of an event."""
    (access,) = samples("logs-and-metrics.md", "route")
    stage.service.ask(access["path"], headers={"X-Request-ID": access["request_id"]})
    said = stage.service.wait_log(logger="access", request_id=access["request_id"])
    varies = {"timestamp", "pid", "duration_ms"}
    assert said.keys() == access.keys()
    assert {(n, v) for n, v in said.items() if n not in varies} <= set(access.items())

    (event,) = samples("events.md", "event_id")
    said = stage.service.find_logs(message="event published")[0]
    assert form(said) == form(event)


def test_replies_have_the_headers_that_are_shown(stage: Stage) -> None:
    """All of them, on any reply."""
    lines = plain("limits.md", "x-frame-options").splitlines()
    shown = dict(line.split(": ", 1) for line in lines)
    assert shown.items() <= stage.service.ask("/payments/nowhere").headers.items()


def test_a_workers_memory_is_read_as_shown(stage: Stage) -> None:
    """By the process ids that the health page has."""
    (step,) = commands("inference.md", "VmRSS")
    assert step.command is not None
    workers = stage.service.manage("/health").json()["workers"]
    assert {each["pid"] for each in workers} == set(stage.service.workers())
    printed = stage.type(step.command, pid=str(workers[0]["pid"]))
    assert re.fullmatch(r"VmRSS:\s+\d+ kB\n", printed)


def test_the_task_of_ecs_asks_for_what_the_image_has(stage: Stage) -> None:
    """Its check is answered, its port is open, its secret is a setting; it waits for a whole stop.

    What ECS itself makes of it only ECS can say.
    """
    task = json.loads(docs_code.shown(DOCS / "how-to/deploy.md", "containerPort"))
    image = (stage.project / "Dockerfile").read_text("utf-8")
    compose = yaml.safe_load((stage.project / "compose.yaml").read_text("utf-8"))["services"]["app"]
    word, *check = task["healthCheck"]["command"]
    assert f"{word} {json.dumps(check[:-1])}\n" in image
    program = stage.project / "src/payment_api/chassis/server/healthcheck.py"
    assert check[2] == f"/app/{program.name}"
    address = f"MANAGEMENT_BIND_ADDRESS=127.0.0.1:{stage.service.management_port}"
    command = ["env", address, stage.project / ".venv/bin/python", check[1], program, *check[3:]]
    assert support.run(command, stage.project).stdout.startswith("200 ")

    (port,) = task["portMappings"]
    assert f"EXPOSE {port['containerPort']} " in image
    assert task["stopTimeout"] > int(compose["stop_grace_period"].removesuffix("s"))
    assert task["readonlyRootFilesystem"] is compose["read_only"] is True
    settings = (DOCS / "settings.md").read_text("utf-8")
    assert all(f"| `{secret['name']}` |" in settings for secret in task["secrets"])


def refused(stage: Stage, **settings: str) -> str:
    """What a service with these settings says when it doesn't start."""
    done = run(
        stage.project,
        "gunicorn",
        **settings,
        BIND_ADDRESS="127.0.0.1:0",
        MANAGEMENT_BIND_ADDRESS="",
    )
    assert done.returncode == 78, done.stderr
    return str(json.loads(done.stdout.splitlines()[-1])["message"])


def test_wrong_settings_are_refused_as_shown(stage: Stage) -> None:
    """In the words of the pages: two values at once, and times that don't fit."""
    shown = re.findall(r'"message":"(.*)", \.\.\.}', plain("settings.md", "is refused"))
    assert shown == [refused(stage, DRAIN_SECONDS="abc", DOCS_ENABLED="maybe")]

    assert plain("shutdown.md", "exceed").strip() == refused(stage, DRAIN_SECONDS="60")


def test_too_many_workers_are_warned_about_as_shown(stage: Stage, ports: Ports) -> None:
    """By the arithmetic of the page."""
    with booting(stage.project, ports) as boot:
        service = boot(ready=False, WEB_CONCURRENCY="8", DATABASE_URL=f"sqlite:///{stage.database}")
        said = service.wait_log(logger="chassis.boot", level="warning")
    assert plain("workers.md", "need 1599").strip() in said["message"]


def test_the_statements_are_ones_that_the_databases_take(
    stage: Stage, installed: Callable[..., Path]
) -> None:
    """Of the runbook and of the page on events: SQLite those on events, PostgreSQL all."""
    found = [
        statement.replace("'...'", "'01a202af-b2ec-7791-a58c-c7f4c21996fa'").replace("(PID)", "(0)")
        for name in ("events.md", "runbook.md", "vi/runbook.md")
        for block in docs_code.fences(page(name))
        if block.language == "sql"
        for statement in statements(block.code)
    ]
    assert len(found) > 10
    own = [each for each in found if "outbox_events" in each]
    connection = sqlite3.connect(stage.database)
    for statement in own:
        connection.execute(statement)
    connection.rollback()
    connection.close()

    project = installed({"database": "postgresql"})
    with servers.postgres() as server:
        url = server.create("payments")
        migrate(project, url)
        for statement in found:
            server.run(statement, "payments")


def statements(block: str) -> Sequence[str]:
    """The statements of a block, without what is said about them."""
    text = re.sub(r"--.*", "", block)
    return [each.strip() for each in text.split(";") if each.strip()]
