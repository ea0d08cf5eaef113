"""For consumers: having an effect once, though an event may be delivered more than once."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from .outbox_tables import inbox_events


async def is_new(connection: AsyncConnection, consumer: str, event_id: UUID) -> bool:
    """Note that `consumer` has seen the event; False if it had before.

    In the transaction that has the effect, so that both happen or neither. Of two at once the
    second one waits for the first.
    """
    row = {"consumer": consumer, "event_id": event_id, "consumed_at": datetime.now(UTC)}
    statement: Insert
    if connection.dialect.name == "postgresql":
        statement = postgresql.insert(inbox_events).values(row).on_conflict_do_nothing()
    else:
        statement = sqlite.insert(inbox_events).values(row).on_conflict_do_nothing()
    return (await connection.execute(statement)).rowcount == 1
