"""The database as the service sees it: a transaction, or a look."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .. import logs
from .database_errors import DatabaseAwayError, DatabaseUnavailableError, unavailable
from .engine import WRITES
from .gate import Gate

_PROOF_SECONDS = 1.0
"""A statement that succeeded so many seconds ago proves as much as a new one."""

_log = logs.get_logger("chassis.database")


async def _nothing_to_check(_: AsyncConnection) -> None:
    return


class Database:
    """The connections of one worker.

    `writers` lets only so many write at a time (SQLite: one). `on_first_use` is given a connection
    before anything else is done, until it once succeeded; what it raises, the caller gets.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        gate: Gate,
        *,
        writers: Gate | None = None,
        on_first_use: Callable[[AsyncConnection], Awaitable[None]] = _nothing_to_check,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gate = gate
        self._engine = engine
        self._writing = engine.execution_options(**{WRITES: True})
        self._reading = engine.execution_options(postgresql_readonly=True)
        self._writers = writers
        self._on_first_use = on_first_use
        self._is_checked = False
        self._clock = clock
        self._succeeded_at = float("-inf")
        self._away_since: float | None = None

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Write: commits in the end, or undoes everything when the block raises.

        Raises DatabaseUnavailableError when the database can't do it now, which a request that
        lets it pass answers with 503 and `Retry-After`.
        """
        async with AsyncExitStack() as places:
            if self._writers is not None:
                await places.enter_async_context(self._writers.place())
            await places.enter_async_context(self.gate.place())
            async with self._use(self._writing) as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Read: one consistent state on SQLite, each statement the latest on PostgreSQL.

        Raises as `transaction` does.
        """
        async with self.gate.place(), self._use(self._reading) as connection:
            yield connection

    async def check(self) -> bool:
        """Whether the database answers. For the health check.

        It must not fail because the pool is busy. What succeeded a moment ago is proof enough;
        otherwise the check goes ahead of everybody who waits for a connection, and when none
        becomes free in time the last outcome counts.
        """
        if self._clock() - self._succeeded_at < _PROOF_SECONDS:
            return True
        try:
            async with self.gate.place(first=True), self._use(self._reading, check=False) as look:
                await look.execute(text("SELECT 1"))
        except DatabaseAwayError:
            raise
        except DatabaseUnavailableError:
            return self._away_since is None
        return True

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[AsyncConnection]:
        """As `reading`, but ahead of everybody who waits, and without the check of first use."""
        async with self.gate.place(first=True), self._use(self._reading, check=False) as connection:
            yield connection

    async def give_back(self) -> int:
        """Close the connections that nobody uses at the moment; how many they were."""
        closed = 0
        for _ in range(self._engine.pool.checkedin()):  # type: ignore[attr-defined]
            connection = await self._engine.raw_connection()
            connection.invalidate()
            connection.close()
            closed += 1
        return closed

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _use(
        self, engine: AsyncEngine, *, check: bool = True
    ) -> AsyncIterator[AsyncConnection]:
        raised_by_caller: BaseException | None = None
        try:
            async with engine.begin() as connection:
                if check and not self._is_checked:
                    await self._on_first_use(connection)
                    self._is_checked = True
                try:
                    yield connection
                except BaseException as error:
                    raised_by_caller = error
                    raise
        except Exception as error:
            foreign = error is raised_by_caller and isinstance(error, OSError)
            meant = None if foreign else unavailable(error)
            if meant is None or meant is error:
                raise
            self._failed(meant)
            raise meant from error
        self._succeeded()

    def _succeeded(self) -> None:
        self._succeeded_at = now = self._clock()
        if self._away_since is not None:
            _log.info("database back", seconds=round(now - self._away_since, 3))
            self._away_since = None

    def _failed(self, error: DatabaseUnavailableError) -> None:
        if isinstance(error, DatabaseAwayError):
            self._succeeded_at = float("-inf")
            if self._away_since is None:
                self._away_since = self._clock()
                _log.warning("database away", error=str(error))
