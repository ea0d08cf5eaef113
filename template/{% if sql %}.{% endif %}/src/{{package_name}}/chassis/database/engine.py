"""SQLAlchemy's engine for each of the databases, with what keeps it from waiting for ever.

Statements, locks and idle transactions are bounded by the server itself: a worker that is killed,
or a network that is cut, must not leave a lock behind.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.engine import AdaptedConnection, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from .database_errors import DatabaseAwayError, is_driver_fault

WRITES = "chassis_writes"
"""The execution option of connections that are going to write."""

_RECYCLE_SECONDS = 1800
"""After it a connection is replaced: else a pool never moves to a server that was added."""
_PING_AFTER_SECONDS = 15.0
"""Unused for longer, a connection is asked whether it lives: firewalls drop idle ones silently."""
_PING_SECONDS = 1.0
_CLIENT_MARGIN_SECONDS = 1.0
"""How much longer than the server the client waits for a statement: the network may be cut."""
_IDLE_IN_TRANSACTION_SECONDS = 30


def make_engine(
    url: URL,
    *,
    service: str,
    pool_size: int,
    pool_timeout: float,
    connect_timeout: float,
    statement_timeout: float | None,
    lock_timeout: float,
) -> AsyncEngine:
    """An engine whose pool holds at most `pool_size` connections. All times are in seconds.

    It connects when it is first used. Without a `statement_timeout` statements may run for ever,
    as migrations must.
    """
    options: dict[str, Any] = {
        "poolclass": AsyncAdaptedQueuePool,
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": pool_timeout,
        "pool_use_lifo": True,  # so that those which aren't needed stay idle
        "pool_recycle": _RECYCLE_SECONDS,
    }
    if url.get_backend_name() == "sqlite":
        _make_folder(Path(str(url.database)).parent)
        engine = create_async_engine(url, connect_args={"timeout": lock_timeout}, **options)
        _speak_sqlite(engine, lock_timeout)
        return engine
    milliseconds = {
        "statement_timeout": statement_timeout or 0,
        "lock_timeout": lock_timeout,
        "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION_SECONDS,
    }
    arguments: dict[str, Any] = {
        "timeout": connect_timeout,
        "command_timeout": statement_timeout and statement_timeout + _CLIENT_MARGIN_SECONDS,
        "server_settings": {
            "application_name": service,
            **{name: str(round(seconds * 1000)) for name, seconds in milliseconds.items()},
        },
    }
    if "sslmode" in url.query:
        arguments["ssl"] = url.query["sslmode"]
    engine = create_async_engine(
        url.difference_update_query(["sslmode"]), connect_args=arguments, **options
    )
    _find_dead_connections(engine)
    _give_up_silent_connections(engine)
    return engine


def _make_folder(folder: Path) -> None:
    """The folder of a file of SQLite; one that is new keeps its data out of git."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n", "utf-8")


def _speak_sqlite(engine: AsyncEngine, lock_timeout: float) -> None:
    """Several processes on one file, and nothing lost that was acknowledged.

    WAL lets readers read while one writes; synchronous=FULL survives a power cut; a writer takes
    its lock when it begins (BEGIN IMMEDIATE), because one that starts as a reader can find out too
    late that another has written, and no waiting mends that. https://www.sqlite.org/wal.html
    """

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {round(lock_timeout * 1000)}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _find_dead_connections(engine: AsyncEngine) -> None:
    """Find out before use, and without asking the server each time.

    The driver knows at once when the server has hung up; only what was unused for long is asked.
    The pool then opens another one in its place.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def _note(_: object, record: Any) -> None:
        record.info["unused_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _look(connection: AdaptedConnection, record: Any, _: object) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError("the server has hung up")
        if time.monotonic() - record.info.get("unused_since", float("inf")) > _PING_AFTER_SECONDS:
            try:
                connection.run_async(_ping)
            except Exception as error:
                raise DisconnectionError("the connection died while it was idle") from error


def _give_up_silent_connections(engine: AsyncEngine) -> None:
    """Name the driver's own timeout: the server should have ended the statement, and said so.

    After that, and after what the driver didn't understand, nobody knows what comes next on the
    connection.
    """

    @event.listens_for(engine.sync_engine, "handle_error")
    def _name(context: ExceptionContext) -> None:
        if isinstance(context.original_exception, TimeoutError):
            context.is_disconnect = True
            context.invalidate_pool_on_disconnect = False
            raise DatabaseAwayError("the server doesn't answer") from context.original_exception
        if is_driver_fault(context.original_exception):
            context.is_disconnect = True
            context.invalidate_pool_on_disconnect = False


async def _ping(driver_connection: Any) -> None:
    async with asyncio.timeout(_PING_SECONDS):
        await driver_connection.fetchrow(";")
