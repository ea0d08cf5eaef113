"""Work that outlives a request: finished or cancelled when the service stops, never forgotten."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from . import logs

_FINISHING_SHARE = 0.8
"""The part of the time in which tasks may finish; the rest is for those that are cancelled."""

_log = logs.get_logger("chassis.background")


class BackgroundTasks:
    """Tasks of this worker, each with a name for the log."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], bool] = {}

    def start(
        self, coroutine: Coroutine[Any, Any, Any], *, name: str, finish: bool = True
    ) -> asyncio.Task[Any]:
        """Run a coroutine beside the requests.

        On a stop one with `finish` is given what is left of the closing time before it is
        cancelled; one without, such as an endless loop, is cancelled at once.
        """
        task = asyncio.create_task(coroutine, name=name)
        self._tasks[task] = finish
        task.add_done_callback(self._done)
        return task

    async def stop(self, seconds: float) -> None:
        """Finish or cancel all tasks within so many seconds."""
        for task, finish in self._tasks.items():
            if not finish:
                task.cancel()
        pending = await _wait(self._tasks, seconds * _FINISHING_SHARE)
        for task in pending:
            _log.warning("background task cancelled", task=task.get_name())
            task.cancel()
        await _wait(pending, seconds * (1 - _FINISHING_SHARE))

    def _done(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("background task failed", task=task.get_name(), exc_info=error)


async def _wait(tasks: Iterable[asyncio.Task[Any]], seconds: float) -> set[asyncio.Task[Any]]:
    waited = list(tasks)
    if not waited:
        return set()
    _, pending = await asyncio.wait(waited, timeout=seconds)
    return pending
