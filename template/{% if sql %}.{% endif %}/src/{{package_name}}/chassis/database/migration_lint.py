"""Refuse migrations that would stop the service while they run: `make lint` (SPEC I4).

It reads the SQL that Alembic prints for PostgreSQL, of every migration from the first one. What it
finds is told with the file and how to mend it. Where a statement is safe for a reason that can't
be seen in it, the migration says so in a comment, which has to be needed:

    # migration-lint: allow contract: no version since 1.4 reads payments.note
"""

import io
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from .lint.finding import EXCEPTION, RULES, Finding
from .lint.schema_state import SchemaState
from .lint.sql_text import Comment, read
from .lint.statements import findings
from .schema import CONFIG

_MARK = re.compile(r"Running upgrade .*-> (\S+)$")
_ALLOWED = re.compile(r"# migration-lint: allow ?([\w-]*) ?:?[ \t]*(.*)")
_SHORTEST_REASON = 10


@dataclass(frozen=True, slots=True)
class Found:
    """A finding and where it is."""

    path: str
    revision: str
    finding: Finding

    def __str__(self) -> str:
        return f"{self.path} (revision {self.revision}): {self.finding}"


def lint(script: str, sources: Mapping[str, tuple[str, str]]) -> Iterator[Found]:
    """Read what Alembic printed. `sources` has each revision's path and source code."""
    state = SchemaState()
    revision = ""
    by_revision: dict[str, list[Finding]] = {name: [] for name in sources}
    for item in read(script):
        if isinstance(item, Comment):
            if mark := _MARK.match(item.text):
                revision = mark[1]
                state.begin_migration()
        else:
            by_revision.setdefault(revision, []).extend(findings(item, state))
    for name, found in by_revision.items():
        path, source = sources.get(name, ("migrations/env.py", ""))
        for finding in _not_allowed(found, source):
            yield Found(path, name or "none", finding)


def _not_allowed(found: list[Finding], source: str) -> Iterator[Finding]:
    used = set()
    known = {rule.name for rule in RULES}
    allowed = {
        match[1]: match for match in _ALLOWED.finditer(source) if match[1] in known and _why(match)
    }
    for finding in found:
        if finding.rule.name in allowed:
            used.add(finding.rule.name)
        else:
            yield finding
    for match in _ALLOWED.finditer(source):
        if match[1] not in used:
            yield Finding(EXCEPTION, match[0])


def _why(match: re.Match[str]) -> bool:
    return len(match[2].strip()) >= _SHORTEST_REASON


def print_sql(config: Path = CONFIG) -> tuple[str, dict[str, tuple[str, str]]]:
    """What Alembic would run on an empty PostgreSQL, and each revision's path and source code."""
    buffer = io.StringIO()
    settings = Config(config, output_buffer=buffer)
    command.upgrade(settings, "heads", sql=True)
    sources = {}
    for script in ScriptDirectory.from_config(settings).walk_revisions():
        path = Path(script.path)
        near = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        sources[script.revision] = str(near), path.read_text("utf-8")
    return buffer.getvalue(), sources


def main() -> int:
    """Print what is dangerous; 1 when there is anything."""
    found = list(lint(*print_sql()))
    for one in found:
        print(one)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
