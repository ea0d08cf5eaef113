"""Whether the database has the migrations that this version of the service needs.

While a rollout runs the database may be ahead: the job migrates first, and the old version serves
on (expand and contract). So revisions that this version doesn't know are no fault; one that it
knows and that lies behind what it needs is.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncConnection

from .database_errors import SchemaBehindError

CONFIG = Path("alembic.ini")
"""Where Alembic's configuration is: in the folder that the service is started in."""


class Schema:
    """The newest revision of each branch that this version knows, with all that lead to it."""

    def __init__(self, branches: Mapping[str, Collection[str]]) -> None:
        self._branches = branches

    @classmethod
    def from_scripts(cls, config: Path = CONFIG) -> "Schema":
        """Read the migrations that are there. RuntimeError where Alembic isn't configured."""
        if not config.is_file():
            raise RuntimeError(f"{config.absolute()} is missing: start the service in its folder")
        scripts = ScriptDirectory.from_config(Config(config))
        return cls(
            {
                head: {script.revision for script in scripts.iterate_revisions(head, "base")}
                for head in scripts.get_heads()
            }
        )

    def missing(self, current: Collection[str]) -> list[str]:
        """The revisions that are needed and not there, given those that the database is at."""
        known = set[str]().union(*self._branches.values())
        unplaced = sum(revision not in known for revision in current)
        missing = []
        for head, revisions in self._branches.items():
            if head in current:
                continue
            if any(revision in revisions for revision in current):
                missing.append(head)
            elif unplaced:  # the branch is at a revision that only a later version knows
                unplaced -= 1
            else:
                missing.append(head)
        return missing

    async def check(self, connection: AsyncConnection) -> None:
        """Raise SchemaBehindError, with what is there and what is needed, unless it is enough."""
        current = await connection.run_sync(
            lambda sync: MigrationContext.configure(sync).get_current_heads()
        )
        missing = self.missing(current)
        if missing:
            at = f"at revision {_listed(current)}" if current else "empty"
            raise SchemaBehindError(
                f"the database is {at}, this version needs {_listed(missing)}: run `make migrate`"
            )


def _listed(revisions: Collection[str]) -> str:
    return " and ".join(sorted(revisions))
