"""`make release`: what it refuses, and what it leaves behind."""

from __future__ import annotations

import datetime
import re
import shlex
import sys
from pathlib import Path

import pytest
import sessions
import support

sys.path.insert(0, str(support.REPOSITORY / "scripts"))
import release

CHANGELOG = """# Changelog

## [Unreleased]

### Added

- A thing.

## [0.1.0] - 2026-01-01

- All of it.
"""
TABLE = """# Releases.

[[release]]
version = "0.2.0"
breaking = ["a thing"]

[[release]]
version = "0.1.0"
date = 2026-01-01
commit = "abc"
"""
TODAY = datetime.date(2026, 3, 4)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that is ready to be released."""
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "releases.toml").write_text(TABLE)
    support.commit_all(tmp_path, "All of it")
    return tmp_path


def test_a_release_is_tagged_dated_and_written_down(repository: Path) -> None:
    """The tag stands on the commit with the heading; the commit after it says which one that is."""
    assert release.check(repository, "0.2.0") == "### Added\n\n- A thing."

    release.release(repository, "0.2.0", TODAY)

    tagged = support.git(repository, "rev-parse", "v0.2.0^{commit}")
    assert tagged == support.git(repository, "rev-parse", "HEAD~1")
    assert release.table(repository)[0] == {
        "version": "0.2.0",
        "date": TODAY,
        "commit": tagged,
        "breaking": ["a thing"],
    }
    text = (repository / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]\n\n## [0.2.0] - 2026-03-04\n\n### Added\n" in text
    assert support.git(repository, "status", "--porcelain") == ""


def test_the_command_of_the_page_releases(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What it makes make run does all that, after the tests; its last line publishes it."""
    typed, _ = sessions.typed(support.REPOSITORY / "docs/releasing.md", "make release")
    makes = support.run(["make", "--dry-run", *shlex.split(typed)[1:]], support.REPOSITORY)
    (arguments,) = re.findall(r"^\S+/python scripts/release\.py (.+)$", makes.stdout, re.MULTILINE)
    edited(repository, "releases.toml", '"0.2.0"', f'"{arguments}"')
    (repository / "Makefile").write_text("test:\n\t@echo tested\n")
    support.commit_all(repository, "Test it")
    support.git(repository, "clone", "--quiet", "--bare", ".", f"{repository}.git")
    support.git(repository, "remote", "add", "origin", f"{repository}.git")
    monkeypatch.setattr(release, "REPOSITORY", repository)

    assert release.main(shlex.split(arguments)) == 0

    told = capfd.readouterr().out
    assert "tested" in told.splitlines()  # a make within make says more than that
    made = support.git(repository, "rev-parse", f"v{arguments}^{{commit}}")
    assert made == release.table(repository)[0]["commit"]
    support.run(shlex.split(told.splitlines()[-1].partition("Publish it: ")[2]), repository)
    published = Path(f"{repository}.git")
    assert support.git(published, "rev-parse", f"v{arguments}^{{commit}}") == made
    assert support.git(published, "rev-parse", "main") == support.git(
        repository, "rev-parse", "HEAD"
    )


def test_a_release_is_made_once(repository: Path) -> None:
    """What has a commit was released."""
    release.release(repository, "0.2.0", TODAY)

    with pytest.raises(release.NotReadyError, match=r"has to be 0\.2\.0, without a commit"):
        release.check(repository, "0.2.0")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("v0.2.0", "is no version"),
        ("0.2", "is no version"),
        ("0.3.0", "has to be 0.3.0"),
    ],
)
def test_a_wrong_version_is_refused(version: str, said: str, repository: Path) -> None:
    """It has three numbers, and the table knows it."""
    with pytest.raises(release.NotReadyError, match=said):
        release.check(repository, version)


def edited(repository: Path, name: str, old: str, new: str) -> None:
    """Change a file and commit it."""
    path = repository / name
    assert old in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace(old, new))
    support.commit_all(repository, "Change it")


@pytest.mark.parametrize(
    "asked",
    [
        'breaking = ["a thing"]',
        'manual = ["a step"]',
        'renames = { OLD = "NEW" }',
        'migrations = { "a.py" = "moves it" }',
    ],
)
def test_what_asks_something_needs_another_number(asked: str, repository: Path) -> None:
    """A patch release asks nothing of anybody."""
    edited(repository, "releases.toml", '"0.2.0"\nbreaking = ["a thing"]', f'"0.1.1"\n{asked}')

    with pytest.raises(release.NotReadyError, match=rf"asks something .*\({asked.split()[0]}\)"):
        release.check(repository, "0.1.1")


def test_a_tag_is_never_moved(repository: Path) -> None:
    """Services have it in their answers."""
    support.git(repository, "tag", "v0.2.0")

    with pytest.raises(release.NotReadyError, match=r"v0\.2\.0 is there already"):
        release.check(repository, "0.2.0")


def test_a_version_comes_after_the_one_before(repository: Path) -> None:
    """Whoever has 0.1.0 would never be offered it."""
    edited(repository, "releases.toml", '"0.2.0"\nbreaking = ["a thing"]', '"0.0.9"')

    with pytest.raises(release.NotReadyError, match=r"isn't after 0\.1\.0"):
        release.check(repository, "0.0.9")


def test_a_release_without_changes_is_refused(repository: Path) -> None:
    """Nobody would know what it is for."""
    edited(repository, "CHANGELOG.md", "### Added\n\n- A thing.\n\n", "")

    with pytest.raises(release.NotReadyError, match="says nothing below"):
        release.check(repository, "0.2.0")


def test_what_is_not_committed_is_not_released(repository: Path) -> None:
    """The tests were run on something else."""
    (repository / "new").touch()

    with pytest.raises(release.NotReadyError, match="aren't committed"):
        release.check(repository, "0.2.0")


def test_releases_are_made_of_main(repository: Path) -> None:
    """Not of what somebody works at."""
    support.git(repository, "switch", "--quiet", "--create", "work")

    with pytest.raises(release.NotReadyError, match="this is the branch work"):
        release.check(repository, "0.2.0")
