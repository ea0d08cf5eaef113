"""What payments leave behind, put together and compared: replies, rows and events."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..chassis.idempotency import idempotency_keys as replies
from ..chassis.outbox import outbox_events as events
from ..chassis.outbox.event import lowest_id
from .events import TOPIC
from .store import payments

OVERDUE = timedelta(minutes=5)
"""An event that isn't published after so long is a difference."""

HISTORIES = {
    "accepted": ["payment.accepted"],
    "captured": ["payment.accepted", "payment.captured"],
    "declined": ["payment.accepted", "payment.declined"],
}
"""The events of a payment, in their order, by its status."""

SAME = ("id", "amount", "currency", "reference")
"""What reply, row and event have to say alike."""

Fields = dict[str, Any]


@dataclass
class Trace:
    """One payment's."""

    payment_id: str
    row: Fields | None = None
    reply: Fields | None = None
    events: list[Fields] = field(default_factory=list)


@dataclass(frozen=True)
class Kept:
    """From when on replies and published events are kept; what is older can't be compared."""

    replies: datetime
    events: datetime


def differences(trace: Trace, now: datetime, kept: Kept) -> Iterator[str]:
    """In words, what doesn't agree."""
    row = trace.row
    if row is None:
        yield "there is no payment"
        return
    if row["created_at"] > kept.replies:
        yield from _of_the_reply(trace, row)
    if row["created_at"] > kept.events:
        yield from _of_the_events(trace, row, now)


def _of_the_reply(trace: Trace, row: Fields) -> Iterator[str]:
    if trace.reply is None:
        yield "the reply to its request isn't stored"
        return
    told = json.loads(trace.reply["body"])
    if told.get("id") != trace.payment_id:
        yield f"its key belongs to another payment, {told.get('id')}"
    elif not _same(told, row):
        yield "the reply to its request says something else"


def _of_the_events(trace: Trace, row: Fields, now: datetime) -> Iterator[str]:
    types = [event["type"] for event in trace.events]
    if types != HISTORIES.get(row["status"]):
        yield f"it is {row['status']}, but its events are {', '.join(types) or 'none'}"
    for event in trace.events:
        if not _same(event["data"], row):
            yield f"the event {event['type']} says something else"
        if event["published_at"] is None and event["created_at"] < now - OVERDUE:
            yield f"the event {event['type']} waits since {event['created_at']:%F %T} UTC"
    if trace.events and (trace.events[0]["request_id"] or "") != row["request_id"]:
        yield "its first event is of another request"


def _same(told: Fields, row: Fields) -> bool:
    return all(told.get(name) == (str(row[name]) if name == "id" else row[name]) for name in SAME)


async def of_request(connection: AsyncConnection, request_id: str) -> list[Trace]:
    """Those of the payments that a request has made, which mostly is one."""
    rows = [row async for row in _rows(connection, payments.c.request_id == request_id)]
    if not rows:
        return []
    # The ids of events begin with the time, and are indexed: no older ones need to be looked at.
    since = lowest_id(min(row["created_at"] for row in rows))
    keys = [str(row["id"]) for row in rows]
    told = [
        e async for e in _events(connection, and_(events.c.key.in_(keys), events.c.id >= since))
    ]
    return [trace async for trace in _merged(_each(rows), _each(told))]


async def of_day(connection: AsyncConnection, day: date) -> AsyncIterator[Trace]:
    """Those of the payments that were accepted on a day (UTC), one after the other.

    Read as they lie in the database: a day may have millions.
    """
    begin = datetime.combine(day, time.min, UTC)
    first, end = lowest_id(begin), lowest_id(begin + timedelta(days=1))
    rows = _rows(connection, and_(payments.c.id >= first, payments.c.id < end))
    told = _events(connection, and_(events.c.key >= str(first), events.c.key < str(end)))
    async for trace in _merged(rows, told):
        yield trace
    # Last, replies that tell of payments which there are not.
    lost = replies.outerjoin(
        payments,
        and_(payments.c.caller == replies.c.scope, payments.c.idempotency_key == replies.c.key),
    )
    created = replies.c.created_at
    query = (
        select(replies)
        .select_from(lost)
        .where(payments.c.id.is_(None), created >= begin, created < begin + timedelta(days=1))
    )
    async for reply in _stream(connection, query):
        if reply["headers"].get("Location", "").startswith("/payments/"):
            yield Trace(json.loads(reply["body"])["id"], reply=reply)


async def _rows(connection: AsyncConnection, chosen: ColumnElement[bool]) -> AsyncIterator[Fields]:
    """Payments by id, each with the reply that its key was given."""
    answered = payments.outerjoin(
        replies,
        and_(replies.c.scope == payments.c.caller, replies.c.key == payments.c.idempotency_key),
    )
    told = replies.c.status.label("reply_status"), replies.c.body.label("reply_body")
    query = select(payments, *told).select_from(answered).where(chosen).order_by(payments.c.id)
    async for row in _stream(connection, query):
        yield row


async def _events(
    connection: AsyncConnection, chosen: ColumnElement[bool]
) -> AsyncIterator[Fields]:
    """Events of payments, by payment and then in their order."""
    query = select(events).where(events.c.topic == TOPIC, chosen)
    async for event in _stream(connection, query.order_by(events.c.key, events.c.sequence)):
        yield event


async def _stream(connection: AsyncConnection, query: Any) -> AsyncIterator[Fields]:
    async with connection.stream(query) as found:
        async for row in found.mappings():
            yield dict(row)


async def _each(items: list[Fields]) -> AsyncIterator[Fields]:
    for item in items:
        yield item


async def _merged(rows: AsyncIterator[Fields], told: AsyncIterator[Fields]) -> AsyncIterator[Trace]:
    """Put rows and events together, both of which come in the order of the payments' ids."""
    row, event = await anext(rows, None), await anext(told, None)
    while row is not None or event is not None:
        ids = [str(row["id"])] if row is not None else []
        trace = Trace(min([*ids, event["key"]] if event is not None else ids))
        if row is not None and str(row["id"]) == trace.payment_id:
            trace.row = row
            if row["reply_body"] is not None:
                trace.reply = {"status": row["reply_status"], "body": row["reply_body"]}
            row = await anext(rows, None)
        while event is not None and event["key"] == trace.payment_id:
            trace.events.append(event)
            event = await anext(told, None)
        yield trace
