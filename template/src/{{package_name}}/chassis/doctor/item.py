"""What is examined, and what was found."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from .place import Place

if TYPE_CHECKING:
    from .project import Project


class Status(Enum):
    """What an item comes to. The worst finding decides, and fail is the worst."""

    SKIPPED = "skipped"
    """There is nothing here that it is about."""
    PASS = "pass"  # noqa: S105 - no password
    NOTE = "note"
    """Worth knowing, but no fault."""
    FAIL = "fail"

    @property
    def weight(self) -> int:
        """The larger, the worse."""
        return list(Status).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen, and where."""

    status: Status
    text: str
    place: Place | None = None
    target: str | None = None
    """The overlay, or `compose`, that it is about; None for what is the same everywhere."""


def passed(text: str, target: str | None = None) -> Finding:
    """Something as it should be."""
    return Finding(Status.PASS, text, target=target)


def noted(text: str, place: Place | None = None, target: str | None = None) -> Finding:
    """Something worth knowing."""
    return Finding(Status.NOTE, text, place, target)


def failed(text: str, place: Place | None = None, target: str | None = None) -> Finding:
    """A fault."""
    return Finding(Status.FAIL, text, place, target)


def skipped(text: str) -> Finding:
    """Nothing to look at."""
    return Finding(Status.SKIPPED, text)


Check = Callable[["Project"], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the checklist."""

    id: str
    """What it is called on the command line, in comments and in JSON."""
    group: str
    title: str
    """What is true where it passes."""
    why: str
    mend: str
    check: Check


@dataclass(frozen=True, slots=True)
class Result:
    """An item, and what was found."""

    item: Item
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """That of the worst finding; skipped without any."""
        return max(
            (finding.status for finding in self.findings),
            key=lambda status: status.weight,
            default=Status.SKIPPED,
        )

    @property
    def worst(self) -> list[Finding]:
        """The findings that made it so."""
        return [finding for finding in self.findings if finding.status is self.status]
