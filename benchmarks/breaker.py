"""What a closed circuit breaker adds to a call (SPEC D1; the aim is at most 2 microseconds).

Run it with the Python of a generated service, in its folder:

    .venv/bin/python <this repository>/benchmarks/breaker.py

It needs no network and takes about 15 seconds. Measured is processor time; the plain and the
guarded call take turns, so that whatever else the machine does meets both. Shown is the median of
the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import platform
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
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
        "@breaker, sync": (decorator, plain),
        "with breaker": (block, plain),
        "allow, record_success": (by_hand, plain),
        "await breaker.call(fn)": (call_async, plain_async),
        "@breaker, async": (decorator_async, plain_async),
        "async with breaker": (block_async, plain_async),
    }


async def seconds(run: Run, times: int) -> float:
    """How long one call takes, in a task of its own: a context of its own as well."""
    began = time.thread_time()
    await asyncio.create_task(run(times))
    return (time.thread_time() - began) / times


async def measure(breaker: Any, rounds: int, times: int) -> None:
    """Print a line for each case."""
    print(f"{'closed circuit':24}{'plain':>10}{'guarded':>10}{'added':>10}{'ratio':>8}")
    for name, (guarded, unguarded) in cases(breaker).items():
        taken = [
            (await seconds(unguarded, times), await seconds(guarded, times)) for _ in range(rounds)
        ]
        without = median(pair[0] for pair in taken) * 1e6
        with_it = median(pair[1] for pair in taken) * 1e6
        added = median(pair[1] - pair[0] for pair in taken) * 1e6
        ratio = with_it / without
        print(f"{name:24}{without:8.3f}us{with_it:8.3f}us{added:8.3f}us{ratio:7.1f}x")


def main() -> None:
    """Find the service's chassis and measure its breaker."""
    parser = argparse.ArgumentParser(description="Measure what a circuit breaker adds to a call.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--times", type=int, default=20_000, help="calls in a round")
    given = parser.parse_args()
    found = sorted(Path.cwd().glob("src/*/chassis/breaker/__init__.py"))
    if not found:
        sys.exit("Run this in the folder of a generated service: there is no src/*/chassis here.")
    sys.path.insert(0, str(found[0].parents[3]))
    package = found[0].parents[2].name
    breaker = importlib.import_module(f"{package}.chassis.breaker").CircuitBreaker(name="bench")
    print(f"Python {platform.python_version()}, {given.rounds} rounds of {given.times} calls")
    asyncio.run(measure(breaker, given.rounds, given.times))


if __name__ == "__main__":
    main()
