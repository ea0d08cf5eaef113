"""Exceptions that the project's files make, in a comment, with a reason:

    # doctor: allow external-services: the ledger is ours, and nothing works without it

What an item then finds in that file is a note instead of a fault.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .item import Finding, Item, Result, Status, failed, noted, passed
from .place import Place
from .project import Project

_COMMENT = re.compile(r"#\s*doctor:\s*allow\s*([\w-]*)\s*:?[ \t]*(.*)")
_SHORTEST_REASON = 10
_FOLDERS = ("deploy", "src")
_ROOT_FILES = (
    "Dockerfile",
    ".dockerignore",
    "gunicorn.conf.py",
    "pyproject.toml",
    "*.yaml",
    "*.yml",
)
_SUFFIXES = {".py", ".yaml", ".yml", ".env", ".txt"}

ITEM = "exceptions"


class Exceptions:
    """What is allowed, by file and item."""

    def __init__(self, project: Project, known: set[str]) -> None:
        self._reasons: dict[tuple[str, str], str] = {}
        self._places: dict[tuple[str, str], Place] = {}
        self._used: set[tuple[str, str]] = set()
        self._wrong: list[Finding] = []
        for path in _files(project):
            name = project.files.name(path)
            for number, line in enumerate(project.files.read(path).splitlines(), start=1):
                if match := _COMMENT.search(line):
                    self._add(match[1], match[2].strip(), Place(name, number), known)

    def _add(self, item: str, reason: str, place: Place, known: set[str]) -> None:
        if item not in known:
            self._wrong.append(failed(f"there is no item {item!r}", place))
        elif len(reason) < _SHORTEST_REASON:
            self._wrong.append(failed(f"allowing {item} needs a reason", place))
        else:
            self._reasons[place.path, item] = reason
            self._places[place.path, item] = place

    def apply(self, result: Result) -> Result:
        """The result with what is allowed as notes."""
        return replace(result, findings=tuple(self._allowed(result.item, result.findings)))

    def _allowed(self, item: Item, findings: tuple[Finding, ...]) -> Iterator[Finding]:
        for finding in findings:
            key = (finding.place.path if finding.place else "", item.id)
            if finding.status is Status.FAIL and key in self._reasons:
                self._used.add(key)
                text = f"{finding.text} (allowed: {self._reasons[key]})"
                finding = replace(finding, status=Status.NOTE, text=text)
            yield finding

    def findings(self) -> list[Finding]:
        """What is wrong with the exceptions themselves. Call it last."""
        unused = [
            noted(f"{item} needs no exception here", place)
            for (path, item), place in self._places.items()
            if (path, item) not in self._used
        ]
        used = len(self._used)
        return [*self._wrong, *unused, passed(f"{used} in use" if used else "none are made")]


def _files(project: Project) -> Iterator[Path]:
    for pattern in _ROOT_FILES:
        yield from sorted(project.root.glob(pattern))
    for folder in _FOLDERS:
        for path in sorted((project.root / folder).rglob("*")):
            own = "chassis/doctor" in path.as_posix()
            if path.suffix in _SUFFIXES and path.is_file() and not own:
                yield path
