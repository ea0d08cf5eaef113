# mypy: ignore-errors
"""Orders in three versions of a service, in which a column gets another name.

LAB_VERSION 1 knows `note`. Version 2 writes `note` and `remark` and reads whichever is there, so
that it gets along with 1 and with 3. Version 3 knows `remark` alone.
"""

import os

from fastapi import APIRouter
from sqlalchemy import text
from starlette.exceptions import HTTPException

from ..chassis.database import CurrentDatabase

router = APIRouter()

VERSION = int(os.environ.get("LAB_VERSION", "1"))
INSERT = {
    1: "INSERT INTO orders (note) VALUES (:note) RETURNING id",
    2: "INSERT INTO orders (note, remark) VALUES (:note, :note) RETURNING id",
    3: "INSERT INTO orders (remark) VALUES (:note) RETURNING id",
}[VERSION]
NOTE = {1: "note", 2: "coalesce(remark, note)", 3: "remark"}[VERSION]


@router.post("/orders/{note}")
async def order(note: str, database: CurrentDatabase) -> int:
    """Store an order."""
    async with database.transaction() as connection:
        return (await connection.execute(text(INSERT), {"note": note})).scalar_one()


@router.get("/orders/{number}")
async def show(number: int, database: CurrentDatabase) -> str:
    """The note of an order."""
    async with database.reading() as connection:
        query = text(f"SELECT {NOTE} FROM orders WHERE id = :id")  # noqa: S608 - ours
        found = (await connection.execute(query, {"id": number})).one_or_none()
    if found is None:
        raise HTTPException(404)
    return found[0]


@router.get("/hold")
async def hold(database: CurrentDatabase, ms: float = 200) -> int:
    """Hold a connection for a while."""
    async with database.reading() as connection:
        await connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": ms / 1000})
    return os.getpid()
