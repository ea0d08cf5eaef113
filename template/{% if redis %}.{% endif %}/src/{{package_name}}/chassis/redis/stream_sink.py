"""Events to a Redis stream (https://redis.io/docs/latest/commands/xadd/)."""

from collections.abc import Sequence

import orjson
from redis.asyncio import Redis
from redis.exceptions import DataError, RedisError
from redis.typing import EncodableT, FieldT

from ..outbox import Event, SinkAwayError


class StreamSink:
    """Adds events to one stream that keeps about the last `maxlen` of them.

    A batch is one transaction: all of it is added, or nothing. Piece by piece, an event could be
    refused for want of memory and the next one of its key be added.
    """

    def __init__(self, client: Redis, *, stream: str, maxlen: int) -> None:
        self._client = client
        self._stream = stream
        self._maxlen = maxlen

    async def publish(self, events: Sequence[Event]) -> None:
        """Add the events in their order. SinkAwayError whatever Redis has against it."""
        try:
            async with self._client.pipeline(transaction=True) as pipeline:
                for event in events:
                    pipeline.xadd(
                        self._stream, fields(event), maxlen=self._maxlen, approximate=True
                    )
                await pipeline.execute()
        except DataError:
            raise  # it is the event that can't be sent
        except RedisError as error:
            raise SinkAwayError(f"{type(error).__name__}: {error}") from error


def fields(event: Event) -> dict[FieldT, EncodableT]:
    """The fields of a stream's entry, all of them texts; `data` is JSON."""
    return {
        "id": str(event.id),
        "topic": event.topic,
        "type": event.type,
        "key": event.key,
        "data": orjson.dumps(event.data),
        "request_id": event.request_id or "",
        "created_at": event.created_at.isoformat(),
    }
