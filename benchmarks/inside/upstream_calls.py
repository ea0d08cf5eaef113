# mypy: ignore-errors
"""Calls by the outbound client and by raw httpx2.

Run with the Python of a generated service, in its folder:

    .venv/bin/python upstream_calls.py <url> <rounds> <calls in a round> <tasks> <paths>

Both ask for so many different paths, in turns, by so many tasks at a time, as a worker does while
it serves a request: with metrics that are shared over processes, and the request's id to pass on.
Prints as JSON the calls a second of each, round by round: by the clock, and by the processor time
of this process.
"""

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path

import httpx2
import uvloop

Get = Callable[[str], Awaitable[httpx2.Response]]


async def rates(get: Get, calls: int, tasks: int, paths: Iterator[str]) -> tuple[float, float]:
    """Calls a second, by the clock and by processor time."""

    async def some() -> None:
        for _ in range(calls // tasks):
            reply = await get(next(paths))
            if reply.status_code != 200 or not reply.content:
                sys.exit(f"not a reply of the floor: {reply}")

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(some() for _ in range(tasks)))
    return calls / (time.perf_counter() - began), calls / (time.process_time() - used)


async def main(url: str, rounds: int, calls: int, tasks: int, paths: int) -> None:
    """Let both take turns, the first round for nothing."""
    package = next(Path.cwd().glob("src/*/chassis")).parent.name
    load, output = importlib.import_module, sys.stdout  # which becomes the log's
    load(f"{package}.chassis.server.master").load(load(f"{package}.settings").Settings)
    load(f"{package}.chassis.metrics").become(0)
    context = load(f"{package}.chassis.context")
    context.current.set(
        context.RequestContext("01890a5d-ac96-774b-bcce-b302099a8057", None, "GET", "/")
    )
    outbound = load(f"{package}.chassis.outbound")
    asked = (f"/charges/{number % paths}" for number in count())
    found = {"httpx2": [], "upstream": []}
    async with (
        httpx2.AsyncClient(base_url=url, timeout=5) as raw,
        outbound.Upstream("bench", url).open() as upstream,
    ):
        sides = {"httpx2": raw.get, "upstream": upstream.get}
        for turn in range(rounds + 1):
            for name in list(sides)[:: 1 if turn % 2 else -1]:
                seen = await rates(sides[name], calls, tasks, asked)
                if turn:
                    found[name].append(seen)
    load(f"{package}.chassis.metrics").remove()
    output.write(json.dumps(found))
    output.flush()


uvloop.run(main(sys.argv[1], *map(int, sys.argv[2:])))
