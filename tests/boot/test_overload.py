"""Overload: who can't be served is told so at once, and all others are served as before (SPEC A9).

The rates are ratios within one run, so that the machine's speed doesn't matter. The load generator
has a processor of its own where there are two: it must not take from the service, when it offers
more, what the service is measured by.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import servers
import support
from boot.fixtures import booting
from boot.harness import Ports, Service
from boot.load import PROBE, Load
from boot.test_payments import migrate

pytestmark = [pytest.mark.boot, pytest.mark.load]

OFFER = Path(__file__).parent / "offer.py"
PROCESSORS = sorted(os.sched_getaffinity(0))
OURS, THEIRS = PROCESSORS[-1:], PROCESSORS[:-1] or PROCESSORS
"""Where the load generator runs, and where the service and its database do."""

CLIENTS = 16
TIMES = 3
PEAK_SECONDS, OVERLOAD_SECONDS = 5, 10
GOODPUT = 0.8
REFUSED_WITHIN_MS = 50


def pinned(processors: list[int]) -> list[str]:
    """What runs a program on these processors only."""
    return [support.require_engine("taskset"), "-c", ",".join(map(str, processors))]


def offer(service: Service, seconds: float, kind: str, number: float) -> dict[str, Any]:
    """Offer a load and return what came of it."""
    arguments = [str(service.port), str(seconds), kind, str(number)]
    done = subprocess.run(
        [*pinned(OURS), sys.executable, str(OFFER), *arguments],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, installed: Callable[..., Path], ports: Ports, tmp_path: Path
) -> Iterator[Service]:
    """Payments with two workers, on each of the databases."""
    project = installed({"database": request.param})
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path}/payments.db"
        else:
            server = stack.enter_context(servers.postgres(max_connections=100))
            assert server.pid is not None
            os.sched_setaffinity(server.pid, THEIRS)  # and so what it starts for connections
            url = server.create("payments")
        migrate(project, url)
        boot = stack.enter_context(booting(project, ports))
        # Without replacements of workers: each takes as much time as some hundred payments.
        settings = {"WEB_CONCURRENCY": "2", "MAX_REQUESTS": "0", "DATABASE_URL": url}
        yield boot(wrapper=pinned(THEIRS), **settings)


def test_three_times_what_it_can_carry(
    service: Service, record_property: Callable[[str, object], None]
) -> None:
    """Goodput stays at 80 percent of the peak, refusals are quick, and probes notice nothing."""
    offer(service, 1, "clients", CLIENTS)  # connections are made, code is warm
    before = offer(service, PEAK_SECONDS, "clients", CLIENTS)
    with Load(service.management_port, "/health/ready", [PROBE] * 2) as probes:
        over = offer(service, OVERLOAD_SECONDS, "rate", TIMES * before["good_per_second"])
    after = offer(service, PEAK_SECONDS, "clients", CLIENTS)
    print(before, over, after, sep="\n")  # noqa: T201 - the figures are what it is for
    # What it can carry drifts, with the machine and with the size of the tables.
    peak = (before["good_per_second"] + after["good_per_second"]) / 2
    kept = over["good_per_second"] / peak
    told = f"{kept:.0%} of {peak:.0f}/s, refused in {over['milliseconds']['503']} ms"
    record_property("load", told)

    # Each request has an answer, and there are no others than these.
    assert set(over["outcomes"]) == {"201", "503"}, over
    assert not over["unanswered"], over
    assert kept >= GOODPUT, told
    assert over["milliseconds"]["503"]["median"] <= REFUSED_WITHIN_MS, told
    assert probes.tally.requests > OVERLOAD_SECONDS
    assert probes.tally.lost == 0, str(probes.tally)
