# mypy: ignore-errors
"""One bare insert inside of the service: a module of the user's, beside `payments`.

The row is that of a payment, in a transaction and a table of its own; without key, reply and event.
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
    payment = Payment(
        id=new_id(),
        status=PaymentStatus.ACCEPTED,
        created_at=datetime.now(UTC),
        **order.model_dump(),
    )
    async with database.transaction() as connection:
        row = payment.model_dump() | {
            "request_id": "",
            "caller": "",
            "idempotency_key": "",
            "capture_at": payment.created_at,
        }
        await connection.execute(_INSERT, row)
    return payment
