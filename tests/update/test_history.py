"""Services of every release, with real edits, become what the working tree would release.

No conflict, no line of the user's lost, nothing of the old template left: what the template keeps
is byte for byte what a new service with the same answers has, and the user's files are what they
were.
"""

from __future__ import annotations

import compileall
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import copier
import pytest
import servers
import support
import yaml
from boot.fixtures import booting
from boot.harness import Ports
from update import edits
from update.history import NEXT, RELEASED, RELEASES

sys.path.insert(0, str(support.REPOSITORY / "scripts"))
import ownership

OWNERS = ownership.entries()
KEPT_IN_PYPROJECT = ('"tabulate>=0.9"', '"types-tabulate>=0.9"', 'version = "3.2.1"')
REWRITTEN = {
    "pyproject.toml": KEPT_IN_PYPROJECT,
    f"{edits.PACKAGE}/settings.py": ("orders_per_page: int = 20",),
}
"""What migrations rewrite of the user's, and what has to be in it all the same."""

ALL = {"database": "postgresql", "events": "redis", "auth": "jwt"}


class Case(NamedTuple):
    """A service of a release, and what is answered anew when it is updated."""

    version: str
    answers: dict[str, str]
    anew: dict[str, str] | None = None
    boots: bool = False

    def __str__(self) -> str:
        given = [f"{name}={value}" for name, value in self.answers.items()]
        anew = [f"{name}:={value}" for name, value in (self.anew or {}).items()]
        return " ".join([self.version, *given, *anew])


def cases() -> Iterator[Case]:
    """Each release with its archetypes, its extremes and changes of answers."""
    for version in RELEASED:
        known = tuple(map(int, version[1:].split(".")))
        if known < (0, 2, 0):
            yield Case(version, {}, boots=True)
            yield Case(version, {"service_name": "payment-api", "workload": "cpu"})
            yield Case(version, {}, {"database": "sqlite"}, boots=True)
            continue
        yield Case(version, {"archetype": "minimal"}, boots=True)
        yield Case(version, {"archetype": "inference"}, boots=True)
        yield Case(version, {"archetype": "minimal"}, {"tracing": "yes", "deploy": "[compose]"})
        if known < (0, 3, 0):
            continue
        yield Case(version, {}, boots=True)
        yield Case(version, ALL, boots=True)
        yield Case(version, {}, {"database": "postgresql"}, boots=True)
        yield Case(version, ALL, {"tracing": "yes"}, boots=version == RELEASED[-1])
        yield Case(version, {"archetype": "inference", "database": "postgresql"})
        if known < (0, 4, 0):
            continue
        yield Case(version, ALL, {"deploy": "[compose]", "ci": "none"}, boots=True)
        yield Case(version, {"ci": "gitlab", "base_image": "slim"}, {"ci": "github"})


def migrations_due(version: str) -> list[str]:
    """What an update from this release runs."""
    after = tuple(map(int, version[1:].split(".")))
    return [
        name
        for one in RELEASES
        if tuple(map(int, one["version"].split("."))) > after
        for name in one.get("migrations", ())
    ]


def updated(case: Case, history: Path, folder: Path) -> tuple[Path, set[str], dict[str, Any]]:
    """The service after its update, the user's files, and what they held before."""
    project = support.render(history, folder, case.answers, vcs_ref=case.version)
    support.commit_all(project, "The service as it was generated")
    mine = edits.make_all(project)
    before = edits.content(project, mine)
    trusted = bool(migrations_due(case.version))
    if "deploy" in (case.anew or {}):
        by_make(project, case.anew or {}, trusted=trusted)
        return project, mine, before
    copier.run_update(
        project,
        data=case.anew or {},
        vcs_ref=NEXT,
        defaults=True,
        overwrite=True,
        unsafe=trusted,
        quiet=True,
    )
    return project, mine, before


def by_make(project: Path, anew: Mapping[str, str], *, trusted: bool) -> None:
    """Update by what `make update` runs, which keeps what copier would delete with a target."""
    script = support.REPOSITORY / "template/ballast/update.py"
    options = [f"--data={name}={value}" for name, value in anew.items()]
    if trusted:
        options.append("--trust")
    done = support.run(["python3", script, "--to", NEXT, *options], project, check=False)
    assert "In conflict" not in done.stdout + done.stderr
    kept = "deploy/kubernetes/overlays/production/settings.env"
    assert done.returncode == (1 if (project / kept).is_file() else 0), done.stdout + done.stderr


def files_of(project: Path) -> set[str]:
    """What git knows, or would."""
    listed = support.git(project, "ls-files", "-co", "--exclude-standard").splitlines()
    return {name for name in listed if (project / name).is_file()}


