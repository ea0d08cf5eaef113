# mypy: ignore-errors
"""Bare inserts inside of the service: a module of the user's, beside `payments`.

A row is that of a payment, in a transaction and a table of its own; without key, reply and event.
"""

from datetime import UTC, datetime

from fastapi import APIRouter
from sqlalchemy import MetaData

from .chassis.database import CurrentDatabase
from .chassis.identifiers import new_id
from .payments import store
from .payments.payment import Payment, PaymentOrder, PaymentStatus

router = APIRouter(prefix="/bare")

_INSERT = store.payments.to_metadata(MetaData(), name="bare_payments_service").insert()


@router.post("", status_code=201)
async def pay(order: PaymentOrder, database: CurrentDatabase) -> Payment:
    """Store a payment that nobody hears of."""
    payment = _payment(order)
    async with database.transaction() as connection:
        await connection.execute(_INSERT, _row(payment))
    return payment


@router.post("/three", status_code=201)
async def pay_three_times(order: PaymentOrder, database: CurrentDatabase) -> Payment:
    """Store three, one after the other in the same transaction."""
    payments = [_payment(order) for _ in range(3)]
    async with database.transaction() as connection:
        for payment in payments:
            await connection.execute(_INSERT, _row(payment))
    return payments[0]


@router.post("/none", status_code=201)
async def forget(order: PaymentOrder) -> Payment:
    """Store nothing."""
    return _payment(order)


def _payment(order: PaymentOrder) -> Payment:
    return Payment(
        id=new_id(),
        status=PaymentStatus.ACCEPTED,
        created_at=datetime.now(UTC),
        **order.model_dump(),
    )


def _row(payment: Payment) -> dict[str, object]:
    return payment.model_dump() | {
        "request_id": "",
        "caller": "",
        "idempotency_key": "",
        "capture_at": payment.created_at,
    }
