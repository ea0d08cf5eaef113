"""P12: what a service that is offered several times what it can carry still gets done.

Payments are posted at so many a second, whatever becomes of them. The load generator has a
processor of its own where there are two; a rate is one per second that the other was free for the
service and its database (see `tests/boot/overload.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import servers
from boot.overload import OURS, THEIRS, offer
from boot.test_payments import migrate

from .result import Figure, Lines, Result, Spread, at_least, at_most
from .rig import Rig
from .server import Server
from .surroundings import on, versions

TITLE = "Overload"

_CLIENTS = 16
_TIMES = (1, 2, 3, 5)
_GOAL_AT = 3
_KEPT, _REFUSED_MS = at_least(0.8), at_most(50)
_PEAK = "the peak"

Told = dict[str, Any]


def measure(rig: Rig) -> Result:
    """On each of the databases: the peak, and so many times that, in turns."""
    figures: list[Figure] = []
    lines: dict[str, list[Spread]] = {}
    server_version = ""
    for database in ("sqlite", "postgresql"):
        with _running(rig, database) as (server, processes, version):
            told = rig.interleave(_sides(rig, server, processes))
        server_version = version or server_version
        goodput = {name: [one["rate"] for one in of] for name, of in told.items()}
        figures += [
            Figure.of(
                f"goodput at {_at(times)}, {database}",
                "/s",
                goodput,
                (_at(times), _PEAK),
                _KEPT if times == _GOAL_AT else None,
            )
            for times in _TIMES
        ]
        lines[database] = [Spread.ratio(goodput[_at(times)], goodput[_PEAK]) for times in _TIMES]
        for part, goal in (("median", _REFUSED_MS), ("p99", None)):
            # A peak that was found too low by chance may leave a round without a refusal.
            milliseconds = [one["milliseconds"] for one in told[_at(_GOAL_AT)]]
            milliseconds = [of for of in milliseconds if "503" in of]
            found = {
                name: [one[code][part] for one in milliseconds]
                for name, code in (("refusals", "503"), ("payments", "201"))
            }
            shown = "median" if part == "median" else "99th percentile"
            name = f"refusals at {_at(_GOAL_AT)}, {shown}, {database}"
            figures.append(Figure.of(name, "ms", found, ("refusals", "payments"), goal, "itself"))
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
                {str(_GOAL_AT): _KEPT},
            )
        ],
        {
            "workers": "2",
            "clients for the peak": str(_CLIENTS),
            "offered": "so many times the peak before",
        },
        versions(
            rig.project(archetype="payments", database="postgresql"),
            *("sqlalchemy", "asyncpg", "SQLite"),
        )
        | {"PostgreSQL": server_version},
        _seconds(rig),
    )


def _at(times: int) -> str:
    return f"{times} times the peak"


def _seconds(rig: Rig) -> float:
    return min(rig.seconds, 3.0)


def _sides(rig: Rig, server: Server, processes: list[int]) -> dict[str, Callable[[], Told]]:
    """The peak, and each multiple of what it was when it was last looked for."""
    latest = offer(server.port, processes, 1, "clients", _CLIENTS)  # which makes the connections

    def peak() -> Told:
        nonlocal latest
        latest = offer(server.port, processes, _seconds(rig), "clients", _CLIENTS)
        return _served(latest)

    def over(times: int) -> Callable[[], Told]:
        def run() -> Told:
            rate = times * latest["good_per_second"]
            return _served(offer(server.port, processes, _seconds(rig), "rate", rate))

        return run

    return {_PEAK: peak, **{_at(times): over(times) for times in _TIMES}}


def _served(told: Told) -> Told:
    if told["unanswered"] or not set(told["outcomes"]) <= {"201", "503"}:
        raise RuntimeError(f"not all were served or refused: {told['outcomes']}")
    return told


@contextmanager
def _running(rig: Rig, database: str) -> Iterator[tuple[Server, list[int], str]]:
    """The service on its processors, the processes that work for it, and PostgreSQL's version."""
    project = rig.project(archetype="payments", database=database)
    with ExitStack() as stack:
        processes, version = [], ""
        url = f"sqlite:///{rig.folder}/payments.db"
        if database == "postgresql":
            with on(THEIRS):
                server = stack.enter_context(servers.postgres(max_connections=100))
            processes = [server.pid] if server.pid else []
            version = server.run("SHOW server_version").split()[0]
            url = server.create("payments")
        migrate(project, url)
        stack.enter_context(rig.apart())
        service = stack.enter_context(rig.service(project, workers=2, DATABASE_URL=url))
        with on(OURS):
            yield service, [service.pid, *processes], version
