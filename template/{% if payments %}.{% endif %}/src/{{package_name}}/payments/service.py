"""The rules of payments; nothing here knows of HTTP or SQL.

What belongs together is written in one transaction: a payment, the reply that a repetition of its
request gets, and the event that tells others. All of them exist, or none.
"""

from datetime import UTC, datetime
from uuid import UUID

from ..chassis import outbox
from ..chassis.context import request_id
from ..chassis.database import Database
from ..chassis.idempotency import IdempotentRequest, Reply, remember
from ..chassis.identifiers import new_id
from . import store
from .events import event_of
from .payment import TRANSITIONS, Payment, PaymentOrder, PaymentStatus


async def accept(database: Database, order: PaymentOrder, key: str, *, caller: str = "") -> Reply:
    """Take a payment, once for each key of a caller; a repetition has the first reply."""
    payment = Payment(
        id=new_id(),
        status=PaymentStatus.ACCEPTED,
        created_at=datetime.now(UTC),
        **order.model_dump(),
    )
    request = IdempotentRequest.of("POST /payments", key, order, scope=caller)
    reply = Reply(201, payment.model_dump_json(), {"Location": f"/payments/{payment.id}"})
    async with database.transaction() as connection:
        earlier = await remember(connection, request, reply)
        if earlier is not None:
            return earlier
        await store.add(
            connection, payment, request_id=request_id() or "", caller=caller, idempotency_key=key
        )
        await outbox.add(connection, event_of(payment))
    return reply


async def change_status(database: Database, payment: Payment, new: PaymentStatus) -> bool:
    """Move a payment on and tell others; False when somebody else has moved it meanwhile."""
    if new not in TRANSITIONS[payment.status]:
        raise ValueError(f"a payment that is {payment.status} doesn't become {new}")
    async with database.transaction() as connection:
        changed = await store.change_status(connection, payment.id, payment.status, new)
        if changed is None:
            return False
        await outbox.add(connection, event_of(changed))
    return True


async def find(database: Database, payment_id: UUID) -> Payment | None:
    """The payment of that id, if there is one."""
    async with database.reading() as connection:
        return await store.find(connection, payment_id)


async def newest(
    database: Database, *, limit: int, before: UUID | None
) -> tuple[list[Payment], UUID | None]:
    """A page of payments, the newest first, and where the next page goes on, if there is one."""
    async with database.reading() as connection:
        found = await store.newest(connection, limit=limit + 1, before=before)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None
