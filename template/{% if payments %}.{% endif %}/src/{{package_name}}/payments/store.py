"""The table of payments and its queries. They run in the caller's transaction."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, Row, String, Table, Uuid, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..chassis.database import UtcTime, metadata
from .payment import MAX_REFERENCE, Payment, PaymentStatus

# Literally: an index for some rows is used by queries that say the same, not by parameters.
WAITS = text("status = 'accepted'")

payments = Table(
    "payments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("reference", String(MAX_REFERENCE), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    # What leads from a request to its payment, for support and reconciliation.
    Column("request_id", String(128), nullable=False, index=True),
    Column("caller", String(255), nullable=False),
    Column("idempotency_key", String(255), nullable=False),
    # From when on it may be captured, or captured again; see capture.py.
    Column("capture_at", UtcTime, nullable=False),
    Index("ix_payments_to_capture", "capture_at", postgresql_where=WAITS, sqlite_where=WAITS),
)

_INSERT = payments.insert()  # made once: building a statement costs as much as sending it
_SHOWN = select(*(payments.c[name] for name in Payment.model_fields))


async def add(
    connection: AsyncConnection,
    payment: Payment,
    *,
    request_id: str,
    caller: str,
    idempotency_key: str,
) -> None:
    """Store a new payment."""
    row = payment.model_dump() | {
        "request_id": request_id,
        "caller": caller,
        "idempotency_key": idempotency_key,
        "capture_at": payment.created_at,
    }
    await connection.execute(_INSERT, row)


async def find(connection: AsyncConnection, payment_id: UUID) -> Payment | None:
    """The payment of that id, if there is one."""
    found = await connection.execute(_SHOWN.where(payments.c.id == payment_id))
    row = found.one_or_none()
    return None if row is None else _payment(row)


async def newest(
    connection: AsyncConnection, *, limit: int, before: UUID | None = None
) -> list[Payment]:
    """The newest payments, or the newest that are older than `before`.

    By id, which sorts by time: a page is read off the primary key, however far down it is, and
    payments that come in meanwhile move nothing.
    """
    query = _SHOWN.order_by(payments.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(payments.c.id < before)
    return [_payment(row) for row in await connection.execute(query)]


async def change_status(
    connection: AsyncConnection, payment_id: UUID, old: PaymentStatus, new: PaymentStatus
) -> Payment | None:
    """Move a payment from one status to another; None when it isn't in the old one any more."""
    changed = await connection.execute(
        update(payments)
        .where(payments.c.id == payment_id, payments.c.status == old)
        .values(status=new)
        .returning(*_SHOWN.selected_columns)
    )
    row = changed.one_or_none()
    return None if row is None else _payment(row)


async def lease_due(
    connection: AsyncConnection, now: datetime, *, until: datetime, limit: int
) -> list[Payment]:
    """Take payments that are to be captured now; until then nobody else gets them.

    Workers skip what others are taking, rather than wait for it.
    """
    due = (
        select(payments.c.id)
        .where(WAITS, payments.c.capture_at <= now)
        .order_by(payments.c.capture_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    leased = await connection.execute(
        update(payments)
        .where(payments.c.id.in_(select(due.c.id)))
        .values(capture_at=until)
        .returning(*_SHOWN.selected_columns)
    )
    return [_payment(row) for row in leased]


async def put_off(connection: AsyncConnection, payment_id: UUID, until: datetime) -> None:
    """Let a payment be captured from then on."""
    await connection.execute(
        update(payments).where(payments.c.id == payment_id).values(capture_at=until)
    )


def _payment(row: Row[Any]) -> Payment:
    return Payment(**row._mapping)
