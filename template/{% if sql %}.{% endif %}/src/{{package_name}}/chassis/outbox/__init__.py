"""The outbox: events that are stored with what they tell of, and published after that.

    async with database.transaction() as connection:
        await connection.execute(orders.insert().values(...))
        await outbox.add(connection, Event(topic="orders", key=str(id), type="order.placed", ...))

Both are committed, or neither is. A relay in each worker publishes what was committed, at least
once and in the order of each key, to the log, to a Redis stream, or to a `Sink` of your own.
"""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from . import bell
from .event import Event
from .feature import install, publish_to
from .inbox import is_new
from .lanes import lane_of, lanes_of
from .outbox_settings import OutboxSettings
from .outbox_tables import outbox_events
from .sinks import LogSink, Sink, SinkAwayError

__all__ = [
    "Event",
    "LogSink",
    "OutboxSettings",
    "Sink",
    "SinkAwayError",
    "add",
    "add_all",
    "install",
    "is_new",
    "outbox_events",
    "publish_to",
]


_INSERT = outbox_events.insert().inline()  # made once: building a statement takes its time, too


async def add(connection: AsyncConnection, event: Event) -> None:
    """Store an event in the transaction of `connection`; it is published once that is committed.

    After the statement that locks what the event is about (an insert or update of its row): then
    the events of a key have the order of its changes. `data` has to be JSON.
    """
    await connection.execute(_INSERT, _row(event, lanes_of(connection.dialect.name)))
    bell.current.ring_after(connection)


async def add_all(connection: AsyncConnection, events: Iterable[Event]) -> None:
    """Store several events in this order."""
    lanes = lanes_of(connection.dialect.name)
    if rows := [_row(event, lanes) for event in events]:
        await connection.execute(_INSERT, rows)
        bell.current.ring_after(connection)


def _row(event: Event, lanes: int) -> dict[str, object]:
    return {
        "id": event.id,
        "lane": lane_of(event.key, lanes),
        "topic": event.topic,
        "key": event.key,
        "type": event.type,
        "data": dict(event.data),
        "request_id": event.request_id,
        "created_at": event.created_at,
    }
