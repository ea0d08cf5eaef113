"""Render the golden projects, whose differences show what a change does to services.

    python3 scripts/golden.py

Each project in tests/golden/ has the files that depend on the answers: those that Jinja makes of
more than a name, and those of which the answers choose one of several. FILES has the paths of the
rest. With `--check` nothing is changed, and a difference is shown.
"""

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import copier

REPOSITORY = Path(__file__).resolve().parent.parent
GOLDEN = REPOSITORY / "tests/golden"
PROJECTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "minimal": {"archetype": "minimal", "deploy": "[]", "ci": "none"},
        "default": {},
        "largest": {
            "database": "postgresql",
            "events": "redis",
            "auth": "jwt",
            "tracing": "yes",
            "deploy": "[compose, kubernetes]",
            "base_image": "slim",
            "ci": "gitlab",
        },
    }
)
# They don't change with a release, and name no folder of this machine.
TAG = "v0.0.0"
ADDRESS = "https://example.com/ballast.git"

PACKAGE = "payment_api"
NAMES = re.compile(r"{{ (package|service)_name }}")
# Two thousand lines, most of them alike: once will do.
IN_THE_LARGEST = {"monitoring/dashboard.json"}
SHOWN = 120
"""How many lines of a difference are shown for each project."""

Files = dict[str, bytes]


def tagged(folder: Path) -> Path:
    """The template as it stands in the working tree, as a release of the same name each time."""
    for name in ("questions", "template"):
        caches = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis", ".venv")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=caches)
    shutil.copy2(REPOSITORY / "copier.yml", folder)
    nobody = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
    for command in (
        ["init", "--quiet"],
        ["add", "--all", "--force"],
        [*nobody, "commit", "--quiet", "--message=The template as it stands"],
        ["tag", TAG],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def chosen(template: Path) -> set[str]:
    """The files of a service that depend on its answers."""
    places: Counter[str] = Counter()
    found = set()
    for path in template.rglob("*"):
        if path.is_file():
            place = place_of(path.relative_to(template))
            places[place] += 1
            if path.suffix == ".jinja":
                text = NAMES.sub("", path.read_text("utf-8"))
                if "{{" in text or "{%" in text:
                    found.add(place)
    return found | {place for place, sources in places.items() if sources > 1}


def place_of(path: Path) -> str:
    """Where a file of the template stands in a service that has it."""
    text = re.sub(r"{%.*?%}", "", path.as_posix()).removesuffix(".jinja")
    text = text.replace("{{package_name}}", PACKAGE)
    text = text.replace("{{_copier_conf.answers_file}}", ".copier-answers.yml")
    return Path(text).as_posix()


def projects() -> Iterator[tuple[str, Files]]:
    """What each golden project consists of."""
    with tempfile.TemporaryDirectory() as name:
        template = tagged(Path(name, "template"))
        held = chosen(template / "template")
        for project, answers in PROJECTS.items():
            folder = Path(name, project)
            copier.run_copy(
                str(template), folder, data=dict(answers), vcs_ref=TAG, defaults=True, quiet=True
            )
            paths = [path for path in folder.rglob("*") if path.is_file()]
            files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
            here = held if project == "largest" else held - IN_THE_LARGEST
            made = {
                path: content.replace(os.fsencode(template), ADDRESS.encode())
                for path, content in files.items()
                if path in here
            }
            made["FILES"] = "".join(f"{path}\n" for path in sorted(files.keys() - here)).encode()
            yield project, made


def golden(project: str) -> Files:
    """What stands in the repository."""
    folder = GOLDEN / project
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def differences(project: str, before: Files, after: Files) -> Iterator[str]:
    """What has changed, as `diff -u` says it."""
    for path in sorted(before.keys() | after.keys()):
        old, new = (
            files.get(path, b"").decode("utf-8", "replace").splitlines()
            for files in (before, after)
        )
        names = (
            f"tests/golden/{project}/{path}" if path in before else "/dev/null",
            f"{project}/{path}, rendered" if path in after else "/dev/null",
        )
        if before.get(path) != after.get(path):
            yield from difflib.unified_diff(old, new, *names, lineterm="")


def write(project: str, files: Files) -> None:
    """Replace a golden project."""
    folder = GOLDEN / project
    shutil.rmtree(folder, ignore_errors=True)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def main(arguments: Sequence[str]) -> int:
    """Write the golden projects, or compare them."""
    differ = False
    for project, files in projects():
        if "--check" not in arguments:
            write(project, files)
            continue
        lines = list(differences(project, golden(project), files))
        print(*lines[:SHOWN], sep="\n", end="\n" if lines else "")
        if lines[SHOWN:]:
            print(f"... and {len(lines) - SHOWN} lines more")
        differ = differ or bool(lines)
    if differ:
        print("The golden projects are others. If that is meant: make golden", file=sys.stderr)
    return int(differ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
