"""The outbox in a service: a relay and a keeper in each worker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial

from ..database.departure import is_leaving
from ..service import Service
from . import bell, outbox_board, outbox_health
from .keeper import Keeper
from .outbox_settings import OutboxSettings
from .relay import Relay
from .sinks import LogSink, Sink
from .store import Store

CHECK_SECONDS = 1.0

SinkOpener = Callable[[], AbstractAsyncContextManager[Sink]]


def publish_to(service: Service, opener: SinkOpener) -> None:
    """Publish events there instead of to the log; the last call counts.

    Each worker opens the sink before its relay starts, and closes it when that has ended.
    """
    service.state.event_sink_opener = opener


def install(service: Service) -> None:
    """Give a service its outbox. After the database and the sink, which are closed after it."""
    if not hasattr(service.state, "event_sink_opener"):
        publish_to(service, _log_sink)
    service.resource("outbox", partial(_relaying, service))

    async def check() -> bool:
        settings = OutboxSettings.current()
        return outbox_health.check(
            outbox_board.current,
            max_lag=settings.outbox_max_lag_seconds,
            max_backlog=settings.outbox_max_backlog,
        )

    service.health.register(
        "outbox", check, "Events are published", critical=False, timeout=CHECK_SECONDS
    )


@asynccontextmanager
async def _log_sink() -> AsyncIterator[Sink]:
    yield LogSink()


@asynccontextmanager
async def _relaying(service: Service) -> AsyncIterator[Relay]:
    """Run relay and keeper; in the end the relay finishes the batch that it has in hand."""
    settings = OutboxSettings.current()
    board = outbox_board.current
    store = Store(service.state.database, lease_seconds=settings.outbox_lease_seconds)
    keeper = Keeper(
        store,
        board,
        retention=timedelta(days=settings.outbox_retention_days),
        is_leaving=is_leaving,
    )
    async with service.state.event_sink_opener() as sink:
        relay = Relay(
            store,
            sink,
            board,
            batch_size=settings.outbox_batch_size,
            poll_seconds=settings.outbox_poll_seconds,
            publish_seconds=settings.outbox_publish_timeout_seconds,
            max_backoff_seconds=settings.outbox_max_backoff_seconds,
            max_attempts=settings.outbox_max_attempts,
            is_leaving=is_leaving,
        )
        keeping = asyncio.create_task(keeper.run(), name="outbox keeper")
        relaying = asyncio.create_task(relay.run(), name="outbox relay")
        unsubscribe = bell.current.subscribe(relay.wake)
        try:
            yield relay
        finally:
            unsubscribe()
            keeping.cancel()
            relay.stop()
            await relaying  # and when the closing time is over, it is cancelled with this
