"""Redis in a service: a client in each worker, a health check, and the outbox' sink."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from .. import outbox
from ..service import Service
from .redis_client import make_client
from .redis_settings import RedisSettings
from .stream_sink import StreamSink

CHECK_SECONDS = 2.0
"""The timeout of the health check (SPEC C2)."""


def install(service: Service) -> None:
    """Give a service its Redis, as `service.state.redis`, and its events a stream.

    While Redis is away the outbox holds the events: readiness shows it, but goes on saying yes.
    """
    service.resource("redis", _opened)

    async def answers() -> bool:
        client: Redis = service.state.redis
        return bool(await client.ping())

    service.health.register(
        "redis", answers, "Redis answers", critical=False, probed=True, timeout=CHECK_SECONDS
    )

    @asynccontextmanager
    async def sink() -> AsyncIterator[outbox.Sink]:
        settings = RedisSettings.current()
        yield StreamSink(
            service.state.redis,
            stream=settings.event_stream,
            maxlen=settings.redis_stream_maxlen,
        )

    outbox.publish_to(service, sink)


@asynccontextmanager
async def _opened() -> AsyncIterator[Redis]:
    """A worker's connections; none is made before somebody needs it."""
    client = make_client(RedisSettings.current())
    try:
        yield client
    finally:
        await client.aclose()
