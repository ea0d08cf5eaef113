"""The database in a service: opened in each worker, checked, and refused for when it is away."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from ..http import problems
from ..server import info
from ..service import Service
from . import pool_metrics
from .database import Database, SchemaCheck
from .database_errors import DatabaseUnavailableError
from .database_settings import DatabaseSettings
from .departure import give_back_when_leaving
from .engine import make_engine
from .gate import Gate
from .schema import Schema

CHECK_SECONDS = 3.0
"""The timeout of the health check (SPEC C2)."""

_SWITCH_SECONDS = 0.0005
"""SQLite's statements run in threads. One that is done waits so long for the event loop to let go
of the interpreter; by default ten times as long, and while the loop is busy a transaction takes
that at each of its steps, with the file locked."""

_LOOKING = {"GET", "HEAD"}
"""The methods of requests that don't write, as far as that can be told before they are let in."""


async def current_database(request: Request) -> Database:
    """The database of the service that handles a request."""
    # async: FastAPI would run it in a thread otherwise, for each request.
    database: Database = request.app.state.database
    return database


CurrentDatabase = Annotated[Database, Depends(current_database)]
"""The parameter of a route that wants it: `async def show(id: UUID, database: CurrentDatabase)`."""


def install(service: Service) -> None:
    """Give a service its database, as `service.state.database`, and its health checks."""
    schema = Schema.from_scripts()
    # Two lines from each worker that looks at the schema, and they say nothing.
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
    service.resource("database", lambda: opened(service, schema))

    async def answers() -> bool:
        return await _of(service).answers()

    async def has_schema() -> bool:
        return await _of(service).has_schema()

    service.health.register("database", answers, "The database answers", timeout=CHECK_SECONDS)
    service.health.register("schema", has_schema, "It is migrated", timeout=CHECK_SECONDS)
    service.add_exception_handler(DatabaseUnavailableError, _refuse)

    def is_full(method: str) -> bool:
        return _of(service).turns_away(writing=method not in _LOOKING)

    service.bottlenecks.add(current_database, is_full)


@asynccontextmanager
async def opened(service: Service, schema: SchemaCheck | None = None) -> AsyncIterator[Database]:
    """A worker's connections; none is made before somebody needs it."""
    settings = DatabaseSettings.current()
    pool = settings.pool_size(info.worker_count() or settings.web_concurrency or 1)
    patience = settings.database_pool_timeout_seconds
    engine = make_engine(
        settings.database,
        service=settings.answers.service_name,
        pool_size=pool.size,
        pool_timeout=patience,
        connect_timeout=settings.database_connect_timeout_seconds,
        statement_timeout=settings.statement_timeout_seconds,
        lock_timeout=settings.database_lock_timeout_seconds,
    )
    gate = Gate(pool.size, patience, watcher=pool_metrics.pool())
    pool_metrics.pool().changed(gate)  # so that an idle pool shows too
    is_file = settings.answers.database == "sqlite"
    writers = Gate(1, patience, watcher=pool_metrics.writers()) if is_file else None
    if is_file:
        sys.setswitchinterval(_SWITCH_SECONDS)
    database = Database(engine, gate, writers=writers, schema=schema)
    over = asyncio.Event()
    giving_back = asyncio.create_task(
        give_back_when_leaving(database, over), name="connections given back"
    )
    try:
        yield database
    finally:
        over.set()
        await asyncio.wait({giving_back})
        await database.close()


def _of(service: Service) -> Database:
    database: Database = service.state.database
    return database


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, DatabaseUnavailableError)  # noqa: S101 - Starlette has looked
    # Why is for the management port: a driver's words may name the host.
    return problems.problem(
        503,
        detail="The database can't do this right now. Nothing is lost by trying again.",
        headers={"Retry-After": str(error.retry_after)},
        request_id=getattr(request.state, "request_id", None),
    )
