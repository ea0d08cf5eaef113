"""Checks that every service can do with: memory, disk, and whether the model is there."""

import inspect
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from ..capacity.memory_use import read_memory_use
from ..models.warm_up import is_loader
from .health_check import Check
from .system_info import HERE, PROC, SYS, disk_used_ratio

LIMIT = 0.9
"""The part in use from which on memory and disk count as failing."""


def memory(proc: Path = PROC, sys: Path = SYS) -> Check:
    """Whether memory is left. Where that can't be known it is no failure: nothing is wrong yet."""
    return lambda: _has_room(read_memory_use(proc, sys).used_ratio)


def disk(folder: Path = HERE) -> Check:
    """Whether disk is left on the file system of a folder. Unknown is no failure."""
    return lambda: _has_room(disk_used_ratio(folder))


def model(model: Any) -> Check:
    """Whether the model, or what a callable returns as such, is there, which is: isn't None.

    Its truth value isn't asked for: an array has none, and an empty pipeline is false.
    """
    if not (inspect.iscoroutinefunction(model) or is_loader(model)):
        return lambda: model is not None

    def check() -> object:
        found = model()
        return _is_there(found) if inspect.isawaitable(found) else found is not None

    async def check_async() -> object:
        return await model() is not None

    # Coroutines are made on the event loop, anything else in a thread.
    return check_async if inspect.iscoroutinefunction(model) else check


async def _is_there(model: Awaitable[object]) -> bool:
    return await model is not None


def _has_room(used: float | None) -> bool:
    return used is None or used < LIMIT
