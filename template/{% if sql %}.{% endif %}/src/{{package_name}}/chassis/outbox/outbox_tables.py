"""The tables of the outbox.

An event stays where it is when it is published: `published_at` is set, and it is deleted days
later. What waits is found by partial indexes that hold nothing else, so that claiming takes the
same time with ten published rows and with ten million.
https://www.postgresql.org/docs/current/indexes-partial.html, https://www.sqlite.org/partialindex.html
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    and_,
)

from ..database import metadata
from ..database.utc_time import UtcTime

outbox_events = Table(
    "outbox_events",
    metadata,
    # The order of events. A transaction that commits late leaves a gap that is filled later:
    # what has a lower number than something published isn't published for that.
    Column(
        "sequence",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("id", Uuid, nullable=False, unique=True),
    Column("lane", SmallInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("request_id", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("published_at", UtcTime),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("parked_at", UtcTime),
    Column("error", Text),
)

waits = and_(outbox_events.c.published_at.is_(None), outbox_events.c.parked_at.is_(None))
"""The event is neither published nor given up."""

is_parked = and_(outbox_events.c.published_at.is_(None), outbox_events.c.parked_at.is_not(None))
"""The event was given up, until somebody looks at it."""

Index(
    "ix_outbox_events_waiting",
    outbox_events.c.lane,
    outbox_events.c.sequence,
    postgresql_where=waits,
    sqlite_where=waits,
)
Index(
    "ix_outbox_events_parked",
    outbox_events.c.key,
    outbox_events.c.sequence,
    postgresql_where=is_parked,
    sqlite_where=is_parked,
)

outbox_lanes = Table(
    "outbox_lanes",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    # The claim that holds the lane, and until when by the database's clock (Unix time).
    Column("claim", Uuid),
    Column("held_until", Double, nullable=False, server_default="0"),
)

inbox_events = Table(
    "inbox_events",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("consumed_at", UtcTime, nullable=False),
)
