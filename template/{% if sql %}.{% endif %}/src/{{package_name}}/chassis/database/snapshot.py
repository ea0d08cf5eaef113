"""One state of the whole database, for commands that compare what is in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from .database_settings import DatabaseSettings
from .engine import make_engine

_PATIENCE = 10.0


@asynccontextmanager
async def snapshot(settings: DatabaseSettings, purpose: str) -> AsyncIterator[AsyncConnection]:
    """Read what was committed when this began, however long it takes, and lock nothing.

    Raises what the driver raises when the database is away.
    """
    engine = make_engine(
        settings.database,
        service=f"{settings.answers.service_name} {purpose}",
        pool_size=1,
        pool_timeout=_PATIENCE,
        connect_timeout=settings.database_connect_timeout_seconds,
        statement_timeout=None,
        lock_timeout=settings.database_lock_timeout_seconds,
    )
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()
