"""Payments over HTTP: what is asked, what is answered, and what is refused."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response

from ..chassis.database import CurrentDatabase
from ..chassis.http.problems import documented
from ..chassis.idempotency import DOCUMENTED, IdempotencyKey
from . import service
from .payment import Payment, PaymentOrder, PaymentPage

MAX_LIMIT = 100

router = APIRouter(prefix="/payments", tags=["payments"], responses=documented(503))

Cursor = Annotated[
    str | None,
    Query(pattern="^[A-Za-z0-9_-]{22}$", description="Where to go on: `next` of the last page."),
]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many payments at most.")]


@router.post(
    "",
    status_code=201,
    response_model=Payment,
    responses=documented(400, 409, 413, 422),
    openapi_extra=DOCUMENTED,
)
async def accept(order: PaymentOrder, key: IdempotencyKey, database: CurrentDatabase) -> Response:
    """Take a payment. Sent again with the same key it is taken once, and answered the same."""
    reply = await service.accept(database, order, key)
    return reply.response()


@router.get("/{payment_id}", responses=documented(404, 422))
async def show(payment_id: UUID, database: CurrentDatabase) -> Payment:
    """One payment as it is now."""
    payment = await service.find(database, payment_id)
    if payment is None:
        raise HTTPException(404, "There is no payment of this id.")
    return payment


@router.get("", responses=documented(422))
async def index(database: CurrentDatabase, limit: Limit = 20, cursor: Cursor = None) -> PaymentPage:
    """Payments, the newest first. What comes in while one turns the pages moves nothing."""
    before = None if cursor is None else _position(cursor)
    payments, last = await service.newest(database, limit=limit, before=before)
    return PaymentPage(payments=payments, next=None if last is None else _cursor(last))


# A cursor is a position among ids. To clients it is opaque, so that it may become another one.


def _cursor(position: UUID) -> str:
    return urlsafe_b64encode(position.bytes).decode().rstrip("=")


def _position(cursor: str) -> UUID:
    return UUID(bytes=urlsafe_b64decode(f"{cursor}=="))
