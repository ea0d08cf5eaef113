"""P12: what a service that is offered several times what it can carry still gets done.

Payments are posted at so many a second, whatever becomes of them. The load generator has a
processor of its own where there are two; a rate is one per second that the other was free for the
service and its database (see `tests/boot/overload.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import servers
from boot.overload import OURS, THEIRS, offer
from boot.test_payments import migrate

from .result import Figure, Lines, Result, Spread, at_least, at_most
from .rig import Rig, Server

TITLE = "Overload"

_CLIENTS = 16
_TIMES = (1, 2, 3, 5)
_GOAL_AT = 3
_KEPT, _REFUSED_MS = at_least(0.8), at_most(50)

Told = dict[str, Any]


def measure(rig: Rig) -> Result:
    """On each of the databases: the peak, then so many times that, over and over."""
    figures: list[Figure] = []
    lines: dict[str, list[float]] = {}
    for database in ("sqlite", "postgresql"):
        with _running(rig, database) as (server, processes):
            rounds = [_round(rig, server, processes) for _ in range(rig.rounds)]
        kept = {
            times: Spread.ratio(
                [told[times]["rate"] for _, told in rounds], [peak["rate"] for peak, _ in rounds]
            )
            for times in _TIMES
        }
        lines[database] = [kept[times].median for times in _TIMES]
        peak = f"{Spread.of([peak['rate'] for peak, _ in rounds]).median:,.0f}/s"
        for times in _TIMES:
            goal = _KEPT if times == _GOAL_AT else None
            name = f"goodput at {times} times the peak, {database}"
            figures.append(Figure(name, kept[times], goal, beside={"the peak": peak}))
        refusals = [told[_GOAL_AT]["milliseconds"].get("503", {}) for _, told in rounds]
        figures.append(
            Figure(
                f"refusals at {_GOAL_AT} times the peak, median, {database}",
                Spread.of([refused.get("median", 0.0) for refused in refusals]),
                _REFUSED_MS,
                "ms",
                {
                    "99th percentile": _milliseconds(refusals),
                    "payments then": _milliseconds(
                        [told[_GOAL_AT]["milliseconds"]["201"] for _, told in rounds], "median"
                    ),
                },
            )
        )
    return Result(
        figures,
        [
            Lines(
                "overload",
                "Goodput under overload",
                "offered, times the peak",
                "over the peak",
                [str(times) for times in _TIMES],
                lines,
                _KEPT,
            )
        ],
        {"workers": "2", "clients for the peak": str(_CLIENTS)},
    )


def _milliseconds(of: list[dict[str, float]], part: str = "p99") -> str:
    return f"{Spread.of([one.get(part, 0.0) for one in of]).median:.1f} ms"


def _round(rig: Rig, server: Server, processes: list[int]) -> tuple[Told, dict[int, Told]]:
    """The peak and what came of each multiple of it. What others do drifts: one after another."""
    seconds = min(rig.seconds, 3.0)
    peak = offer(server.port, processes, seconds, "clients", _CLIENTS)
    found = {}
    for times in _TIMES:
        rate = times * peak["good_per_second"]
        told = found[times] = offer(server.port, processes, seconds, "rate", rate)
        if told["unanswered"] or not set(told["outcomes"]) <= {"201", "503"}:
            raise RuntimeError(f"not all were served or refused: {told['outcomes']}")
    return peak, found


@contextmanager
def _running(rig: Rig, database: str) -> Iterator[tuple[Server, list[int]]]:
    """The service on its processors, and the processes that work for it."""
    project = rig.project(archetype="payments", database=database)
    with ExitStack() as stack:
        stack.enter_context(_on(THEIRS))
        processes = []
        url = f"sqlite:///{rig.folder}/payments.db"
        if database == "postgresql":
            server = stack.enter_context(servers.postgres(max_connections=100))
            processes = [server.pid] if server.pid else []
            url = server.create("payments")
        migrate(project, url)
        service = stack.enter_context(rig.service(project, workers=2, DATABASE_URL=url))
        rig.wait_for(lambda: service.accepting() == 2)
        stack.enter_context(_on(OURS))
        offer(service.port, [service.pid], 1, "clients", _CLIENTS)  # makes the connections
        yield service, [service.pid, *processes]


@contextmanager
def _on(processors: list[int]) -> Iterator[None]:
    """Run on these processors, and start others there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
