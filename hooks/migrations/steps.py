"""What the migrations have in common: they plan all that they change, and then do it or nothing.

A migration is a module with a function `plan(project)` that reads and returns a `Plan`. Its command
runs in the project's folder; with `--dry-run` it prints what it would do. It is idempotent: where
its work is done already, there is nothing to plan. The standard library is all it needs.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ANSWERS = ".copier-answers.yml"


class CannotMigrateError(Exception):
    """The project isn't as it has to be; the message says what, where and how to mend it."""


@dataclass
class Plan:
    """What is to be written, moved and told. Paths are relative to the project."""

    write: dict[str, str] = field(default_factory=dict)
    """File and its new content. A file that ends its lines as Windows does goes on doing so."""
    move: dict[str, str] = field(default_factory=dict)
    """File or folder, with the edits that were made to it, and its new place."""
    notes: list[str] = field(default_factory=list)
    """What was left for the user to do."""


def text_of(project: Path, name: str) -> str:
    """What a file of the project says; each of its lines ends with a newline alone."""
    try:
        return (project / name).read_text("utf-8")
    except FileNotFoundError:
        raise CannotMigrateError(f"{name} is missing: run it in the service's folder") from None
    except UnicodeDecodeError:
        raise CannotMigrateError(f"{name} is not text in UTF-8: save it as that") from None


def package_of(project: Path) -> str:
    """The package's name, of the answers."""
    found = re.search(r"""^package_name: (["']?)(\w+)\1$""", text_of(project, ANSWERS), re.M)
    if found is None:
        raise CannotMigrateError(f"{ANSWERS} doesn't say the package_name")
    return found[2]


def run(plan: Callable[[Path], Plan]) -> None:
    """The command of a migration. Exits with 1 and one line where it can't be done."""
    project = Path.cwd()
    dry = "--dry-run" in sys.argv[1:]
    try:
        if not dry and "STAGE" not in os.environ:  # copier has looked already
            _refuse_uncommitted(project)
        planned = plan(project)
        _refuse_taken(project, planned)
        if not dry:
            carry_out(project, planned)
    except CannotMigrateError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    for old, new in planned.move.items():
        print(f"{'would move' if dry else 'moved'} {old} to {new}")
    for path in planned.write:
        print(f"{'would change' if dry else 'changed'} {path}")
    for note in planned.notes:
        print(f"left for you: {note}")


def _refuse_uncommitted(project: Path) -> None:
    status = ["git", "status", "--porcelain"]
    done = subprocess.run(status, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMigrateError(f"git says: {done.stderr.strip()}")
    if done.stdout:
        raise CannotMigrateError("there are changes that aren't committed: commit or stash them")


def _refuse_taken(project: Path, plan: Plan) -> None:
    for old, new in plan.move.items():
        if (project / new).exists():
            raise CannotMigrateError(
                f"{old} is to be moved to {new}, which is there already: move one of them away"
            )


def carry_out(project: Path, plan: Plan) -> None:
    """Do it all, or undo what was done: also where somebody interrupts it."""
    undo: list[Callable[[], object]] = []
    try:
        for old, new in plan.move.items():
            _make_folders(project / new, undo)
            (project / old).rename(project / new)
            undo.append(_back(project / new, project / old))
        # All are written beside the old ones first: a disk that is full has changed nothing then.
        for path, content in plan.write.items():
            _make_folders(project / path, undo)
            _write_beside(project / path, content, undo)
        for path in plan.write:
            _put_in_place(project / path, undo)
    except BaseException as error:
        for step in reversed(undo):
            step()
        if isinstance(error, OSError):
            raise CannotMigrateError(f"{error}; nothing was changed") from error
        raise


def _make_folders(path: Path, undo: list[Callable[[], object]]) -> None:
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir()
        undo.append(folder.rmdir)


def _back(new: Path, old: Path) -> Callable[[], object]:
    return lambda: new.rename(old)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _write_beside(path: Path, content: str, undo: list[Callable[[], object]]) -> None:
    beside = _beside(path)
    undo.append(lambda: beside.unlink(missing_ok=True))
    if path.exists() and b"\r\n" in path.read_bytes():
        content = content.replace("\n", "\r\n")
    beside.write_bytes(content.encode())
    if path.exists():
        beside.chmod(path.stat().st_mode)


def _put_in_place(path: Path, undo: list[Callable[[], object]]) -> None:
    if path.exists():
        before = path.read_bytes()
        undo.append(lambda: path.write_bytes(before))
    else:
        undo.append(lambda: path.unlink(missing_ok=True))
    _beside(path).replace(path)
