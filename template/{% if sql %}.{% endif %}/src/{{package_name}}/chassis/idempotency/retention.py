"""Keys are forgotten when nobody repeats their requests any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import uniform
from typing import TYPE_CHECKING

from pydantic import Field
from sqlalchemy import delete, select, tuple_

from .. import logs
from ..database import Database, DatabaseUnavailableError
from ..settings import ChassisSettings
from .records import idempotency_keys

if TYPE_CHECKING:
    from ..service import Service

_PERIOD = 3600.0
_BATCH = 500
_PAUSE = 0.05

_log = logs.get_logger("chassis.idempotency")


class IdempotencySettings(ChassisSettings):
    """What the chassis can be told about idempotency keys."""

    idempotency_retention_days: float = Field(
        default=7, ge=0.01, le=3650, description="a request may be repeated for so long"
    )


def install(service: Service) -> None:
    """Have each worker look for old keys now and then."""

    @asynccontextmanager
    async def forgetting() -> AsyncIterator[None]:
        service.background.start(_run(service), name="idempotency keys", finish=False)
        yield

    service.resource("idempotency_retention", forgetting)


async def _run(service: Service) -> None:
    while True:
        # The workers of all replicas take turns at random: once an hour among them would do.
        await asyncio.sleep(uniform(_PERIOD / 2, _PERIOD * 3 / 2))  # noqa: S311 - no secret
        days = IdempotencySettings.current().idempotency_retention_days
        try:
            forgotten = await forget(service.state.database, timedelta(days=days))
        except DatabaseUnavailableError:
            continue
        _log.debug("idempotency keys forgotten", keys=forgotten)


async def forget(database: Database, age: timedelta, *, batch: int = _BATCH) -> int:
    """Delete keys older than that, a batch at a time so that nobody waits; return how many."""
    table = idempotency_keys.c
    old = (
        select(table.scope, table.key)
        .where(table.created_at < datetime.now(UTC) - age)
        .limit(batch)
    )
    statement = delete(idempotency_keys).where(tuple_(table.scope, table.key).in_(old))
    forgotten = 0
    while True:
        async with database.transaction() as connection:
            deleted = (await connection.execute(statement)).rowcount
        forgotten += deleted
        if deleted < batch:
            return forgotten
        await asyncio.sleep(_PAUSE)
