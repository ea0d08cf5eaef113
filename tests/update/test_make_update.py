"""`make update`: what it says before and after, and that it never leaves a tree half done."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import docs_code
import pytest
import sessions
import support
from update import edits
from update.history import NEXT, RELEASED, copy_of

LATER = "v99.0.0"
PAGE = support.REPOSITORY / "docs/updates.md"
HOOKS = support.REPOSITORY / "hooks/README.md"


@pytest.fixture
def template(history: Path, tmp_path: Path) -> Path:
    """A clone of the template that a test may add releases to."""
    return copy_of(history, tmp_path / "template")


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A service of the release that is being made, with the user's work."""
    folder = support.render(template, tmp_path / "service", vcs_ref=NEXT)
    support.commit_all(folder, "The service as it was generated")
    return folder


def release(template: Path, tag: str = LATER) -> None:
    """Release a change of a file that the template keeps."""
    sizing = template / "template/src/{{package_name}}/chassis/capacity/sizing.py"
    edits.append(sizing, '\n\nNEW_IN_THIS_RELEASE = "yes"\n')
    support.commit_all(template, "The next release", tag)


def announce(template: Path, version: str, **fields: object) -> None:
    """Write into the table of releases what the next one asks."""
    lines = "".join(f"{name} = {toml(value)}\n" for name, value in fields.items())
    edits.append(template / "releases.toml", f'\n[[release]]\nversion = "{version}"\n{lines}')


def toml(value: object) -> str:
    """A list or a table of texts as TOML has it."""
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items()) + " }"
        )
    return json.dumps(value)


