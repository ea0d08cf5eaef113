"""Migrations: they carry over what users have written, or say why they can't and change nothing."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sessions
import support

sys.path.insert(0, str(support.REPOSITORY / "hooks/migrations"))
import archetype
import settings
import steps
import workspace

MIGRATIONS = support.REPOSITORY / "hooks/migrations"
ANSWERS = "# Made by copier.\n_commit: v0.2.0\npackage_name: payment_api\n"
PYPROJECT = """\
[project]
name = "payment-api"

# Yours, and never changed by an update: the version, and what your own code needs (`uv add`).
version = "0.1.0"
dependencies = []

[dependency-groups]
# Yours as well (`uv add --dev`).
dev = [{ include-group = "tools" }]

# What the chassis runs on: kept by the template, installed with the service (see tool.uv).
chassis = [
    "fastapi>=0.165,<0.166",
    "gunicorn>=27,<28",
]

# What it is checked with: kept by the template.
tools = [
    "aiosqlite>=0.22,<0.23", # the chassis' tests need no server
    "ruff>=0.17,<0.18",
]

[tool.uv]
default-groups = ["chassis", "dev"]

[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["src/payment_api"]

[tool.hatch.build.targets.wheel.force-include]
"src/payment_api/chassis/server/startup.pth" = "payment_api_startup.pth"
"""
SETTINGS = '''\
"""Settings of your own."""

from typing import ClassVar

from .answers import ANSWERS
from .chassis import Answers, ChassisSettings


class Settings(ChassisSettings):
    """What the service reads."""

    answers: ClassVar[Answers] = ANSWERS

    orders_per_page: int = 20
'''
NAMES = {"archetype.py": archetype, "settings.py": settings, "workspace.py": workspace}
SETTINGS_FILE = "src/payment_api/settings.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A service, as far as migrations read it, with its work committed."""
    (tmp_path / "src/payment_api").mkdir(parents=True)
    (tmp_path / steps.ANSWERS).write_text(ANSWERS)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / SETTINGS_FILE).write_text(SETTINGS)
    support.commit_all(tmp_path, "The service")
    return tmp_path


def migrate(project: Path, plan: Callable[[Path], steps.Plan]) -> steps.Plan:
    """Plan and carry out; a second plan has nothing to do."""
    planned = plan(project)
    steps.carry_out(project, planned)
    assert plan(project).write == {}
    return planned


def edited(project: Path, *replacements: tuple[str, str], name: str = "pyproject.toml") -> None:
    """Change a file as a user does."""
    text = (project / name).read_text("utf-8")
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    (project / name).write_text(text, "utf-8")


def migrated(project: Path) -> tuple[str, dict[str, Any]]:
    """The text of `pyproject.toml` after its migration, and what it says."""
    migrate(project, workspace.plan)
    text = (project / "pyproject.toml").read_text("utf-8")
    return text, tomllib.loads(text)


