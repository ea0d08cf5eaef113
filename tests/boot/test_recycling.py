"""Recycling workers after so many requests (SPEC B3)."""

from __future__ import annotations

import pytest
from boot.fixtures import Boot, Lossless
from boot.load import PROBE, Load

pytestmark = [pytest.mark.boot, pytest.mark.load]


@pytest.mark.parametrize(("workers", "requests"), [("2", 4000), ("1", 1500)])
def test_recycling_under_load(workers: str, requests: int, boot: Boot, lossless: Lossless) -> None:
    """Workers that go after 300 requests lose none, also when the only one is replaced."""
    service = boot(WEB_CONCURRENCY=workers, MAX_REQUESTS="300", MAX_REQUESTS_JITTER="30")
    with (
        Load(service.management_port, "/health/ready", [PROBE] * 2) as probes,
        Load(service.port) as load,
    ):
        load.reach(requests, within=90)
    lossless(load, at_least=requests)
    assert probes.tally.lost == 0, str(probes.tally)
    assert len(load.tally.replies) >= requests / 300 / 2, "workers have been replaced"
    assert service.complaints() == []
    assert len(service.wait_workers(int(workers))) == int(workers)
    assert service.stop() == 0
