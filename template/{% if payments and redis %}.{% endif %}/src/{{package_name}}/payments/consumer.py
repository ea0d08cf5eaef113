"""A consumer of the payments' events: an example, for you to copy to the service that needs them.

    make consume

It belongs to a consumer group: Redis keeps for the group what was delivered and not acknowledged.
An event that it was given and hasn't acknowledged comes first, so that one which fails holds up
those behind it. What a crashed consumer has left is taken over. An event may be delivered again;
its id is noted in the transaction that has the effect, so that the effect is had once.

Each event goes to one consumer of the group, whichever asks first: with several of them the order
of a payment's events is lost. Run one, or look at a payment's status rather than at the order.
https://redis.io/docs/latest/develop/data-types/streams/#consumer-groups
"""

import asyncio
import json
import signal
import socket
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..chassis import get_logger, logs, outbox
from ..chassis.database import Database, DatabaseUnavailableError
from ..chassis.database.feature import opened
from ..chassis.redis import make_client
from ..chassis.settings import load_settings, use
from ..main import app
from ..settings import Settings

GROUP = "ledger"
ABANDONED_SECONDS = 60
"""Unacknowledged for so long, it is taken over from its consumer; more than one ever needs."""
BATCH = 100
PAUSE_SECONDS = 1.0

log = get_logger(__name__)


async def handle(connection: AsyncConnection, event: Mapping[str, Any]) -> None:
    """Have an effect. What is written through `connection` is committed with the event's id."""
    log.info("payment event", type=event["type"], payment=event["key"], **event["data"])


class Consumer:
    """One consumer of a group on one stream. `name` is its own, and the same after a restart."""

    def __init__(self, client: Redis, database: Database, stream: str, name: str) -> None:
        self._client = client
        self._database = database
        self._stream = stream
        self._name = name
        # Less than the client waits for any reply.
        self._block = round(Settings.current().redis_timeout_seconds * 500)

    async def run(self) -> None:
        """Consume until it is cancelled."""
        while True:
            try:
                await self.turn()
            except (RedisError, DatabaseUnavailableError) as error:
                log.warning("can't consume, trying again", error=repr(error))
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception:
                log.exception("event not consumed, trying again")
                await asyncio.sleep(PAUSE_SECONDS)

    async def turn(self) -> None:
        """Consume what there is: what others have left and what is unfinished, or what is new."""
        try:
            # It becomes this consumer's own, and so a part of what is unfinished.
            await self._client.xautoclaim(
                self._stream, GROUP, self._name, ABANDONED_SECONDS * 1000, count=BATCH, justid=True
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self._make_group()  # at first, and when Redis has lost its memory
        # What is new comes when nothing is unfinished: else it would overtake that.
        await self._consume_from("0") or await self._consume_from(">")

    async def _consume_from(self, position: str) -> int:
        replies: Any = await self._client.xreadgroup(
            GROUP, self._name, {self._stream: position}, count=BATCH, block=self._block
        )
        entries = [entry for _, entries in replies for entry in entries]
        for entry, fields in entries:
            await self._consume(entry, fields)
        return len(entries)

    async def _consume(self, entry: str, fields: Mapping[str, str] | None) -> None:
        if fields:  # or else it was trimmed from the stream before anybody could consume it
            event = {**fields, "data": json.loads(fields["data"])}
            async with self._database.transaction() as connection:
                if await outbox.is_new(connection, GROUP, UUID(event["id"])):
                    await handle(connection, event)
        await self._client.xack(self._stream, GROUP, entry)

    async def _make_group(self) -> None:
        try:
            # From the beginning of the stream; with "$" from now on.
            await self._client.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # another consumer was faster
                raise


async def main() -> None:
    """Consume until SIGTERM or SIGINT."""
    settings = load_settings(Settings)
    use(settings)
    logs.configure(service=settings.answers.service_name, level=settings.log_level, fmt="json")
    client = make_client(settings)
    async with opened(app) as database:
        consumer = Consumer(client, database, settings.event_stream, socket.gethostname())
        consuming = asyncio.create_task(consumer.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, consuming.cancel)
        await asyncio.wait({consuming})
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(main())
