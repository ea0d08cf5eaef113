# mypy: ignore-errors
"""One bare insert inside of the service: a module of the user's, beside `payments`.

The row is that of a payment, in a transaction of its own; without key, reply and event.
"""

from datetime import UTC, datetime

from fastapi import APIRouter

from .chassis.database import CurrentDatabase
from .chassis.identifiers import new_id
from .payments import store
from .payments.payment import Payment, PaymentOrder, PaymentStatus

router = APIRouter(prefix="/bare")


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
        await store.add(connection, payment, request_id="", caller="", idempotency_key="")
    return payment
