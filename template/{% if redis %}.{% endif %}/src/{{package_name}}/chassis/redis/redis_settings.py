"""The settings of a service with Redis."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError
from redis.asyncio import ConnectionPool

from ..settings import ChassisSettings, refusal
from ..settings.setting_types import Maybe

_SCHEMES = ("redis://", "rediss://", "unix://")


class RedisSettings(ChassisSettings):
    """What the chassis can be told about Redis."""

    redis_url: SecretStr = Field(description="Redis, e.g. redis://:password@host:6379/0")
    redis_timeout_seconds: float = Field(
        default=2, ge=0.05, le=60, description="for Redis to connect, and to answer, in"
    )
    redis_pool_size: int = Field(
        default=4, ge=1, le=1000, description="connections of a worker at most"
    )
    redis_stream: Maybe[str] = Field(
        default=None, max_length=200, description="the stream of events; empty: <service>:events"
    )
    redis_stream_maxlen: int = Field(
        default=1_000_000, ge=1, le=10**9, description="events that the stream keeps, about"
    )

    @property
    def event_stream(self) -> str:
        """The name of the stream that events go to."""
        return self.redis_stream or f"{self.answers.service_name}:events"

    @field_validator("redis_url")
    @classmethod
    def _refuse_other_urls(cls, value: SecretStr) -> SecretStr:
        if wrong := _wrong_url(value.get_secret_value()):
            line = f"REDIS_URL is refused: it {wrong}"
            raise PydanticCustomError(refusal.CONFLICT, "{wrong}", {"wrong": line})
        return value


def _wrong_url(url: str) -> str | None:
    """What is wrong with it, without showing it: it may have a password."""
    if not url.startswith(_SCHEMES):
        return f"must begin with {', '.join(_SCHEMES)}"
    try:
        # What the client doesn't know it would otherwise refuse at each connection.
        pool = ConnectionPool.from_url(url)
        pool.connection_class(**pool.connection_kwargs)
        path = urlsplit(url).path.strip("/")
    except (TypeError, ValueError):
        return "must be a URL such as redis://:password@host:6379/0"
    if not url.startswith("unix://") and path and not path.isdecimal():
        return "must end with a database's number, as in redis://:password@host:6379/0"
    return None
