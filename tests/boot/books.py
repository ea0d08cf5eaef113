"""The books after the storm: what clients were told, what is stored, and what was published.

Read from the database's own tables by its own tools, and compared by nothing that the service has
a part in. `differences` says in words what doesn't agree; it is empty, or something was lost.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import servers
from boot.payers import Paid
from boot.witness import Published

PAYMENTS = "SELECT id, status, amount, currency, reference, idempotency_key FROM payments"
REPLIES = "SELECT key, status, body FROM idempotency_keys"
EVENTS = "SELECT id, key, type, published_at FROM outbox_events ORDER BY sequence"

HISTORIES = {
    "accepted": ["payment.accepted"],
    "captured": ["payment.accepted", "payment.captured"],
}
"""The events of a payment by its status."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Books:
    """What is stored."""

    payments: Sequence[Row]
    replies: Sequence[Row]
    events: Sequence[Row]
    """In the order in which they were written."""


def of_postgres(server: servers.Postgres, database: str) -> Books:
    """The books in a PostgreSQL."""

    def rows(query: str) -> list[Row]:
        printed = server.run(f"SELECT row_to_json(r) FROM ({query}) r", database)  # noqa: S608
        return [json.loads(line) for line in printed.splitlines()]

    return Books(rows(PAYMENTS), rows(REPLIES), rows(EVENTS))


def of_sqlite(file: Path) -> Books:
    """The books in a file."""
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row

        def rows(query: str) -> list[Row]:
            found = [dict(row) for row in connection.execute(query)]
            return [row | {"id": str(UUID(row["id"]))} if "id" in row else row for row in found]

        return Books(rows(PAYMENTS), rows(REPLIES), rows(EVENTS))


def differences(
    paid: Mapping[str, Paid], books: Books, published: Sequence[Published]
) -> Iterator[str]:
    """What doesn't agree. `published` is all that ever was, in its order, with repetitions."""
    by_key: dict[str, list[Row]] = {}
    for row in books.payments:
        by_key.setdefault(row["idempotency_key"], []).append(row)
    yield from _payments(paid, by_key)
    yield from _replies(paid, books)
    yield from _events(books, published)


def _payments(paid: Mapping[str, Paid], by_key: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    for key, rows in by_key.items():
        if len(rows) > 1:
            yield f"the key {key} has {len(rows)} payments"
        if key not in paid:
            yield f"nobody has sent the key {key}, but it has a payment"
    for key, payment in paid.items():
        if payment.reply is None:
            continue
        told = json.loads(payment.reply)
        sent = payment.order | {"id": told["id"]}
        if key not in by_key:
            yield f"the payment {told['id']} was acknowledged and isn't stored"
        elif any(by_key[key][0][name] != value for name, value in sent.items()):
            yield f"stored is {by_key[key][0]}, acknowledged was {told}, sent was {payment.order}"


def _replies(paid: Mapping[str, Paid], books: Books) -> Iterator[str]:
    count = Counter(row["key"] for row in books.replies)
    yield from (f"the key {key} has {times} replies" for key, times in count.items() if times > 1)
    stored = {row["key"]: row for row in books.replies}
    for key, payment in paid.items():
        if payment.reply is None:
            continue
        if key not in stored:
            yield f"the reply to the key {key} isn't stored"
        elif (stored[key]["status"], stored[key]["body"].encode()) != (201, payment.reply):
            yield f"the reply to the key {key} was {payment.reply!r}, stored is {stored[key]}"
    for key in stored.keys() - {row["idempotency_key"] for row in books.payments}:
        yield f"a reply is stored for the key {key}, but no payment"


def _events(books: Books, published: Sequence[Published]) -> Iterator[str]:
    written: dict[str, list[Row]] = {row["id"]: [] for row in books.payments}
    for event in books.events:
        if event["key"] in written:
            written[event["key"]].append(event)
        else:
            yield f"an event tells of the payment {event['key']}, which isn't stored"
        if event["published_at"] is None:
            yield f"the event {event['id']} waits still"
    stored = {row["id"]: row for row in books.payments}
    first: dict[str, dict[str, None]] = {}  # each event's first publication, in order, by payment
    for seen in published:
        first.setdefault(seen.key, {})[seen.id] = None
        row = stored.get(seen.key)
        if row is None:
            yield f"published was {seen}, whose payment isn't stored"
        elif any(seen.data[name] != row[name] for name in ("id", "amount", "reference")):
            yield f"published was {seen}, stored is {row}"
    for payment, events in written.items():
        types = [event["type"] for event in events]
        if types != HISTORIES[stored[payment]["status"]]:
            yield f"the payment {payment} is {stored[payment]['status']}, its events are {types}"
        ids = [event["id"] for event in events]
        told = list(first.get(payment, {}))
        if missing := [event for event in ids if event not in told]:
            yield f"never published: {missing} of the payment {payment}, of {types}"
        elif told != ids:
            yield f"the events of the payment {payment} are {ids}, published in the order {told}"
