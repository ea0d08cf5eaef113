"""What the migrations have in common: they plan all that they change, and then do it or nothing.

A migration is a module with a function `plan(project)` that reads and returns a `Plan`. Its command
runs in the project's folder; with `--dry-run` it prints what it would do. It is idempotent: where
its work is done already, there is nothing to plan. The standard library is all it needs.
"""

import os
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
    """File and its new content."""
    move: dict[str, str] = field(default_factory=dict)
    """File or folder, with the edits that were made to it, and its new place."""
    notes: list[str] = field(default_factory=list)
    """What was left for the user to do."""


def text_of(project: Path, name: str) -> str:
    """What a file of the project says."""
    try:
        return (project / name).read_text("utf-8")
    except FileNotFoundError:
        raise CannotMigrateError(f"{name} is missing: run it in the service's folder") from None


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
            _carry_out(project, planned)
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
    if subprocess.run(status, cwd=project, capture_output=True, text=True, check=True).stdout:
        raise CannotMigrateError("there are changes that aren't committed: commit or stash them")


def _refuse_taken(project: Path, plan: Plan) -> None:
    for old, new in plan.move.items():
        if (project / new).exists():
            raise CannotMigrateError(
                f"{old} is to be moved to {new}, which is there already: move one of them away"
            )


def _carry_out(project: Path, plan: Plan) -> None:
    """Do it all, or undo what was done."""
    undo: list[Callable[[], object]] = []
    try:
        for old, new in plan.move.items():
            (project / new).parent.mkdir(parents=True, exist_ok=True)
            (project / old).rename(project / new)
            undo.append(lambda old=old, new=new: (project / new).rename(project / old))
        for path, content in plan.write.items():
            undo.append(_write(project / path, content))
    except OSError as error:
        for step in reversed(undo):
            step()
        raise CannotMigrateError(f"{error}; nothing was changed") from error


def _write(path: Path, content: str) -> Callable[[], object]:
    """Replace a file by a whole new one; returns what undoes it."""
    before = path.read_bytes() if path.exists() else None
    beside = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content.encode())
        if before is not None:
            beside.chmod(path.stat().st_mode)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    if before is None:
        return path.unlink
    return lambda: path.write_bytes(before)
