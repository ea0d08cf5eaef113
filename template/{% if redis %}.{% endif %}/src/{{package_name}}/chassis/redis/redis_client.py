"""A Redis client that doesn't wait longer than it was told to.

The library's own default retries ten times, which made a call take 3.5 seconds while Redis was
away; here whoever calls decides whether to try again.
"""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from .redis_settings import RedisSettings


def make_client(settings: RedisSettings) -> Redis:
    """A client with a bounded pool; it connects when it is first used.

    Each step is bounded by REDIS_TIMEOUT_SECONDS: waiting for a connection of the pool, connecting,
    and each reply. What blocks on the server (XREADGROUP, say) needs a longer one.
    """
    seconds = settings.redis_timeout_seconds
    pool = BlockingConnectionPool.from_url(
        settings.redis_url.get_secret_value(),
        max_connections=settings.redis_pool_size,
        timeout=seconds,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        client_name=settings.answers.service_name,
        decode_responses=True,
    )
    return Redis.from_pool(pool)  # which is closed with it
