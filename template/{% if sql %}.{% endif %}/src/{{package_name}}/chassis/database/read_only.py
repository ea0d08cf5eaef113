"""A database that answers but takes no writes, and the way back from there.

It is what a failover leaves of a primary, a standby that the address leads to now, or a file on a
file system that was mounted read-only. Reading goes on. Writing is refused at once, and whether it
is possible again is asked once a second at most: by the health check, or by who comes to write.
"""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .. import logs
from .database_errors import DatabaseReadOnlyError

_STANDS_SECONDS = 1.0
"""How long an answer stands."""

_TURN = "chassis_turn"

_log = logs.get_logger("chassis.database")


async def ask(connection: AsyncConnection, *, writing: bool) -> None:
    """Ask whether the database answers and takes writes.

    Raises DatabaseReadOnlyError, or what the driver raises, when it doesn't. A file is asked for
    writes only by one who is `writing`, because others have to wait for that.
    """
    if connection.dialect.name == "postgresql":
        # On a standby, with default_transaction_read_only, and for ALTER DATABASE ... SET alike.
        if await connection.scalar(text("SHOW transaction_read_only")) == "on":
            raise DatabaseReadOnlyError("the database is read-only")
    elif writing:
        # SQLite lets BEGIN IMMEDIATE pass on a file that may only be read.
        await connection.execute(text("CREATE TABLE chassis_probe (x)"))
        await connection.execute(text("DROP TABLE chassis_probe"))
    else:
        await connection.execute(text("SELECT 1"))


class ReadOnly:
    """Whether this worker knows the database for read-only.

    A session stays with the server that it was opened on, and a file as it was opened. So whatever
    was opened before is replaced when it is used next: a failover moves an address.
    """

    def __init__(self, engine: AsyncEngine, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._asked_at = 0.0
        self._turn = 0
        event.listen(engine.sync_engine, "connect", self._note)
        event.listen(engine.sync_engine, "checkout", self._replace)

    @property
    def is_known(self) -> bool:
        """Whether the last that tried to write, or asked, was told so."""
        return self._since is not None

    def refuse(self) -> None:
        """DatabaseReadOnlyError if that was a moment ago; else whoever calls this is to ask."""
        if self._since is None:
            return
        now = self._clock()
        if now - self._asked_at < _STANDS_SECONDS:
            raise DatabaseReadOnlyError("the database is read-only")
        self._asked_at = now

    def begin(self, error: DatabaseReadOnlyError) -> None:
        """Somebody was told that the database is read-only."""
        self._asked_at = self._clock()
        self._turn += 1
        if self._since is None:
            self._since = self._asked_at
            _log.warning("database read-only", reason=str(error))

    def end(self) -> None:
        """Somebody could write, or was told that it is possible."""
        if self._since is not None:
            _log.info("database writable", seconds=round(self._clock() - self._since, 3))
            self._since = None

    def _note(self, _: object, record: Any) -> None:
        record.info[_TURN] = self._turn

    def _replace(self, _: object, record: Any, __: object) -> None:
        if record.info[_TURN] < self._turn:
            raise DisconnectionError("opened when the database was read-only, or before")
