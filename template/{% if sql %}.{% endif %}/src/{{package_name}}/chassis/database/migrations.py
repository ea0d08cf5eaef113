"""What Alembic runs: migrations in two branches, `chassis` and `app`, of one database.

The branch `chassis` stands beside this module and comes with updates; `app` is the user's, in
`migrations/versions`. They run as a job of their own (`make migrate`), never in a worker: several
would run them at once, and a worker's start would take as long as they do.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from alembic import context
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from .. import settings
from .database_errors import unavailable
from .database_settings import DatabaseSettings
from .engine import WRITES, make_engine
from .metadata import metadata

APP = "app"
"""The label of the user's branch."""

_LOCK = 0x62616C6C617374  # any number that nobody else takes: "ballast"
_LOOK_SECONDS = 0.5


def run(settings_class: type[DatabaseSettings]) -> None:
    """Run the migrations that Alembic was asked for. Called by `migrations/env.py`.

    Raises CommandError, which Alembic tells in one line, when a setting is missing or the database
    can't do it now.
    """
    if context.is_offline_mode():
        _print()
        return
    try:
        read = settings.load_settings(_only_the_database(settings_class))
    except settings.SettingsError as error:
        raise CommandError(str(error)) from None
    try:
        asyncio.run(_migrate(read))
    except Exception as error:
        if (meant := unavailable(error)) is None:
            raise
        raise CommandError(
            f"not migrated: the database of DATABASE_URL isn't available ({meant}): "
            "try again when it is"
        ) from error


def _only_the_database(settings_class: type[DatabaseSettings]) -> type[DatabaseSettings]:
    """The settings without what else the service needs, which a job may well not be given."""

    class MigrationSettings(DatabaseSettings):
        answers = settings_class.answers

    return MigrationSettings


def _print() -> None:
    """Print the SQL for PostgreSQL, without a database."""
    context.configure(
        dialect_name="postgresql",
        target_metadata=metadata,
        literal_binds=True,
        transaction_per_migration=True,
    )
    # Who pipes this into psql has no connection of ours that is bounded already.
    seconds = _default_lock_timeout()
    context.get_context().impl.static_output(f"SET lock_timeout = '{seconds:g}s';")
    with context.begin_transaction():
        context.run_migrations()


def _default_lock_timeout() -> float:
    seconds: float = DatabaseSettings.model_fields[
        "database_migration_lock_timeout_seconds"
    ].default
    return seconds


async def _migrate(read: DatabaseSettings) -> None:
    engine = make_engine(
        read.database,
        service=f"{read.answers.service_name} migration",
        pool_size=1,
        pool_timeout=1,
        connect_timeout=read.database_connect_timeout_seconds,
        statement_timeout=None,  # an index takes as long as it takes
        lock_timeout=read.database_migration_lock_timeout_seconds,
    )
    try:
        async with engine.execution_options(**{WRITES: True}).connect() as connection:
            if engine.dialect.name == "postgresql":
                await _wait_for_others(connection)
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await engine.dispose()


async def _wait_for_others(connection: Any) -> None:
    """Let one job migrate at a time; the lock ends with the connection.

    Asked for again and again: a statement that waits would hold a snapshot, for which an index that
    is built concurrently waits in turn.
    """
    while True:
        got = await connection.scalar(text(f"SELECT pg_try_advisory_lock({_LOCK})"))
        await connection.commit()
        if got:
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,  # SQLite's too: `engine` sees to it
        transaction_per_migration=True,  # no lock outlives the migration that needs it
        render_as_batch=True,  # SQLite can alter little: Alembic makes a new table then
        process_revision_directives=_place,
        on_version_apply=_say,
    )
    with context.begin_transaction():
        context.run_migrations()


def _say(
    ctx: MigrationContext, step: MigrationInfo, heads: Collection[Any], run_args: Mapping[str, Any]
) -> None:
    word = "up to" if step.is_upgrade else "back from"
    print(f"{word} {step.up_revision_id}")


def _place(
    migration: MigrationContext,
    revision: str | Iterable[str | None] | Iterable[str],
    directives: list[MigrationScript],
) -> None:
    """Put a new migration on the user's branch, and begin that with the first one."""
    (directive,) = directives
    scripts = ScriptDirectory.from_config(context.config)
    begun = any(APP in script.branch_labels for script in scripts.walk_revisions())
    directive.head = f"{APP}@head" if begun else "base"
    directive.branch_label = None if begun else APP
    directive.version_path = str(Path(scripts.dir, "versions"))