def is_templates(name: str) -> bool:
    """Whether the template keeps a file."""
    entry = ownership.owner_of(f"/{name}", OWNERS)
    return entry is not None and entry.owner == "template"


def assert_as_new(project: Path, history: Path, folder: Path) -> None:
    """What the template keeps is what a new service with these answers has, no more and no less."""
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    given = {name: value for name, value in answers.items() if not name.startswith("_")}
    new = support.render(history, folder, given, vcs_ref=NEXT)
    expected = {path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file()}
    kept = {name for name in files_of(project) if is_templates(name)}
    assert kept == {name for name in expected if is_templates(name)}
    for name in sorted(kept):
        assert (project / name).read_bytes() == (new / name).read_bytes(), name


def assert_mine(project: Path, before: Mapping[str, bytes | None]) -> None:
    """No file of the user's has changed, but for what migrations had to rewrite."""
    now = edits.content(project, set(before))
    changed = {name for name in before if now[name] != before[name]}
    assert changed <= set(REWRITTEN), changed
    for name in changed:
        text = (project / name).read_text("utf-8")
        for line in REWRITTEN[name]:
            assert line in text, f"{name} has lost {line}"


def assert_lists_are_mine(project: Path, before: str) -> None:
    """Of what `pyproject.toml` installs, all that the user hasn't written is the member."""
    had = tomllib.loads(before)
    has = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    for table, key in (("project", "dependencies"), ("dependency-groups", "dev")):
        mine = [one for one in had[table][key] if isinstance(one, str)]
        theirs = [one for one in has[table][key] if one not in mine]
        assert [one.partition("[")[0] for one in theirs] in ([], ["payment-api-ballast"])


def assert_tidy(project: Path) -> None:
    """Nothing is in conflict, and all of it is formatted, lint-free and compiles."""
    assert support.git(project, "ls-files", "--unmerged") == ""
    for name in files_of(project):
        assert not name.endswith(".rej")
        content = (project / name).read_bytes()
        assert not re.search(rb"^(<{7}|>{7}) ", content, re.MULTILINE), name
    support.run(["ruff", "format", "--check", "--no-cache", "."], project)
    support.run(["ruff", "check", "--no-cache", "."], project)
    assert compileall.compile_dir(project / "src", quiet=1, force=True)


@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_update(case: Case, history: Path, tmp_path: Path, ports: Ports) -> None:
    """It is updated; and, for some, installed, linted, tested, migrated and booted."""
    project, _, before = updated(case, history, tmp_path / "service")

    assert_mine(project, before)
    assert_lists_are_mine(project, (before["pyproject.toml"] or b"").decode())
    assert_as_new(project, history, tmp_path / "new")
    assert_tidy(project)
    if "database" in (case.anew or {}):  # by hand, as the documentation says
        shutil.copy2(tmp_path / "new/tests/conftest.py", project / "tests/conftest.py")
    if case.boots:
        assert_works(project, ports)


def assert_works(project: Path, ports: Ports) -> None:
    """Types hold, the user's tests pass, the database is migrated, and the user's route answers."""
    support.sync(project)
    support.run([".venv/bin/mypy"], project)
    tests = sorted(path.name for path in (project / "tests").glob("test_*.py"))
    support.run([".venv/bin/pytest", "-q", *(f"tests/{name}" for name in tests)], project)
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    with ExitStack() as stack:
        settings = {"WEB_CONCURRENCY": "2"}
        if answers.get("auth") == "jwt":
            settings |= {
                "JWT_ALGORITHMS": "HS256",
                "JWT_SECRET_KEY": "x" * 40,
                "JWT_ISSUER": "https://issuer.example",
                "JWT_AUDIENCE": "payments",
            }
        if answers.get("database") == "postgresql":
            server = stack.enter_context(servers.postgres())
            settings["DATABASE_URL"] = server.create("service")
        elif answers.get("database") == "sqlite":
            settings["DATABASE_URL"] = f"sqlite:///{project}/data/service.db"
            (project / "data").mkdir()
        if answers.get("events") == "redis":
            settings["REDIS_URL"] = stack.enter_context(servers.redis()).url()
        if answers.get("database", "none") != "none":
            environment = [f"{name}={value}" for name, value in settings.items()]
            support.run(["env", *environment, ".venv/bin/alembic", "upgrade", "heads"], project)
        boot = stack.enter_context(booting(project, ports))
        service = boot(**settings)
        reply = service.ask("/orders/7")
        assert reply.json() == {"number": 7}
        assert reply.headers["x-answered-by"] == "us"
        assert service.stop() == 0
