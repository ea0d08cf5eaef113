# mypy: ignore-errors
# ruff: noqa: D103, ASYNC240  (misbehaving is what it is for)
"""Slow work, and an extra resource or listener that `LAB_EXTRA` chooses to stand in the way."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import APIRouter

from ..chassis import availability
from ..chassis.availability import AvailabilityChange, LivenessState
from ..chassis.service import Service
from .lab import note

router = APIRouter()


@router.get("/slow")
async def slow(s: float | None = None) -> dict[str, int]:
    """Take so many seconds, or more than the one for which Uvicorn keeps its default headers."""
    await asyncio.sleep(random.uniform(1.2, 2.6) if s is None else s)  # noqa: S311
    return {"pid": os.getpid()}


def add_extra(service: Service) -> None:
    """Register what `LAB_EXTRA` names, after everything else."""
    match os.environ.get("LAB_EXTRA"):
        case "listener":
            availability.subscribe(listener)
        case "checks":
            service.health.register_defaults()
            service.health.register("picky", picky, "Sick in one worker", critical=False)
            service.health.register("stuck", stuck, "It may hang", critical=False, timeout=0.5)
        case str(name):
            service.resource("extra", {"needy": needy, "own": own, "stubborn": stubborn}[name])


def picky() -> bool:
    """A check that fails in the worker whose pid is in a file named `sick`."""
    sick = Path(os.environ["LAB_FOLDER"], "sick")
    return not sick.exists() or sick.read_text() != str(os.getpid())


async def stuck() -> bool:
    """A check that leaves a line for each run, and hangs while a file named `stuck` is there."""
    note("stuck-runs", f"{os.getpid()} {time.monotonic()}")
    if Path(os.environ["LAB_FOLDER"], "stuck").exists():
        await asyncio.sleep(60)
    return True


def listener(change: AvailabilityChange) -> None:
    if change.state is LivenessState.BROKEN:
        raise ValueError("the listener has failed")


@asynccontextmanager
async def needy() -> AsyncIterator[None]:
    """A resource that can't open while a file named `away` is there."""
    if Path(os.environ["LAB_FOLDER"], "away").exists():
        raise ConnectionError("the needy resource found nobody")
    yield


@asynccontextmanager
async def own() -> AsyncIterator[None]:
    """A resource that waits for a task of its own, which it has cancelled."""
    task = asyncio.create_task(asyncio.sleep(100))
    yield
    note("steps", "close own")
    task.cancel()
    await task


@asynccontextmanager
async def stubborn() -> AsyncIterator[None]:
    """A resource that closes for ever, whoever cancels it."""
    yield
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(100)
