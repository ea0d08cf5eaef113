"""The database as the service sees it: a transaction, or a look."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Protocol

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

from .. import logs
from . import read_only
from .database_errors import (
    DatabaseAwayError,
    DatabaseReadOnlyError,
    DatabaseUnavailableError,
    PoolTimeoutError,
    SchemaBehindError,
    lacks_something,
    unavailable,
)
from .engine import WRITES
from .gate import Gate

_PROOF_SECONDS = 1.0
"""What succeeded so many seconds ago proves as much as a new question."""
_PROBE_SECONDS = 1.0
"""How long a health check waits for a connection; less than its timeout."""

_log = logs.get_logger("chassis.database")


class SchemaCheck(Protocol):
    """Tells whether the tables are there; `Schema` is one."""

    async def check(self, connection: AsyncConnection) -> None:
        """Raise SchemaBehindError when they aren't."""


class Database:
    """The connections of one worker.

    `writers` lets only so many write at a time (SQLite: one). The `schema` is checked before
    anything else is done, until it once was as it has to be.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        gate: Gate,
        *,
        writers: Gate | None = None,
        schema: SchemaCheck | None = None,
        clock: Any = time.monotonic,
    ) -> None:
        self.gate = gate
        self._engine = engine
        self._writing = engine.execution_options(**{WRITES: True})
        self._reading = engine.execution_options(postgresql_readonly=True)
        self._writers = writers
        self._schema = schema
        self._schema_is_right = schema is None
        self._behind: tuple[float, SchemaBehindError] | None = None
        self._clock = clock
        self._proved_at = float("-inf")
        self._away_since: float | None = None
        self._read_only = read_only.ReadOnly(engine, clock)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @asynccontextmanager
    async def transaction(
        self, *, first_within: float | None = None
    ) -> AsyncIterator[AsyncConnection]:
        """Write: commits in the end, or undoes everything when the block raises.

        Raises DatabaseUnavailableError when the database can't do it now; a request that lets it
        pass is answered 503 with `Retry-After`. With `first_within` one goes ahead of all who wait
        for a connection, and waits so many seconds at most: for a few, or nobody gets one.
        """
        self._read_only.refuse()
        async with (
            self._turn_to_write(first_within),
            self.gate.place(first_within=first_within),
            self._use(self._writing) as connection,
        ):
            yield connection

    @asynccontextmanager
    async def reading(self, *, first_within: float | None = None) -> AsyncIterator[AsyncConnection]:
        """Read: one consistent state on SQLite, on PostgreSQL the latest for each statement.

        Waits and raises as `transaction` does.
        """
        place = self.gate.place(first_within=first_within)
        async with place, self._use(self._reading) as connection:
            yield connection

    def turns_away(self, *, writing: bool) -> bool:
        """Whether whoever comes now would wait for a connection in vain. Counts as a refusal."""
        if writing and self._writers is not None and self._writers.turns_away():
            return True
        return self.gate.turns_away()

    async def answers(self) -> bool:
        """Whether the database answers and takes writes. For the health check.

        It must not fail because the pool is busy. What was written a moment ago is proof enough;
        otherwise the question goes ahead of all who wait for a connection, and when none becomes
        free in time the last outcome counts.
        """
        if self._clock() - self._proved_at < _PROOF_SECONDS:
            return True
        # Who asks a file whether it takes writes is in others' way: only when there is a doubt.
        writes = self.dialect == "postgresql" or self._read_only.is_known
        try:
            async with (
                self._turn_to_write(_PROBE_SECONDS) if writes else nullcontext(),
                self.gate.place(first_within=_PROBE_SECONDS),
                self._use(self._writing if writes else self._reading, probes=True),
            ):
                pass
        except (DatabaseAwayError, DatabaseReadOnlyError):
            raise
        except DatabaseUnavailableError:
            return self._away_since is None and not self._read_only.is_known
        self._proved_at = self._clock()
        return True

    async def has_schema(self) -> bool:
        """Whether the migrations that this version needs were run. Raises as `reading` does."""
        if not self._schema_is_right:
            try:
                async with self.gate.place(first_within=_PROBE_SECONDS), self._use(self._reading):
                    pass
            except PoolTimeoutError as error:
                raise PoolTimeoutError(f"it can't be told: {error}") from None
        return True

    async def give_back(self) -> None:
        """Close the connections that nobody uses at the moment; the next one is opened anew."""
        # The pool forgets how many are in use, so that it could open too many: the gate doesn't.
        await greenlet_spawn(self._engine.pool.dispose)

    @property
    def idle(self) -> int:
        """How many connections are open that nobody uses."""
        pool: Any = self._engine.pool
        idle: int = pool.checkedin()
        return idle

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    def _turn_to_write(self, first_within: float | None) -> AbstractAsyncContextManager[None]:
        return self._writers.place(first_within=first_within) if self._writers else nullcontext()

    @asynccontextmanager
    async def _use(
        self, engine: AsyncEngine, *, probes: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        raised_by_caller: BaseException | None = None
        try:
            async with engine.begin() as connection:
                writes = engine is self._writing
                if probes or (writes and self._read_only.is_known):
                    await read_only.ask(connection, writing=writes)
                    if writes:
                        self._read_only.end()
                if not (probes or self._schema_is_right):
                    await self._check_schema(connection)
                try:
                    yield connection
                except BaseException as error:
                    raised_by_caller = error
                    raise
        except Exception as error:
            # The caller's own block may do more than talk to the database, and fail at that.
            ours = (DBAPIError, DatabaseUnavailableError)
            foreign = error is raised_by_caller and not isinstance(error, ours)
            meant = None if foreign else unavailable(error, writing=engine is self._writing)
            if meant is None and lacks_something(error):
                self._schema_is_right = self._schema is None
            if isinstance(meant, DatabaseAwayError):
                self._is_away(meant)
            if isinstance(meant, DatabaseReadOnlyError):
                self._proved_at = float("-inf")
                self._is_back()
                self._read_only.begin(meant)
            if meant is None or meant is error:
                raise
            raise meant from error
        self._succeeded(wrote=engine is self._writing)

    async def _check_schema(self, connection: AsyncConnection) -> None:
        assert self._schema is not None  # noqa: S101 - without one there is nothing to check
        if self._behind and self._clock() - self._behind[0] < _PROOF_SECONDS:
            raise SchemaBehindError(str(self._behind[1]))
        try:
            await self._schema.check(connection)
        except SchemaBehindError as error:
            if self._behind is None:
                _log.warning("database not migrated", reason=str(error))
            self._behind = self._clock(), error
            raise
        if self._behind is not None:
            _log.info("database migrated")
        self._schema_is_right, self._behind = True, None

    def _succeeded(self, *, wrote: bool) -> None:
        if wrote:  # to read is no proof: a database that is read-only lets that pass
            self._proved_at = self._clock()
        self._is_back()

    def _is_back(self) -> None:
        if self._away_since is not None:
            _log.info("database back", seconds=round(self._clock() - self._away_since, 3))
            self._away_since = None

    def _is_away(self, error: DatabaseAwayError) -> None:
        self._proved_at = float("-inf")
        if self._away_since is None:
            self._away_since = self._clock()
            _log.warning("database away", reason=str(error))
