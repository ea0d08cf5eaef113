"""Take over what is new in the template: `make update`.

    python3 ballast/update.py [--to VERSION] [--trust] [--check] [copier's options]

It says what the newer releases ask before it changes anything, updates by `copier update`, and
looks at the outcome: copier ends with 0 where it has left conflicts. Whatever goes wrong, the tree
is put back to how it was; it had to be committed.

Exit codes: 0 all is well, 1 something is left to do or went wrong, 2 there is a newer release (with
`--check` alone).
"""

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ANSWERS = Path(".copier-answers.yml")
COPIER = "copier>=9.19.1,<10"
TAG = re.compile(r"refs/tags/(v\d+\.\d+\.\d+)$")
ANSWERED = """
Files that are yours don't follow another answer. To compare them with those of a new service:

  uvx copier copy --quiet --defaults --data-file .copier-answers.yml \\
      --vcs-ref {version} {source} ../fresh
  diff -r -x '.*' -x __pycache__ -x uv.lock -x data . ../fresh
"""
MARKER = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)

Version = tuple[int, ...]


class Failure(Exception):
    """Why there is no update; the message says how to mend it."""


def main(arguments: Sequence[str]) -> int:
    """Update the service in this folder."""
    given, options = parser().parse_known_args(arguments)
    try:
        source, current = recorded()
        target = re.sub(r"^(?=\d)", "v", given.to) if given.to else newest(source)
        if not given.to and number(target) <= number(current):
            if given.check or not options:
                print(f"{current} is the newest release.")
                return 0
            target = current  # other answers, without another release
        if given.check:
            print(f"{target} is there, this is {current}: make update")
            return 2
        refuse_uncommitted()
        with a_copy_of(source, target) as template:
            releases = between(template, current, target)
            announce(releases, current, target)
            trusted = given.trust or not any(one.get("migrations") for one in releases)
            if not trusted:
                print("\nNothing has been changed. If you trust it with that: make update TRUST=1")
                return 1
        with all_or_nothing():
            update(target, [*options, *(["--trust"] if given.trust else [])])
            if any(option.startswith(("-d", "--data")) for option in options):
                print(ANSWERED.format(source=source, version=target))
            return report(source, current, releases)
    except (Failure, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; nothing has been changed.", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="make update", allow_abbrev=False)
    found.add_argument("--to", metavar="VERSION", help="the release to take; the newest by default")
    found.add_argument("--trust", action="store_true", help="let it run the releases' migrations")
    found.add_argument("--check", action="store_true", help="only say whether there is a newer one")
    return found


def recorded() -> tuple[str, str]:
    """Where the template is, and the release that this was made from."""
    try:
        lines = ANSWERS.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise Failure(f"{ANSWERS} is missing: run it in the folder of the service") from None
    answers = dict(line.split(": ", 1) for line in lines if ": " in line)
    try:
        return answers["_src_path"].strip("'\""), answers["_commit"].strip("'\"")
    except KeyError as missing:
        raise Failure(
            f"{ANSWERS} doesn't say {missing}: the service wasn't made from a release"
        ) from None


def repository(source: str) -> str:
    """The address that git understands, of one that copier does."""
    for short, host in (("gh:", "https://github.com/"), ("gl:", "https://gitlab.com/")):
        if source.startswith(short):
            return f"{host}{source.removeprefix(short)}.git"
    return source.removeprefix("git+")


def newest(source: str) -> str:
    """The newest release that there is."""
    listed = run("git", "ls-remote", "--tags", repository(source))
    tags = [found[1] for line in listed.splitlines() if (found := TAG.search(line))]
    if not tags:
        raise Failure(f"{source} has no releases")
    return max(tags, key=number)


def number(tag: str) -> Version:
    """A version to compare by: of `v1.2.3`, or of a commit after it (`v1.2.3-4-gabcdef`)."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", tag)
    return tuple(map(int, found[1].split("."))) if found else ()


def refuse_uncommitted() -> None:
    """The update has to be the only change, so that it can be looked over and taken back."""
    if run("git", "status", "--porcelain", "--untracked-files=normal"):
        raise Failure("There are changes that aren't committed: commit or stash them, then update.")


@contextmanager
def a_copy_of(source: str, version: str) -> Iterator[Path]:
    """A release of the template."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--depth=1", "--branch", version, "-c", "advice.detachedHead=false"]
        address = repository(source)
        # Of a folder, git copies all that there is unless it is asked by an address.
        if Path(address).is_dir():
            address = Path(address).resolve().as_uri()
        run("git", "clone", *options, address, folder)
        yield Path(folder)


def between(template: Path, current: str, target: str) -> list[dict[str, Any]]:
    """What is known of the releases after the current one, oldest first."""
    try:
        data = tomllib.loads((template / "releases.toml").read_text("utf-8"))
    except FileNotFoundError:
        return []
    releases: list[dict[str, Any]] = sorted(
        data["release"], key=lambda release: number(release["version"])
    )
    after, until = number(current), number(target)
    return [one for one in releases if after < number(one["version"]) <= until]