def make(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make in a service."""
    return support.run(["make", "--no-print-directory", *words], project, check=False)


def type_as_shown(project: Path, part: str, *before: str) -> subprocess.CompletedProcess[str]:
    """Type the page's command with this in it, or in what it prints, and compare what is printed.

    The releases are those of these tests; how many lines of a file have changed is another day's.
    """
    steps = [it for it in sessions.steps(PAGE.read_text("utf-8")) if isinstance(it, sessions.Step)]
    (step,) = (it for it in steps if part in "\n".join([str(it.command), *it.printed]))
    assert step.command is not None
    done = support.run(shlex.split(step.command), project, check=False)
    here = {
        r"0\.6\.0": LATER[1:],
        r"0\.5\.0": NEXT[1:],
        r"\| +\d+ [+-]+$": "| ...",
        r"\d+ files changed, .*": "4 files changed, ...",
    }
    expected = list(filter(None, step.printed))
    for old, new in here.items():
        expected = [re.sub(old, new, line) for line in expected]
    sessions.aligned(expected, list(filter(None, done.stdout.splitlines())))
    return done


def state(project: Path) -> str:
    """What is different from the last commit."""
    return support.git(project, "status", "--porcelain")


def test_it_says_what_has_changed_and_what_is_left_to_do(template: Path, project: Path) -> None:
    """Breaking changes before, manual steps after; and the change is there."""
    asked = {"breaking": ["the sky is green"], "manual": ["paint it blue"]}
    announce(template, LATER[1:], **asked, renames={"DAY": "NIGHT"})
    edits.append(template / "template/Makefile.jinja", "\n# New in this release.\n")
    release(template)

    done = type_as_shown(project, "is different")

    assert done.returncode == 0, done.stderr
    assert f"{LATER[1:]} is different: the sky is green" in done.stdout
    assert f"{LATER[1:]} renames DAY to NIGHT" in done.stdout
    assert f"Left to do, since {LATER[1:]}: paint it blue" in done.stdout
    assert "chassis/capacity/sizing.py" in done.stdout
    assert "NEW_IN_THIS_RELEASE" in (
        project / edits.PACKAGE / "chassis/capacity/sizing.py"
    ).read_text("utf-8")


def test_it_knows_when_there_is_nothing_new(project: Path) -> None:
    """Neither an update nor a check finds anything, and nothing changes."""
    update, check = make(project, "update"), make(project, "update-check")

    assert (update.returncode, check.returncode) == (0, 0)
    assert update.stdout == check.stdout == f"{NEXT} is the newest release.\n"
    assert state(project) == ""


def test_a_wrong_answer_is_told_in_a_line(project: Path) -> None:
    """Copier ends in a traceback; what counts of it is its last line."""
    done = make(project, "update", "ARGS=--data auth=magic")

    assert done.returncode != 0
    assert "'magic' is not in ['none', 'jwt']" in done.stderr
    assert "Traceback" not in done.stderr
    assert state(project) == ""


def test_an_answer_can_be_changed_without_a_newer_release(project: Path) -> None:
    """What copier's options ask for is done, whether there is a newer release or not.

    It ends with what the page has one type then, which shows a service of the new answers.
    """
    done = make(project, "update", "ARGS=--data tracing=true")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"From {NEXT} to {NEXT}." in done.stdout
    assert "tracing: true" in (project / ".copier-answers.yml").read_text("utf-8")

    block = docs_code.shown(PAGE, "../fresh")
    here = block.replace("v0.1.0", NEXT).replace("<template>", str(project.parent / "template"))
    copy, compare, take = here.splitlines()
    assert f"  {copy}\n  {compare}\n" in done.stdout.replace("\\\n      ", "")
    support.commit_all(project, "With another answer")
    support.run([sys.executable, "-m", *shlex.split(copy)[1:]], project)  # without uvx
    edits.append(project / "tests/conftest.py", "\n# ours\n")
    assert "< # ours" in support.run(["bash", "-c", compare], project, check=False).stdout
    support.run(["bash", "-c", take], project)
    assert state(project) == "", "all of it is that of the new answers"


def test_a_check_says_that_there_is_something_new(template: Path, project: Path) -> None:
    """For a pipeline: it fails, names the release and changes nothing."""
    release(template)

    done = type_as_shown(project, "is there, this is")

    assert done.returncode != 0
    assert state(project) == ""


def test_it_wants_a_committed_tree(template: Path, project: Path) -> None:
    """Otherwise nobody could tell the update's changes from their own."""
    release(template)
    edits.append(project / "README.md", "\nNot committed.\n")

    done = make(project, "update")

    assert done.returncode != 0
    assert "There are changes that aren't committed" in done.stderr
    assert state(project) == "M README.md"


def test_it_says_what_it_would_run_before_it_is_trusted(history: Path, tmp_path: Path) -> None:
    """A release with a migration: nothing happens until the user has agreed."""
    project = support.render(history, tmp_path / "service", {"archetype": "minimal"}, RELEASED[1])
    support.commit_all(project, "The service as it was generated")
    # It has no `make update` yet: the page has three lines for it.
    typed = docs_code.shown(PAGE, "git clone").replace("<template>", str(history)).splitlines()

    support.run(["bash", "-c", typed[0]], project)
    refused = support.run(["bash", "-c", typed[1]], project, check=False)
    untouched = state(project)
    done = support.run(["bash", "-c", typed[2]], project, check=False)

    assert len(typed) == 3
    assert refused.returncode == 1
    assert "0.5.0 runs hooks/migrations/workspace.py, which moves the groups" in refused.stdout
    assert "make update TRUST=1" in refused.stdout
    assert untouched == ""
    assert done.returncode == 0, done.stderr
    assert (project / "ballast/pyproject.toml").is_file()


def test_a_migration_is_declared_as_the_page_on_hooks_says() -> None:
    """As the one that was run above is."""
    said = "moves the groups `chassis` and `tools` out of pyproject.toml"
    example = {"v2.0.0": "v0.5.0", "name.py": "workspace.py", "does this and that": said}
    for file in ("copier.yml", "releases.toml"):
        _, *lines = docs_code.shown(HOOKS, f"# {file}").splitlines()
        declared = "\n".join(line for line in lines if line != "_migrations:")
        for old, new in example.items():
            declared = declared.replace(old, new)
        assert f"\n{declared}\n" in (support.REPOSITORY / file).read_text("utf-8")


def test_zero_is_no_trust(template: Path, project: Path) -> None:
    """`TRUST=0` says the opposite of `TRUST=1`: the same as nothing."""
    announce(template, LATER[1:], migrations={"sky.py": "paints the sky"})
    release(template)

    silent = type_as_shown(project, "runs hooks")
    done = make(project, "update", "TRUST=0")

    assert done.returncode == silent.returncode != 0
    assert done.stdout == silent.stdout
    assert f"{LATER[1:]} runs hooks/migrations/sky.py, which paints the sky" in done.stdout
    assert "Nothing has been changed." in done.stdout
    assert state(project) == ""


def test_a_conflict_is_listed_and_fails(template: Path, project: Path) -> None:
    """A file of the template's that the user has edited in the same place; and git undoes it."""
    gunicorn = project / "gunicorn.conf.py"
    edits.replace(gunicorn, "preload_app = True", "preload_app = False  # ours")
    support.commit_all(project, "Our own work")
    edits.replace(
        template / "template/gunicorn.conf.py.jinja",
        "preload_app = True",
        "preload_app = True  # new",
    )
    release(template)

    done = make(project, "update")

    assert done.returncode != 0
    assert "In conflict: both you and the template" in done.stdout
    assert "\n  gunicorn.conf.py\n" in done.stdout
    text = gunicorn.read_text("utf-8")
    page = (support.REPOSITORY / "docs/updates.md").read_text("utf-8")
    listed, both, undo = (
        next(it.code for it in docs_code.fences(page) if it.code.startswith(part))
        for part in ("In conflict", "<<<<<<<", "git reset")
    )
    assert listed in done.stdout
    assert both in text

    assert state(project) != ""
    support.run(["bash", "-c", undo], project)
    assert state(project) == ""
    assert "# ours" in gunicorn.read_text("utf-8")


def test_a_file_with_edits_that_the_template_drops_is_kept(template: Path, project: Path) -> None:
    """Copier deletes it silently; here it stays, and the user is told."""
    edits.append(project / f"{edits.PACKAGE}/chassis/timed_block.py", "\n# ours\n")
    support.commit_all(project, "Our own work")
    (template / "template/src/{{package_name}}/chassis/timed_block.py").unlink()
    release(template)

    done = make(project, "update")

    assert done.returncode != 0
    assert "kept, for what you changed in them" in done.stdout
    assert f"\n  {edits.PACKAGE}/chassis/timed_block.py\n" in done.stdout
    assert (project / edits.PACKAGE / "chassis/timed_block.py").read_text().endswith("# ours\n")


def test_a_file_with_edits_that_the_template_renames_is_kept(template: Path, project: Path) -> None:
    """To git it is a rename; to copier the old file is gone, and what the user wrote into it."""
    edits.append(project / f"{edits.PACKAGE}/chassis/timed_block.py", "\n# ours\n")
    support.commit_all(project, "Our own work")
    chassis = template / "template/src/{{package_name}}/chassis"
    (chassis / "timed_block.py").rename(chassis / "measured_block.py")
    release(template)

    done = make(project, "update")

    assert done.returncode != 0
    assert f"\n  {edits.PACKAGE}/chassis/timed_block.py\n" in done.stdout
    assert (project / edits.PACKAGE / "chassis/timed_block.py").read_text().endswith("# ours\n")
    assert (project / edits.PACKAGE / "chassis/measured_block.py").is_file()


def test_a_service_in_a_folder_of_a_repository(template: Path, tmp_path: Path) -> None:
    """Git names files from the repository's top; a conflict and a file that is gone are found."""
    repository = tmp_path / "repository"
    project = support.render(template, repository / "services/payments", vcs_ref=NEXT)
    edits.append(project / f"{edits.PACKAGE}/chassis/timed_block.py", "\n# ours\n")
    gunicorn = project / "gunicorn.conf.py"
    edits.replace(gunicorn, "preload_app = True", "preload_app = False  # ours")
    support.commit_all(repository, "All of it")
    (template / "template/src/{{package_name}}/chassis/timed_block.py").unlink()
    edits.replace(
        template / "template/gunicorn.conf.py.jinja",
        "preload_app = True",
        "preload_app = True  # new",
    )
    release(template)

    done = make(project, "update")

    assert done.returncode != 0
    assert "\n  gunicorn.conf.py\n" in done.stdout, done.stderr
    assert f"\n  {edits.PACKAGE}/chassis/timed_block.py\n" in done.stdout
    assert (project / edits.PACKAGE / "chassis/timed_block.py").is_file()


def test_a_file_that_is_gone_without_edits_is_no_matter(template: Path, project: Path) -> None:
    """What the template has dropped, and nobody has touched, goes quietly."""
    (template / "template/src/{{package_name}}/chassis/timed_block.py").unlink()
    release(template)

    done = make(project, "update")

    assert done.returncode == 0, done.stdout + done.stderr
    assert not (project / f"{edits.PACKAGE}/chassis/timed_block.py").exists()


def test_a_migration_that_fails_leaves_everything_as_it_was(history: Path, tmp_path: Path) -> None:
    """It says what is wrong and how to mend it, and the tree is the one before."""
    project = support.render(history, tmp_path / "service", {"archetype": "minimal"}, RELEASED[0])
    (project / "pyproject.toml").write_text("this is no TOML\n")
    support.commit_all(project, "Something has gone wrong here")
    script = support.REPOSITORY / "template/ballast/update.py"

    done = support.run(["python3", script, "--trust"], project, check=False)

    assert done.returncode == 1
    assert "pyproject.toml can't be read" in done.stderr
    assert "Everything is as it was." in done.stderr
    assert state(project) == ""


def slow_copier(folder: Path, then: str) -> dict[str, str]:
    """An environment whose copier has begun to write when something happens to it."""
    program = folder / "bin/copier"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho half > Makefile\necho new > brand_new\n{then}\n")
    program.chmod(0o755)
    environment = support.clean_environment()
    return environment | {"PATH": f"{program.parent}{os.pathsep}{environment['PATH']}"}


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("sleep 60", "Interrupted; everything is as it was."),
        ("echo 'No space left on device' >&2; exit 1", "No space left on device"),
    ],
    ids=["interrupted", "full-disk"],
)
def test_an_update_under_way_that_ends_is_undone(
    then: str, said: str, template: Path, project: Path, tmp_path: Path
) -> None:
    """Ctrl-C, or a disk that is full: every file is the one before."""
    release(template)
    process = subprocess.Popen(
        # uv would put its Python's own folder, and a copier there, before the one of this test.
        ["make", "--no-print-directory", "update", "BALLAST=python3"],
        cwd=project,
        env=slow_copier(tmp_path, then),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if "sleep" in then:
        wait_for(project / "brand_new")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=60)

    assert process.returncode != 0
    assert said in told
    assert "as it was" in told
    assert "Traceback" not in told
    assert state(project) == ""


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{path} isn't there"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ("", "doesn't say '_src_path'"),
        ("_src_path: /nowhere/at/all\n_commit: v0.1.0\n", "/nowhere/at/all"),
    ],
)
def test_what_cannot_be_updated_is_told_in_a_line(answers: str, said: str, tmp_path: Path) -> None:
    """Without the template's address, or with one that leads nowhere."""
    (tmp_path / ".copier-answers.yml").write_text(answers)
    script = support.REPOSITORY / "template/ballast/update.py"

    done = support.run(["python3", script], tmp_path, check=False)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
