"""The settings of a service with a database."""

from collections.abc import Iterator

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError
from sqlalchemy import URL

from ..answers import Answers
from ..settings import BootLine, ChassisSettings, SettingsError, refusal
from ..settings.setting_types import Maybe
from . import database_url
from .pool_size import PoolSize, size_pool, size_sqlite_pool

STATEMENT_SHARE = 2 / 3
"""The part of a request's deadline that one statement may take, unless a setting says more."""


class DatabaseSettings(ChassisSettings):
    """What the chassis can be told about the database."""

    database_url: Maybe[SecretStr] = Field(
        default=None, description="the database; a file below `data` where SQLite is the answer"
    )
    database_max_connections: int = Field(
        default=100, ge=1, le=1_000_000, description="connections that the database takes in all"
    )
    database_pool_size: Maybe[int] = Field(
        default=None, ge=1, le=10_000, description="connections of a worker; empty: its fair share"
    )
    database_pool_timeout_seconds: float = Field(
        default=1, ge=0.001, le=60, description="the longest wait for a free connection"
    )
    database_connect_timeout_seconds: float = Field(
        default=2, ge=0.1, le=60, description="for a new connection to be made in"
    )
    database_statement_timeout_seconds: Maybe[float] = Field(
        default=None,
        ge=0.1,
        le=3600,
        description="the longest statement; empty: two thirds of the request's deadline",
    )
    database_lock_timeout_seconds: float = Field(
        default=2, ge=0.05, le=600, description="the longest wait for a lock"
    )
    database_migration_lock_timeout_seconds: float = Field(
        default=3, ge=0.1, le=600, description="the same, for a migration"
    )

    @property
    def database(self) -> URL:
        """Where the database is, with the driver that is used."""
        return _parsed(self.database_url, self.answers)

    @property
    def statement_timeout_seconds(self) -> float:
        """The longest statement, in seconds."""
        return (
            self.database_statement_timeout_seconds
            or self.request_timeout_seconds * STATEMENT_SHARE
        )

    def pool_size(self, workers: int) -> PoolSize:
        """The connections of each of so many workers."""
        if self.answers.database == "sqlite":
            return size_sqlite_pool(self.database_pool_size)
        return size_pool(
            workers=workers,
            replicas_max=self.answers.replicas_max,
            max_connections=self.database_max_connections,
            override=self.database_pool_size,
        )

    def boot_lines(self, workers: int) -> Iterator[BootLine]:
        """Add the size of the pool. SettingsError when there is no connection for each worker."""
        yield from super().boot_lines(workers)
        pool = self.pool_size(workers)
        if pool.refusal:
            raise SettingsError(pool.refusal)
        yield "info", "database pool sized", pool.log_fields()
        if pool.warning:
            yield "warning", pool.warning, {}

    # At the field, so that it is named together with all the others that are missing or wrong.
    @field_validator("database_url")
    @classmethod
    def _refuse_a_wrong_url(cls, value: SecretStr | None) -> SecretStr | None:
        if cls.answers.database == "postgresql" and value is None:
            raise PydanticKnownError("missing")
        try:
            _parsed(value, cls.answers)
        except ValueError as error:
            raise _conflict(f"DATABASE_URL is refused: it {error}") from None
        return value

    @model_validator(mode="after")
    def _refuse_long_statements(self) -> "DatabaseSettings":
        statement, deadline = self.statement_timeout_seconds, self.request_timeout_seconds
        if statement >= deadline:
            raise _conflict(
                f"DATABASE_STATEMENT_TIMEOUT_SECONDS {statement:g} must be below "
                f"REQUEST_TIMEOUT_SECONDS {deadline:g}: the request is given up by then"
            )
        return self


def _parsed(given: SecretStr | None, answers: Answers) -> URL:
    text = given.get_secret_value() if given else ""
    if not text and answers.database == "sqlite":
        text = f"sqlite:///data/{answers.service_name}.db"
    return database_url.parse(text, answers.database)


def _conflict(line: str) -> PydanticCustomError:
    return PydanticCustomError(refusal.CONFLICT, "{wrong}", {"wrong": line})
