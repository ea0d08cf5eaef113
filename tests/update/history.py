"""The releases that there were and the one that is being made: a clone of the template, tagged."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import support

RELEASES: list[dict[str, Any]] = tomllib.loads(
    (support.REPOSITORY / "releases.toml").read_text("utf-8")
)["release"]
RELEASED = [f"v{one['version']}" for one in reversed(RELEASES) if "commit" in one]
"""The tags of what was released, oldest first."""


def next_tag() -> str:
    """What the working tree would be released as."""
    newest = RELEASES[0]["version"]
    if "commit" not in RELEASES[0]:
        return f"v{newest}"
    major, minor, patch = newest.split(".")
    return f"v{major}.{minor}.{int(patch) + 1}"


NEXT = next_tag()


def clone_with_history(destination: Path) -> Path:
    """The repository with a tag on each release, and on the working tree as it stands."""
    try:
        # Their tags are made below; a repository in which a release was made has them already.
        clone = ["git", "clone", "--quiet", "--no-tags", str(support.REPOSITORY), str(destination)]
        subprocess.run(clone, capture_output=True, check=True)
        for one in RELEASES:
            if "commit" in one:
                support.git(destination, "cat-file", "-e", one["commit"])
    except (subprocess.CalledProcessError, pytest.fail.Exception):
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("the repository's history isn't there: a release can't be checked out")
    for name in support.git(destination, "ls-files").splitlines():
        (destination / name).unlink()
    support.copy_template(destination)
    support.commit_all(destination, "The next release")
    for one in RELEASES:
        if "commit" in one:
            support.git(destination, "tag", f"v{one['version']}", one["commit"])
    support.git(destination, "tag", NEXT)
    return destination


def copy_of(history: Path, destination: Path) -> Path:
    """A clone that a test may add releases to."""
    shutil.copytree(history, destination)
    return destination
