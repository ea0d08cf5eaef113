"""The items of the checklist, a module for each group."""

from ..item import Item
from . import (
    health,
    image,
    observability,
    packages,
    pool,
    probes,
    process,
    project,
    resources,
    secrets,
    server,
    shutdown,
)

ITEMS: tuple[Item, ...] = (
    *project.ITEMS,
    *image.ITEMS,
    *process.ITEMS,
    *packages.ITEMS,
    *server.ITEMS,
    *shutdown.ITEMS,
    *health.ITEMS,
    *probes.ITEMS,
    *observability.ITEMS,
    *secrets.ITEMS,
    *resources.ITEMS,
    *pool.ITEMS,
)
"""The whole list, in the order that it is shown in."""