def files(project: Path) -> dict[str, bytes]:
    """What is there, but for git's own."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    }


# The commands


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_changes_nothing(name: str, project: Path) -> None:
    """It says what it would do; the command itself then does it, once."""
    before = files(project)
    dry = support.run(["python3", MIGRATIONS / name, "--dry-run"], project)
    after_dry = files(project)
    wet = support.run(["python3", MIGRATIONS / name], project)
    changed = files(project)
    support.commit_all(project, "Migrated")
    again = support.run(["python3", MIGRATIONS / name], project)

    assert dry.stdout.startswith("would change ")
    assert after_dry == before
    assert wet.stdout == dry.stdout.replace("would change", "changed")
    assert changed != before
    assert again.stdout == ""
    assert files(project) == changed


def test_the_page_on_hooks_shows_what_a_dry_run_says(project: Path) -> None:
    """As it is typed, in a service whose groups stand in its `pyproject.toml`."""
    command, printed = sessions.typed(support.REPOSITORY / "hooks/README.md", "--dry-run")
    here = command.replace("<this repository>", str(support.REPOSITORY))

    done = support.run(["bash", "-c", here], project)

    assert done.stdout.splitlines() == printed


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_committed_is_not_touched(name: str, project: Path) -> None:
    """By hand, that is; copier has looked before it runs one."""
    (project / "notes.txt").write_text("not committed\n")
    before = files(project)

    refused = support.run(["python3", MIGRATIONS / name], project, check=False)
    unchanged = files(project)
    by_copier = support.run(["env", "STAGE=before", "python3", MIGRATIONS / name], project)

    assert refused.returncode == 1
    assert refused.stderr == (
        f"{name}: there are changes that aren't committed: commit or stash them\n"
    )
    assert unchanged == before
    assert by_copier.stdout.startswith("changed ")


@pytest.mark.parametrize("name", NAMES)
def test_another_folder_is_refused_in_a_line(name: str, tmp_path: Path) -> None:
    """Neither outside of git nor outside of a service is there a traceback."""
    outside = support.run(["python3", MIGRATIONS / name], tmp_path, check=False)
    support.commit_all(tmp_path, "Nothing")
    empty = support.run(["python3", MIGRATIONS / name], tmp_path, check=False)

    for done, said in ((outside, "git says: "), (empty, "is missing: run it in the")):
        assert done.returncode == 1
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


# All or nothing


def whole(project: Path) -> steps.Plan:
    """A plan that moves a folder and a file, makes a file and changes two."""
    return steps.Plan(
        move={"src/payment_api": "src/app", "pyproject.toml": "deep/down/pyproject.toml"},
        write={"src/app/settings.py": "new\n", "brand/new.py": "new\n", steps.ANSWERS: "new\n"},
    )


def test_a_plan_is_carried_out_as_a_whole(project: Path) -> None:
    """Files are moved with what is in them, and written at their new places."""
    steps.carry_out(project, whole(project))

    assert files(project) == {
        ".copier-answers.yml": b"new\n",
        "brand/new.py": b"new\n",
        "deep/down/pyproject.toml": PYPROJECT.encode(),
        "src/app/settings.py": b"new\n",
    }


@pytest.mark.parametrize("failing", range(1, 6))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_step_that_fails_undoes_all(
    failing: int, error: BaseException, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the disk gets full, or somebody presses Ctrl-C."""
    before = files(project)
    calls = 0

    def fails_at(function: Callable[..., Any]) -> Callable[..., Any]:
        def replacement(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise error
            return function(*arguments)

        return replacement

    for name in ("rename", "replace"):
        monkeypatch.setattr(Path, name, fails_at(getattr(Path, name)))
    expected = steps.CannotMigrateError if isinstance(error, OSError) else KeyboardInterrupt

    with pytest.raises(expected):
        steps.carry_out(project, whole(project))

    assert calls >= failing
    assert files(project) == before
    assert support.git(project, "status", "--porcelain") == ""
    assert not (project / "deep").exists()


def test_a_disk_that_is_full_has_changed_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All new contents are written beside the old before one is replaced."""
    before = files(project)
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name.startswith(".copier"):
            write(path, content[:1])
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)

    with pytest.raises(steps.CannotMigrateError, match=r"No space left.*; nothing was changed"):
        steps.carry_out(project, whole(project))

    assert files(project) == before


def test_a_place_that_is_taken_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is moved."""
    (project / "src/app").mkdir()
    (project / "src/app/mine.py").touch()
    support.commit_all(project, "Mine")
    before = files(project)
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "argv", ["v9.py"])

    with pytest.raises(SystemExit, match=r"v9\.py: src/payment_api is to be moved to src/app,"):
        steps.run(whole)

    assert files(project) == before


def test_ends_of_lines_and_modes_stay(project: Path) -> None:
    """A file that ends its lines as Windows does, or may be run, goes on doing so."""
    path = project / "pyproject.toml"
    path.write_bytes(PYPROJECT.replace("\n", "\r\n").encode())
    path.chmod(0o755)

    migrate(project, workspace.plan)

    content = path.read_bytes()
    assert b"payment-api-ballast" in content
    assert content.count(b"\n") == content.count(b"\r\n")
    assert os.access(path, os.X_OK)


# pyproject.toml


def test_the_groups_of_the_template_move(project: Path) -> None:
    """What is left is what a new service has; the template's comments on them go as well."""
    text, _ = migrated(project)

    assert (
        text
        == """\
[project]
name = "payment-api"

version = "0.1.0"
dependencies = [
    "payment-api-ballast",
]

[dependency-groups]
dev = [
    "payment-api-ballast[tools]",
]

[tool.uv.workspace]
members = [
    "ballast",
]

[tool.uv.sources]
payment-api-ballast = { workspace = true }

[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["src/payment_api"]
"""
    )


