"""What the test tiers share: a tagged clone of the template, rendering, installing, running.

Plain functions, so that scripts and fixtures of any tier can call them; the fixtures stand in
`conftest.py`.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import copier
import pytest
from uv import find_uv_bin

REPOSITORY = Path(__file__).resolve().parent.parent
FIRST_TAG = "v1.0.0"
"""Of a template in a test; after all releases, whose migrations aren't due then."""

Answers = Mapping[str, object]

EVERY_FEATURE: Mapping[str, str] = {
    "database": "postgresql",
    "events": "redis",
    "auth": "jwt",
    "tracing": "yes",
}
"""The answers of a service with all parts. The same ones wherever it is installed: once a run."""


def clean_environment() -> dict[str, str]:
    """The environment for tools that are run on a rendered project.

    Nothing of this repository's virtual environment or of the developer's git configuration
    leaks in, and uv uses the Python that runs the tests unless `UV_PYTHON` says otherwise.
    """
    leaks = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    kept = {name: value for name, value in os.environ.items() if name not in leaks}
    uv_folder = str(Path(find_uv_bin()).parent)
    kept["PATH"] = os.pathsep.join([uv_folder, kept.get("PATH", os.defpath)])
    return {
        "UV_PYTHON": sys.executable,
        "UV_LINK_MODE": "hardlink",
        "GIT_AUTHOR_NAME": "Ballast tests",
        "GIT_AUTHOR_EMAIL": "tests@example.com",
        "GIT_COMMITTER_NAME": "Ballast tests",
        "GIT_COMMITTER_EMAIL": "tests@example.com",
        **kept,
        "UV_PYTHON_DOWNLOADS": "never",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def run(
    command: Sequence[str | Path], cwd: Path, *, check: bool = True, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run `command` in `cwd` and capture its output; fail the test with that output if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode != 0:
        shown = " ".join(str(part) for part in command)
        pytest.fail(f"`{shown}` ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder` and return what it printed."""
    return run(["git", *arguments], folder).stdout.strip()


def commit_all(folder: Path, message: str, tag: str | None = None) -> None:
    """Commit everything in `folder` (made a repository if it isn't one), and tag it."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", f"--message={message}")
    if tag is not None:
        git(folder, "tag", tag)


def copy_template(destination: Path) -> Path:
    """Copy what git tracks or would track, as it stands in the working tree."""
    listed = git(REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        source, target = REPOSITORY / name, destination / name
        if source.is_file():  # it may be deleted in the working tree
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return destination


def clone_template(destination: Path, tag: str = FIRST_TAG) -> Path:
    """Make a clean repository of the template as it stands, uncommitted edits included, and tag it.

    Copier renders tags, and an untagged or dirty source behaves differently from what users get.
    """
    commit_all(copy_template(destination), "The template as it stands", tag)
    return destination


def render(
    source: Path, destination: Path, answers: Answers | None = None, vcs_ref: str | None = None
) -> Path:
    """Render `source` into `destination` as a user does: with defaults, and without trust."""
    copier.run_copy(
        str(source),
        destination,
        data={name: str(value) for name, value in (answers or {}).items()},
        vcs_ref=vcs_ref,
        defaults=True,
        unsafe=False,
        quiet=True,
    )
    return destination


def sync(project: Path) -> None:
    """Install the rendered `project` with its development tools into its own `.venv`."""
    run(["uv", "sync", "--quiet"], project)


def require_engine(name: str) -> str:
    """The path of a program that a test needs; missing, it skips the test, but fails it in CI."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} isn't installed"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true makes that a failure")
    pytest.skip(reason)


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold `path` as a lock between processes (the workers of pytest-xdist)."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build_once(folder: Path, build: Callable[[Path], object]) -> Path:
    """Return `folder`, filled by `build` if no other test process has done so yet."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    done = folder.with_name(f"{folder.name}.done")
    with file_lock(folder.with_name(f"{folder.name}.lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            build(folder)
            done.touch()
    return folder