def announce(releases: Sequence[Mapping[str, Any]], current: str, target: str) -> None:
    """Say what is going to happen."""
    print(f"From {current} to {target}.")
    for release in releases:
        for text in release.get("breaking", ()):
            print(f"  {release['version']} is different: {text}")
        for old, new in release.get("renames", {}).items():
            print(f"  {release['version']} renames {old} to {new}")
        for script, text in release.get("migrations", {}).items():
            print(f"  {release['version']} runs hooks/migrations/{script}, which {text}")


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """Put the tree back whatever goes wrong, Ctrl-C and a full disk as well.

    An update that couldn't be looked at goes, too: nobody was told of its conflicts.
    """
    try:
        yield
    except BaseException as error:
        put_back()
        if isinstance(error, KeyboardInterrupt):
            raise Failure("\nInterrupted; everything is as it was.") from None
        if isinstance(error, (Failure, OSError)):
            raise Failure(f"{error}\nEverything is as it was.") from None
        raise


def update(target: str, options: Sequence[str]) -> None:
    """Let copier do it."""
    copier("update", "--defaults", "--quiet", "--vcs-ref", target, *options)


def put_back() -> None:
    """Undo all changes: there were none before. Another Ctrl-C doesn't stop it halfway."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run("git", "reset", "--quiet", "--hard")
        run("git", "clean", "--quiet", "--force", "-d")
    except Failure as failure:
        raise Failure(
            f"{failure}\nThe update has stopped halfway. When that is mended, this puts everything"
            " back: git reset --hard && git clean -fd"
        ) from None


def report(source: str, current: str, releases: Sequence[Mapping[str, Any]]) -> int:
    """Say what has changed and what is left to do. Returns the exit code."""
    run("git", "add", "--intent-to-add", ".")
    kept = sorted(brought_back(source, current))
    conflicts = sorted(in_conflict())
    changed = run("git", "diff", "--stat", "HEAD").strip()
    print(changed or "Nothing of this service has changed.")
    for release in releases:
        for text in release.get("manual", ()):
            print(f"\nLeft to do, since {release['version']}: {text}")
    if conflicts:
        print("\nIn conflict: both you and the template have changed lines of these.")
        print(*(f"  {path}" for path in conflicts), sep="\n")
    if kept:
        print("\nThe template has no use for these any more; kept, for what you changed in them.")
        print("Move what you need to another place, or delete them.")
        print(*(f"  {path}" for path in kept), sep="\n")
    print("\nLook it over with `git diff`, then `make lint test`.", end=" ")
    print("To take it back: git reset --hard && git clean -fd")
    return 1 if conflicts or kept else 0


def in_conflict() -> set[str]:
    """Files with conflict markers, and files that copier couldn't merge at all."""
    found = set()
    for path in different():
        file = Path(path)
        if file.is_file() and (MARKER.search(file.read_bytes()) or path.endswith(".rej")):
            found.add(path)
    return found


def different(*options: str) -> list[str]:
    """Files of this folder that aren't as they were; one that was renamed is two of them."""
    diff = ["git", "diff", "--name-only", "--no-renames", "--relative", "-z", *options, "HEAD"]
    return [path for path in run(*diff).split("\0") if path]


def brought_back(source: str, current: str) -> set[str]:
    """Files that copier has deleted although they weren't as the template had made them.

    Copier deletes what the template doesn't make any more without a look at what is in it.
    """
    deleted = different("--diff-filter=D")
    if not deleted:
        return set()
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder, "answers.yml")
        answers.write_bytes(shown(str(ANSWERS)))
        made = Path(folder, "made")
        options = ["--quiet", "--defaults", "--data-file", str(answers), "--vcs-ref", current]
        copier("copy", *options, source, str(made))
        edited = {
            path
            for path in deleted
            if not (made / path).is_file() or (made / path).read_bytes() != shown(path)
        }
    if edited:
        run("git", "checkout", "--quiet", "HEAD", "--", *edited)
    return edited


def shown(path: str) -> bytes:
    """A file as it was before the update."""
    command = ["git", "show", f"HEAD:./{path}"]
    return subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603


def copier(*arguments: str) -> None:
    """Run copier, which uv fetches where it isn't installed."""
    program = ["copier"] if shutil.which("copier") else ["uvx", "--from", COPIER, "copier"]
    run(*program, *arguments)


def run(*command: str) -> str:
    """What a command prints; Failure with what it says when it fails."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)  # noqa: S603
    except FileNotFoundError:
        raise Failure(f"{command[0]} is missing: install it first") from None
    try:
        output, errors = process.communicate()
    except KeyboardInterrupt:
        process.communicate()  # it was told as well, and may write until it has ended
        raise
    if process.returncode:
        said = (errors or output).strip()
        if "Traceback (most recent call last)" in said:
            said = said.splitlines()[-1]
        raise Failure(f"{' '.join(command[:3])} failed:\n{said}")
    return output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