def test_what_the_user_has_added_stays_with_its_comments(project: Path) -> None:
    """In their own lists where it is; out of the template's it moves into theirs."""
    edited(
        project,
        (
            "dependencies = []",
            'dependencies = [\n    # for tables [of orders]\n    "tabulate>=0.9", # ours\n'
            '    "rich"\n    # until 2030\n]',
        ),
        (
            'dev = [{ include-group = "tools" }]',
            'dev = [\n    "types-tabulate", # "quoted"\n    { include-group = "tools" },\n]',
        ),
        (
            '    "gunicorn>=27,<28",\n',
            '    "gunicorn>=27,<28",\n    # for money ]\n    "stripe>=1", # ours\n',
        ),
        ('    "ruff>=0.17,<0.18",\n', '    "ruff>=0.17,<0.18",\n    "coverage",\n'),
    )

    text, document = migrated(project)

    assert document["project"]["dependencies"] == [
        "tabulate>=0.9",
        "rich",
        "stripe>=1",
        "payment-api-ballast",
    ]
    assert document["dependency-groups"] == {
        "dev": ["types-tabulate", "coverage", "payment-api-ballast[tools]"]
    }
    for line in (
        '    # for tables [of orders]\n    "tabulate>=0.9", # ours\n',
        '    "rich",\n    # until 2030\n',
        '    "types-tabulate", # "quoted"\n',
        '    # for money ]\n    "stripe>=1", # ours\n',
    ):
        assert line in text


def test_a_bound_that_the_user_has_changed_stays_and_is_told(project: Path) -> None:
    """It counts beside the template's, which may move on."""
    edited(project, ("fastapi>=0.165,<0.166", "fastapi==0.165.2"))

    planned = migrate(project, workspace.plan)

    assert (
        '    "fastapi==0.165.2",\n    "payment-api-ballast",\n' in planned.write["pyproject.toml"]
    )
    assert planned.notes == [
        "pyproject.toml: `fastapi==0.165.2` counts beside what ballast/pyproject.toml asks for;"
        " take it away if you don't need it"
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dependencies = []", "dependencies = ['tabulate>=0.9', \"rich\"]"),
        ("dependencies = []", "dependencies=[ 'tabulate>=0.9' , 'rich' ] # ours"),
        ("dependencies = []", "dependencies = [\n  'tabulate>=0.9',\n  'rich' ]"),
        ("dependencies = []", "dependencies = [ # ours\n\t'tabulate>=0.9', 'rich'\n]"),
    ],
    ids=["quotes", "spaces", "bracket-at-the-end", "two-on-a-line"],
)
def test_other_ways_to_write_a_list(old: str, new: str, project: Path) -> None:
    """Single quotes, one line, comments on brackets."""
    edited(project, (old, new))

    text, document = migrated(project)

    expected = ["tabulate>=0.9", "rich", "payment-api-ballast"]
    assert document["project"]["dependencies"] == expected
    assert ("# ours" in text) == ("# ours" in new)


def test_groups_of_the_user_are_kept(project: Path) -> None:
    """Also those that are defaults, and those that include one that goes."""
    edited(
        project,
        (
            "# What it is checked with",
            'docs = ["zensical"]\ncheck = [\n    { include-group = "tools" },\n    "vulture",\n]\n'
            "# What it is checked with",
        ),
        ('["chassis", "dev"]', '["chassis", "dev", "docs"]'),
    )

    _, document = migrated(project)

    assert document["dependency-groups"] == {
        "dev": ["payment-api-ballast[tools]"],
        "docs": ["zensical"],
        "check": ["vulture", "payment-api-ballast[tools]"],
    }
    assert document["tool"]["uv"]["default-groups"] == ["dev", "docs"]


