# mypy: ignore-errors
"""The wiring of a service whose workers have a counter of so many series, to be scraped."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Counter

from .chassis import Service


@asynccontextmanager
async def _counter() -> AsyncIterator[Counter]:
    counter = Counter("bench_orders", "Orders.", ["tenant"])
    for tenant in range(int(os.environ["SERIES"])):
        counter.labels(f"tenant-{tenant}").inc(tenant)
    yield counter


def wire(service: Service) -> None:
    """Register the service's parts."""
    service.resource("counter", _counter)
