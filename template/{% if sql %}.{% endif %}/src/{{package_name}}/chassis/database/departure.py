"""A worker that leaves gives back what it doesn't use (SPEC I3).

It drains for seconds after the workers that follow it have begun to connect. The limit of
connections leaves room for both, but a person or a job may need what lies idle here.
"""

import asyncio
from contextlib import suppress

from .. import metrics, roster
from ..roster import WorkerState
from .database import Database

_LOOK_SECONDS = 0.5

_STAYING = {WorkerState.FREE, WorkerState.STARTING, WorkerState.ACCEPTING}


def is_leaving() -> bool:
    """Whether this worker is being replaced, or the whole service terminates."""
    if roster.current.terminating_since is not None:
        return True
    slot = metrics.identity()
    return isinstance(slot, int) and roster.current.state_of(slot) not in _STAYING


async def give_back_when_leaving(database: Database, over: asyncio.Event) -> None:
    """Once the worker leaves, close time and again what is idle, until it is `over`.

    Don't cancel it: it may be closing a connection, which would be an error in the log.
    """
    while not over.is_set():
        if is_leaving():
            await database.give_back()
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _LOOK_SECONDS)