def test_tables_of_the_user_are_kept(project: Path) -> None:
    """A workspace, sources and settings of uv, files in the wheel, and tables of other tools."""
    edited(
        project,
        ("[tool.uv]\n", '[tool.uv]\npackage = true # yes\nindex-strategy = "first-index"\n'),
        ('_startup.pth"\n', '_startup.pth"\n"data.csv" = "data.csv"\n'),
        (
            "[build-system]",
            '[tool.uv.workspace]\nmembers = ["libs/*"]\n\n[tool.uv.sources]\n'
            'mine = { path = "libs/mine" }\n\n[tool.other]\nmatrix = [\n    ["a", "b"],\n]\n\n'
            "[build-system]",
        ),
    )

    text, document = migrated(project)

    uv = document["tool"]["uv"]
    assert uv["workspace"]["members"] == ["libs/*", "ballast"]
    assert uv["sources"] == {
        "payment-api-ballast": {"workspace": True},
        "mine": {"path": "libs/mine"},
    }
    assert uv["index-strategy"] == "first-index"
    assert "package = true # yes\n" in text
    assert document["tool"]["other"] == {"matrix": [["a", "b"]]}
    assert document["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {
        "data.csv": "data.csv"
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[project]", "[project", "can't be read"),
        ("chassis = [", "'chassis' = [", "isn't understood"),
        ("[dependency-groups]", "[ dependency-groups ]", "can't be rewritten"),
        ('    "gunicorn>=27,<28",', '    """gunicorn>=27,<28""",', "isn't understood"),
        ("chassis = [", 'chassis = [\n    { include-group = "x" },', "includes another"),
        ("[tool.uv]\n", '[tool.uv]\nsources = { a = { path = "a" } }\n', "can't be rewritten"),
        (
            "[dependency-groups]\n",
            '[dependency-groups]\nodd = [\n["x"][0],\n]\n',
            "can't be read",
        ),
    ],
)
def test_what_is_not_understood_is_refused(old: str, new: str, said: str, project: Path) -> None:
    """In a line that says what to do, and nothing is changed."""
    edited(project, (old, new))
    support.commit_all(project, "In our own way")
    before = files(project)

    done = support.run(["python3", MIGRATIONS / "workspace.py"], project, check=False)

    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert files(project) == before


@pytest.mark.parametrize("quoted", ["'yes'", '"on"'])
def test_a_package_whose_name_is_quoted_is_found(quoted: str, project: Path) -> None:
    """YAML quotes what could be something else than a text."""
    edited(project, ("payment_api", quoted), name=steps.ANSWERS)

    assert steps.package_of(project) == quoted[1:-1]


# settings.py


def test_settings_derive_from_the_answers(project: Path) -> None:
    """What only the old base needed goes; what the user has added stays."""
    migrate(project, settings.plan)

    assert (
        (project / SETTINGS_FILE).read_text("utf-8")
        == '''\
"""Settings of your own."""

from .answers import AnsweredSettings


class Settings(AnsweredSettings):
    """What the service reads."""

    orders_per_page: int = 20
'''
    )


def test_imports_of_the_user_are_kept(project: Path) -> None:
    """Beside those that go, and where the user needs what the old base needed."""
    edited(
        project,
        ("from typing import ClassVar\n", "from typing import Annotated, ClassVar\n"),
        ("import Answers, ChassisSettings\n", "import Answers, ChassisSettings, Secret\n"),
        ("int = 20\n", "Annotated[int, Secret] = 20\n    pages: ClassVar[int] = 3\n"),
        name=SETTINGS_FILE,
    )

    migrate(project, settings.plan)

    text = (project / SETTINGS_FILE).read_text("utf-8")
    assert "from typing import Annotated, ClassVar\n" in text
    assert "from .chassis import Secret\n" in text
    assert "orders_per_page: Annotated[int, Secret] = 20\n    pages: ClassVar[int] = 3\n" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("class Settings(ChassisSettings):", "class OurSettings(ChassisSettings):"),
        ("class Settings(ChassisSettings):", "class Settings(ChassisSettings, Extra):"),
        ("from .answers import ANSWERS\n", "from . import answers as given\n"),
    ],
)
def test_settings_that_are_others_are_left_to_the_user(old: str, new: str, project: Path) -> None:
    """They are told what to do."""
    edited(project, (old, new), name=SETTINGS_FILE)

    planned = settings.plan(project)

    assert planned.write == {}
    assert planned.notes == [f"{SETTINGS_FILE}: derive Settings from AnsweredSettings, of .answers"]


# The answers


def test_a_service_from_before_archetypes_is_a_minimal_one(project: Path) -> None:
    """The answer is written down, and the others stay; one that is there is left alone."""
    migrate(project, archetype.plan)

    assert (project / steps.ANSWERS).read_text("utf-8") == f"{ANSWERS}archetype: minimal\n"
