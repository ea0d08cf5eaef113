"""Going through the list."""

from collections.abc import Sequence

from .checks import ITEMS, project, server, shutdown
from .exceptions import ITEM, Exceptions
from .item import Finding, Item, Result
from .project import Project

EXCEPTIONS = Item(
    id=ITEM,
    group=project.GROUP,
    title="Exceptions name an item and a reason, and are needed",
    why="An exception that nobody needs hides the next fault.",
    mend="# doctor: allow <item>: <why it is right here>, or take it out.",
    check=lambda _project: [],
)

ALL: tuple[Item, ...] = (*project.ITEMS, EXCEPTIONS, *ITEMS[len(project.ITEMS) :])
"""Every item, in the order that it is shown in."""

FOREIGN: tuple[Item, ...] = (
    *server.ITEMS,
    *(item for item in shutdown.ITEMS if item.id == "grace"),
)
"""Those that a configuration alone can answer."""


def examine(project: Project, items: Sequence[Item]) -> list[Result]:
    """Look at each item. UnusableError when the project can't be read."""
    project.evaluate_all()
    if project.foreign is not None:
        return [Result(item, _findings(item, project)) for item in items]
    exceptions = Exceptions(project, {item.id for item in ALL})
    found = {item.id: exceptions.apply(Result(item, _findings(item, project))) for item in ALL}
    found[ITEM] = Result(EXCEPTIONS, tuple(exceptions.findings()))
    return [found[item.id] for item in items]


def _findings(item: Item, project: Project) -> tuple[Finding, ...]:
    """What an item found, each thing once."""
    return tuple(dict.fromkeys(item.check(project)))
