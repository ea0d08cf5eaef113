# mypy: ignore-errors
"""What a closed circuit breaker adds to a call.

Run with the Python of a generated service, in its folder:

    .venv/bin/python breaker_calls.py <rounds> <calls in a round>

Measured is processor time; plain and guarded calls take turns. Prints as JSON the microseconds of
a plain and of a guarded call, round by round.
"""

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

Run = Callable[[int], Coroutine[Any, Any, None]]


def nothing() -> None:
    """The smallest call that there is."""


async def nothing_async() -> None:
    """The same as a coroutine."""


async def plain(times: int) -> None:
    """Calls without a breaker."""
    for _ in range(times):
        nothing()


async def plain_async(times: int) -> None:
    """Awaited calls without a breaker."""
    for _ in range(times):
        await nothing_async()


def cases(breaker: Any) -> dict[str, tuple[Run, Run]]:
    """By name: what is measured, and what it is compared with."""
    decorated, decorated_async = breaker(nothing), breaker(nothing_async)

    async def call(times: int) -> None:
        for _ in range(times):
            breaker.call(nothing)

    async def call_async(times: int) -> None:
        for _ in range(times):
            await breaker.call(nothing_async)

    async def decorator(times: int) -> None:
        for _ in range(times):
            decorated()

    async def decorator_async(times: int) -> None:
        for _ in range(times):
            await decorated_async()

    async def block(times: int) -> None:
        for _ in range(times):
            with breaker:
                nothing()

    async def block_async(times: int) -> None:
        for _ in range(times):
            async with breaker:
                await nothing_async()

    async def by_hand(times: int) -> None:
        for _ in range(times):
            breaker.allow()
            nothing()
            breaker.record_success()

    return {
        "breaker.call(fn)": (call, plain),
        "@breaker": (decorator, plain),
        "with breaker": (block, plain),
        "allow, record_success": (by_hand, plain),
        "await breaker.call(fn)": (call_async, plain_async),
        "@breaker, async": (decorator_async, plain_async),
        "async with breaker": (block_async, plain_async),
    }


async def microseconds(run: Run, times: int) -> float:
    """How long one call takes, in a task of its own: a context of its own as well."""
    began = time.thread_time()
    await asyncio.create_task(run(times))
    return (time.thread_time() - began) / times * 1e6


async def measure(breaker: Any, rounds: int, times: int) -> dict[str, list[tuple[float, float]]]:
    """Of each case a pair for each round: plain, guarded."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in cases(breaker)}
    for turn in range(rounds):
        for name, (guarded, unguarded) in cases(breaker).items():
            took = {}
            for run in (unguarded, guarded)[:: 1 if turn % 2 == 0 else -1]:
                took[run] = await microseconds(run, times)
            found[name].append((took[unguarded], took[guarded]))
    return found


if __name__ == "__main__":
    chassis = next(Path.cwd().glob("src/*/chassis"))
    module = importlib.import_module(f"{chassis.parent.name}.chassis.breaker")
    rounds, times = map(int, sys.argv[1:])
    found = asyncio.run(measure(module.CircuitBreaker(name="bench"), rounds, times))
    sys.stdout.write(json.dumps(found))
