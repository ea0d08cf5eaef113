"""Redis: the client of the service, and the stream that its events go to."""

from .feature import install
from .redis_client import make_client
from .redis_settings import RedisSettings
from .stream_sink import StreamSink

__all__ = ["RedisSettings", "StreamSink", "install", "make_client"]
