"""What can be wrong with a database that isn't the caller's doing, and how to tell it.

Drivers raise many things while a server is away or busy. Requests answer all of them with 503 and
`Retry-After`, and a background task tries again later: they need one name.
"""

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError


class DatabaseUnavailableError(Exception):
    """The database can't do this now; later it can. What was written in the block is undone.

    Only a commit that the connection was lost in leaves it open whether it counts.
    """

    retry_after = 1
    """Seconds after which trying again makes sense."""


class DatabaseAwayError(DatabaseUnavailableError):
    """The server can't be reached, is starting or stopping, or hung up."""

    retry_after = 2


class DatabaseReadOnlyError(DatabaseUnavailableError):
    """The server answers but takes no writes: a standby, or what a failover left of a primary."""

    retry_after = 5


class DatabaseBusyError(DatabaseUnavailableError):
    """Others are in the way: a lock or a statement took too long, or there was a deadlock."""


class PoolTimeoutError(DatabaseUnavailableError):
    """No connection was, or would have been, free in time."""


class SchemaBehindError(DatabaseUnavailableError):
    """The database lacks migrations that this version of the service needs."""

    retry_after = 5


# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BUSY_STATES = {
    "40001",  # serialization failure
    "40P01",  # deadlock detected
    "55P03",  # lock not available: lock_timeout
    "57014",  # query cancelled: statement_timeout
}
_READ_ONLY = "25006"
_STALE = {"InvalidCachedStatementError", "OutdatedSchemaCacheError"}
"""A migration changed a table, or a type, under a statement; the driver prepares it anew."""
_AWAY_CLASSES = {
    "08",  # connection exception
    "28",  # invalid authorization: a password that was changed
    "3D",  # no such database
    "53",  # insufficient resources: too many connections, disk full
    "57",  # operator intervention: shutdown, crash, starting up
    "58",  # system error
}
_DRIVER_FAULTS = {
    "InternalClientError",  # what the server said makes no sense, or no host is the one wanted
    "ClientConfigurationError",  # a certificate that isn't there
    "UnsupportedClientFeatureError",
    "UnsupportedServerFeatureError",
}
"""asyncpg's own, which have no state: there is no connection to work with."""
_LACKING_STATES = {"42P01", "42703", "3F000"}  # no such table, column, schema

# https://www.sqlite.org/rescode.html
_SQLITE_BUSY = {5, 6}
_SQLITE_READ_ONLY = 8
_SQLITE_AWAY = {10, 11, 13, 14, 26}  # I/O, corrupt, full, can't open, no database


def unavailable(error: BaseException, *, writing: bool = True) -> DatabaseUnavailableError | None:
    """What a driver's error means, or None when it is about the statement itself.

    That a server is read-only is a fault of the server's only for those who are `writing`.
    """
    if isinstance(error, DatabaseUnavailableError):
        return error
    if isinstance(error, NoConnectionError):
        return PoolTimeoutError("no connection became free in time")
    original = _original(error)
    kind = _kind(original, writing)
    if kind is None and isinstance(error, DBAPIError) and error.connection_invalidated:
        kind = DatabaseAwayError
    return kind(_reason(original)) if kind else None


def lacks_something(error: BaseException) -> bool:
    """Whether a statement named a table or a column that isn't there."""
    original = _original(error)
    state = getattr(original, "sqlstate", None)
    return state in _LACKING_STATES or "no such " in str(original)


def is_driver_fault(error: BaseException) -> bool:
    """Whether the driver itself couldn't go on, so that its connection is of no use any more."""
    original = getattr(error, "driver_exception", error)
    if type(original).__name__ in _STALE:
        return False
    return any(kind.__name__ in _DRIVER_FAULTS for kind in type(original).__mro__)


def _original(error: BaseException) -> BaseException:
    """What the driver has raised, without what SQLAlchemy and its adapter have put around it."""
    return error.driver_exception if isinstance(error, DBAPIError) and error.orig else error


def _reason(error: BaseException) -> str:
    """What an operator reads: some errors have no words of their own."""
    if isinstance(error, TimeoutError) and not error.args:
        return "no connection in time: the server doesn't answer"
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _kind(error: BaseException, writing: bool) -> type[DatabaseUnavailableError] | None:
    state = getattr(error, "sqlstate", None)
    if type(error).__name__ in _STALE:
        return DatabaseBusyError
    if isinstance(state, str):
        if state in _BUSY_STATES:
            return DatabaseBusyError
        if state == _READ_ONLY:
            return DatabaseReadOnlyError if writing else None
        return DatabaseAwayError if state[:2] in _AWAY_CLASSES else None
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        if code & 0xFF in _SQLITE_BUSY:
            return DatabaseBusyError
        if code & 0xFF == _SQLITE_READ_ONLY:
            return DatabaseReadOnlyError
        return DatabaseAwayError if code & 0xFF in _SQLITE_AWAY else None
    if is_driver_fault(error):
        return DatabaseAwayError
    # Before there is a connection, drivers let the socket's own errors through.
    return DatabaseAwayError if isinstance(error, OSError) else None
