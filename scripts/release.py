"""Release what is on main: `make release VERSION=0.6.0`.

It checks that everything is in place, runs all the tests, gives the changes their heading in
CHANGELOG.md, commits, tags, and writes down which commit the release is. Pushing is left to you.
"""

import argparse
import datetime
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
CHANGELOG = "CHANGELOG.md"
TABLE = "releases.toml"
UNRELEASED = "## [Unreleased]\n"
ASKS = ("breaking", "manual", "renames", "migrations")
"""What of a release's entry users have to act on."""


class NotReadyError(Exception):
    """Why there is no release; the message says how to mend it."""


def main(arguments: Sequence[str]) -> int:
    """Check, and release."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("version", help="such as 1.2.0")
    parser.add_argument("--dry-run", action="store_true", help="check only, without the tests")
    given = parser.parse_args(arguments)
    try:
        changes = check(REPOSITORY, given.version)
        if given.dry_run:
            print(f"{given.version} can be released:\n\n{changes}")
            return 0
        subprocess.run(["make", "test"], cwd=REPOSITORY, check=True)
        release(REPOSITORY, given.version, datetime.datetime.now(datetime.UTC).date())
    except NotReadyError as reason:
        print(f"make release: {reason}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        said = f": {error.stderr.strip()}" if error.stderr else ""
        print(f"make release: `{' '.join(error.cmd)}` failed{said}", file=sys.stderr)
        return 1
    print(f"\nv{given.version} is made. Publish it: git push origin main v{given.version}")
    return 0


def check(repository: Path, version: str) -> str:
    """Refuse what isn't ready; returns what has changed since the release before."""
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        raise NotReadyError(f"{version} is no version: give three numbers, such as 1.2.0")
    if git(repository, "status", "--porcelain"):
        raise NotReadyError("there are changes that aren't committed: commit them first")
    branch = git(repository, "rev-parse", "--abbrev-ref", "HEAD")
    if branch != "main":
        raise NotReadyError(f"this is the branch {branch}: releases are made of main")
    releases = table(repository)
    newest = releases[0]
    if newest["version"] != version or "commit" in newest:
        raise NotReadyError(
            f"the first entry of {TABLE} has to be {version}, without a commit: say what it asks"
        )
    if len(releases) > 1 and number(version) <= number(releases[1]["version"]):
        raise NotReadyError(f"{version} isn't after {releases[1]['version']}")
    asked = [name for name in ASKS if newest.get(name)]
    if asked and not may_break(version, releases[1]["version"]):
        raise NotReadyError(
            f"{version} asks something of users ({', '.join(asked)}): raise the first number"
            " (before 1.0 the second)"
        )
    if git(repository, "tag", "--list", f"v{version}"):
        raise NotReadyError(f"the tag v{version} is there already: a tag is never moved")
    changes = unreleased((repository / CHANGELOG).read_text("utf-8"))
    if not changes:
        raise NotReadyError(f"{CHANGELOG} says nothing below [Unreleased]")
    return changes


def may_break(version: str, before: str) -> bool:
    """Whether the number says that something is different (Semantic Versioning, 4 and 8)."""
    new, old = number(version), number(before)
    return new[0] > old[0] or (new[0] == 0 and new[1] > old[1])


def number(version: str) -> tuple[int, ...]:
    """A version to compare by."""
    return tuple(map(int, version.split(".")))


def table(repository: Path) -> list[dict[str, Any]]:
    """All releases, the newest first."""
    found: list[dict[str, Any]] = tomllib.loads((repository / TABLE).read_text("utf-8"))["release"]
    return found


def unreleased(changelog: str) -> str:
    """What stands below the first heading."""
    _, _, rest = changelog.partition(UNRELEASED)
    return rest.split("\n## [", 1)[0].strip()


def release(repository: Path, version: str, today: datetime.date) -> None:
    """Commit and tag it, and write down which commit it is."""
    changelog = repository / CHANGELOG
    text = changelog.read_text("utf-8")
    heading = f"{UNRELEASED}\n## [{version}] - {today.isoformat()}\n"
    changelog.write_text(text.replace(UNRELEASED, heading, 1), "utf-8")
    dated = f'version = "{version}"\ndate = {today.isoformat()}\n'
    rewrite(repository, f'version = "{version}"\n', dated)
    git(repository, "commit", "--quiet", "--all", "--message", f"Release {version}")
    git(repository, "tag", "--annotate", f"v{version}", "--message", f"Ballast {version}")
    commit = git(repository, "rev-parse", "HEAD")
    rewrite(repository, dated, f'{dated}commit = "{commit}"\n')
    git(repository, "commit", "--quiet", "--all", "--message", f"Note which commit {version} is")


def rewrite(repository: Path, old: str, new: str) -> None:
    """Change the table of releases."""
    path = repository / TABLE
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")


def git(repository: Path, *arguments: str) -> str:
    """Run git and return what it prints."""
    done = subprocess.run(
        ["git", *arguments], cwd=repository, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
