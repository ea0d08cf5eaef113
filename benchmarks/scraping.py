"""P6: what a scrape of `/metrics` takes, by workers and series, and what probes notice of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from boot.harness import ask

from .probing import probing
from .result import Figure, Lines, Result, Side, Spread, at_most
from .rig import LABS, Rig, percentile
from .server import Server
from .surroundings import versions

TITLE = "Scrapes"

_WORKERS = (1, 2, 4, 8)
_SERIES = (10, 100, 1000)


def measure(rig: Rig) -> Result:
    """Scrape by each number of workers and series in turn; then probe with and without scrapes."""
    project = rig.project(archetype="minimal", service_name="series-lab")
    shutil.copy(LABS / "series.py", project / "src/series_lab/wiring.py")
    sides = {
        f"{workers} {series}": _scrape(rig, project, workers, series)
        for workers in _WORKERS
        for series in _SERIES
    }
    milliseconds = rig.interleave(sides)
    probes = rig.interleave({"scraped": _probes(rig, project, True), "idle": _probes(rig, project)})

    def growth(name: str, large: tuple[str, str], small: tuple[str, str], times: int) -> Figure:
        most, least = (Side.of(side, "ms", milliseconds[key]) for side, key in (large, small))
        name = f"processor time of a scrape, {name}, of {times} times as much"
        return Figure(name, most, least, at_most(times))

    def noticed(name: str, part: float) -> Figure:
        found = {side: [percentile(took, part) for took in of] for side, of in probes.items()}
        name = f"{name} of the probes while it is scraped, over idle"
        return Figure.of(name, "ms", found, ("scraped", "idle"))

    return Result(
        [
            growth(
                "8 workers over 1, 1,000 series", ("8 workers", "8 1000"), ("1 worker", "1 1000"), 8
            ),
            growth(
                "1,000 series over 100, 8 workers",
                ("1,000 series", "8 1000"),
                ("100 series", "8 100"),
                10,
            ),
            noticed("median", 0.5),
            noticed("99th percentile", 0.99),
        ],
        [
            Lines(
                "scraping",
                "Processor time of a scrape of /metrics",
                "workers",
                "over that of one worker with 10 series",
                [str(workers) for workers in _WORKERS],
                {
                    f"{series:,} series": [
                        Spread.ratio(milliseconds[f"{workers} {series}"], milliseconds["1 10"])
                        for workers in _WORKERS
                    ]
                    for series in _SERIES
                },
            )
        ],
        {
            "scraped": "without a pause for a second, by one client",
            "series": "of the service's own; besides, those of the chassis",
            "probes": "100 a second, of one worker with 1,000 series that is scraped ten times a "
            "second",
        },
        versions(project, "prometheus-client", "wrk"),
        rig.seconds,
        [Side.of(f"workers and series: {of}", "ms", took) for of, took in milliseconds.items()],
    )


def _scrape(rig: Rig, project: Path, workers: int, series: int) -> Callable[[], float]:
    """The milliseconds of processor time that a scrape takes the workers.

    By the clock a long scrape would be interrupted by whatever else the machine does, and a short
    one wouldn't.
    """

    def run() -> float:
        with rig.service(project, workers=workers, SERIES=str(series)) as server:
            _has(server, series)
            before: list[float] = []
            load = rig.load(
                server,
                "/metrics",
                clients=1,
                on_management=True,
                seconds=1,
                warm=lambda: before.append(server.cpu_seconds()),
            )
            return (server.cpu_seconds() - before[0]) / load.requests * 1000

    return run


def _probes(rig: Rig, project: Path, scraped: bool = False) -> Callable[[], list[float]]:
    """The milliseconds that each probe takes."""

    def run() -> list[float]:
        with rig.service(project, SERIES="1000") as server, probing(server.managed_by) as took:
            if scraped:
                pause = "function delay() return 100 end"
                rig.load(server, "/metrics", clients=1, on_management=True, script=pause)
            else:
                time.sleep(rig.seconds + 1)
        return took

    return run


def _has(server: Server, series: int) -> None:
    """Raises RuntimeError when a scrape hasn't as many series as are to be measured."""
    reply = ask(server.managed_by, "/metrics")
    found = reply.body.count(b"\nbench_orders_total{")
    if reply.status != 200 or found != series:
        raise RuntimeError(f"{reply.status}, and {found} series instead of {series}")
