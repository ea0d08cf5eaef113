# mypy: ignore-errors
"""One bare insert through the stack that the service has: FastAPI, SQLAlchemy Core and asyncpg.

The row is that of a payment, stored in a transaction of its own; there are no idempotency key, no
event, and nothing around the application. `DATABASE_URL` and `POOL_SIZE` come from the environment,
the table is made like that of `payments`, which the service's migrations have made.
"""

import os
from datetime import UTC, datetime
from uuid import UUID, uuid4

from fastapi import FastAPI
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, Column, DateTime, MetaData, String, Table, Uuid
from sqlalchemy.ext.asyncio import create_async_engine

TABLE = Table(
    "bare_payments_rival",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("status", String(16)),
    Column("amount", BigInteger),
    Column("currency", String(3)),
    Column("reference", String(140)),
    Column("created_at", DateTime(timezone=True)),
    Column("request_id", String(128)),
    Column("caller", String(255)),
    Column("idempotency_key", String(255)),
    Column("capture_at", DateTime(timezone=True)),
)
INSERT = TABLE.insert()


class Order(BaseModel):
    """What is to be paid."""

    amount: int = Field(gt=0)
    currency: str = Field(min_length=3, max_length=3)
    reference: str = Field(max_length=140)


class Payment(Order):
    """What is answered."""

    id: UUID
    status: str
    created_at: datetime


app = FastAPI()
url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
engine = create_async_engine(url, pool_size=int(os.environ["POOL_SIZE"]), max_overflow=0)


@app.get("/")
async def live() -> None:
    """Say that it runs."""


@app.post("/payments", status_code=201)
async def pay(order: Order) -> Payment:
    """Store a payment."""
    now = datetime.now(UTC)
    payment = Payment(id=uuid4(), status="accepted", created_at=now, **order.model_dump())
    row = payment.model_dump() | {
        "request_id": "",
        "caller": "",
        "idempotency_key": "",
        "capture_at": now,
    }
    async with engine.begin() as connection:
        await connection.execute(INSERT, row)
    return payment
