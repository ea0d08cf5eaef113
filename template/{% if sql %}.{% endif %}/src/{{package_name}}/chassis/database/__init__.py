"""The database: SQLite or PostgreSQL through the same code (SQLAlchemy Core, asynchronous).

Declare tables in `metadata`; in a route ask for `CurrentDatabase`:

    @router.get("/orders/{id}")
    async def show(id: UUID, database: CurrentDatabase) -> Order:
        async with database.reading() as connection:
            ...
"""

from .database import Database
from .database_errors import (
    DatabaseAwayError,
    DatabaseBusyError,
    DatabaseReadOnlyError,
    DatabaseUnavailableError,
    PoolTimeoutError,
    SchemaBehindError,
)
from .database_settings import DatabaseSettings
from .feature import CurrentDatabase, install
from .metadata import metadata
from .utc_time import UtcTime

__all__ = [
    "CurrentDatabase",
    "Database",
    "DatabaseAwayError",
    "DatabaseBusyError",
    "DatabaseReadOnlyError",
    "DatabaseSettings",
    "DatabaseUnavailableError",
    "PoolTimeoutError",
    "SchemaBehindError",
    "UtcTime",
    "install",
    "metadata",
]
