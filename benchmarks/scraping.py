"""P6: what a scrape of `/metrics` takes, by workers and series, and what probes notice of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from .probing import probing
from .result import Figure, Lines, Result, Spread, at_most
from .rig import LABS, Rig, percentile

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
    milliseconds = rig.interleave(sides, rig.rounds if rig.quick else 5)
    probes = rig.interleave({"scraped": _probes(rig, project, True), "idle": _probes(rig, project)})

    def growth(name: str, large: str, small: str, times: int) -> Figure:
        ratio = Spread.ratio(milliseconds[large], milliseconds[small])
        beside = {
            side: f"{Spread.of(milliseconds[key]).median:.1f} ms"
            for side, key in (("most", large), ("least", small))
        }
        return Figure(f"{name}, of {times} times as much", ratio, at_most(times), beside=beside)

    def noticed(name: str, part: float) -> Figure:
        scraped, idle = (
            [percentile(took, part) for took in probes[side]] for side in ("scraped", "idle")
        )
        beside = {
            "scraped": f"{Spread.of(scraped).median:.1f} ms",
            "idle": f"{Spread.of(idle).median:.1f} ms",
        }
        return Figure(name, Spread.ratio(scraped, idle), beside=beside)

    lines = {
        f"{series:,} series": [
            Spread.of(milliseconds[f"{workers} {series}"]).median for workers in _WORKERS
        ]
        for series in _SERIES
    }
    return Result(
        [
            growth(
                "processor time of a scrape, 8 workers over 1, 1,000 series", "8 1000", "1 1000", 8
            ),
            growth(
                "processor time of a scrape, 1,000 series over 100, 8 workers",
                "8 1000",
                "8 100",
                10,
            ),
            noticed("median of the probes while it is scraped, over idle", 0.5),
            noticed("99th percentile of the probes while it is scraped, over idle", 0.99),
        ],
        [
            Lines(
                "scraping",
                "A scrape of /metrics",
                "workers",
                "milliseconds of processor time",
                [str(workers) for workers in _WORKERS],
                lines,
            )
        ],
        {
            "series": "of the service's own; besides, those of the chassis",
            "probes": "one worker and 1,000 series, scraped ten times a second",
        },
    )


def _scrape(rig: Rig, project: Path, workers: int, series: int) -> Callable[[], float]:
    """The milliseconds of processor time that a scrape takes the workers."""

    def run() -> float:
        with rig.service(project, workers=workers, SERIES=str(series)) as server:
            # The first of its workers makes a service ready.
            rig.wait_for(lambda: server.accepting() == workers)
            before = server.cpu_seconds()
            load = rig.load(server, "/metrics", clients=1, on_management=True, seconds=1)
            # As long again came before, to warm up. By the clock a long scrape would be
            # interrupted by whatever else the machine does, and a short one wouldn't.
            return (server.cpu_seconds() - before) / (2 * load.requests) * 1000

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
