"""The programs of a service end with the codes that the page has for them."""

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
import support

PAGE = (support.REPOSITORY / "docs/exit-codes.md").read_text("utf-8")
ELSEWHERE = {"gunicorn, the service", "a worker"}
"""Programs whose ends the boot tier provokes, and the test of the page on settings."""

MIGRATION = "alembic upgrade heads"
DOCTOR = "python -m <package>.chassis.doctor"
UPDATE = "python ballast/update.py"
CHECK = "python ballast/update.py --check"
RECONCILE = "python -m <package>.payments.reconcile"
HEALTH = "python -IS healthcheck.py, in the image"

PLACES = {
    "alembic": ".venv/bin/alembic",
    "python": "{project}/.venv/bin/python",
    "<package>": "payment_api",
    " ballast/": " {project}/ballast/",
    "healthcheck.py, in the image": "src/payment_api/chassis/server/healthcheck.py",
}
"""Where a service that isn't in an image has what the page names."""

DAY = "--day 2026-11-22"
PAYMENT = "01a20272b3257b3cbda72a3a7b09b0c9", "accepted", 1999, "EUR", "order 4711"
MOMENT = "2026-11-22 09:01:40.127897"
WITHOUT_EVENT = (*PAYMENT, MOMENT, "a request", "", "a key", MOMENT)
"""A payment of that day, of which no event tells."""


@dataclass(frozen=True)
class Case:
    """What a program is given."""

    arguments: str = ""
    settings: str = ""
    empty: bool = False
    """In a folder without a service."""
    stored: tuple[object, ...] = ()
    """A payment that is in the database."""


CASES = {
    (MIGRATION, 0): Case(),
    (MIGRATION, 255): Case(settings="DRAIN_SECONDS=abc"),
    (DOCTOR, 0): Case("--quiet"),
    (DOCTOR, 1): Case("--gunicorn {empty}/wrong.py --cpu 2 --memory 2GB"),
    (DOCTOR, 2): Case("--project {empty}"),
    (UPDATE, 0): Case(),
    (UPDATE, 1): Case(empty=True),
    (CHECK, 0): Case(),
    (CHECK, 1): Case(empty=True),
    (CHECK, 2): Case("--to 99.0.0"),
    (RECONCILE, 0): Case(DAY),
    (RECONCILE, 1): Case(DAY, stored=WITHOUT_EVENT),
    (RECONCILE, 2): Case("--request nobody"),
    (HEALTH, 0): Case(settings="MANAGEMENT_BIND_ADDRESS={answering}"),
    (HEALTH, 1): Case(settings="MANAGEMENT_BIND_ADDRESS=127.0.0.1:1"),
}


def listed() -> Iterator[tuple[str, int]]:
    """Each program of the page, with each code that it may end with."""
    program = ""
    for cell, code in re.findall(r"^\|([^|]*)\| (\d+) \|", PAGE, re.MULTILINE):
        program = cell.replace("`", "").strip() or program
        if program not in ELSEWHERE:
            yield program, int(code)


def test_each_code_is_provoked() -> None:
    """None is on the page that isn't here, and none here that isn't on the page."""
    assert list(listed()) == list(CASES)


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of something that says 200 when it is asked whether it lives."""
    folder = tmp_path_factory.mktemp("management")
    (folder / "health").mkdir()
    (folder / "health/live").touch()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("program", "code"), CASES, ids=lambda it: str(it))
def test_a_program_ends_with_the_code(
    program: str, code: int, installed: Callable[..., Path], answering: str, tmp_path: Path
) -> None:
    """In the case that the page has for it."""
    case, project, database = CASES[program, code], installed(), tmp_path / "payments.db"
    (tmp_path / "wrong.py").write_text("workers = 100\n")
    environment = ["env", f"DATABASE_URL=sqlite:///{database}", case.settings or "CASE=plain"]
    if program == RECONCILE:
        support.run([*environment, ".venv/bin/alembic", "upgrade", "heads"], project)
    if case.stored:
        with sqlite3.connect(database) as connection:
            connection.execute(
                "insert into payments values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", case.stored
            )
    command = f"{program} {case.arguments}"
    for shown, place in PLACES.items():
        command = command.replace(shown, place)
    places = {"project": project, "empty": tmp_path, "answering": answering}
    words = [word.format(**places) for word in (*environment, *command.split())]

    done = support.run(words, tmp_path if case.empty else project, check=False)

    assert done.returncode == code, done.stdout + done.stderr
