"""Lanes: how several relays keep the order of each key.

`SKIP LOCKED` on the events themselves would break it. One relay locks the first event of a key; the
next one skips that and takes the second, and whoever is faster is first at the sink. Instead each
key belongs to one lane, and what is locked is the lane: whoever holds it is the only one that
publishes any event of its keys.

A relay holds a lane for a short time by a lease, not by an open transaction, so that it keeps no
database connection while it waits for the sink. One that dies leaves the lane locked until the
lease runs out.
"""

from typing import Any
from zlib import crc32

from sqlalchemy import Double
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

LANES = 4
"""How many relays publish side by side on PostgreSQL. Lanes can't be changed while events wait."""


def lanes_of(dialect: str) -> int:
    """SQLite has one writer at a time, and its service one relay."""
    return LANES if dialect == "postgresql" else 1


def lane_of(key: str, lanes: int) -> int:
    """The lane of a key, the same in every process and release."""
    return crc32(key.encode()) % lanes


class DatabaseClock(FunctionElement[float]):
    """Unix time as the database has it: pods' own clocks may differ by more than a lease."""

    type = Double()
    inherit_cache = True
    name = "database_clock"


@compiles(DatabaseClock, "postgresql")
def _on_postgresql(element: DatabaseClock, compiler: Any, **options: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


@compiles(DatabaseClock, "sqlite")
def _on_sqlite(element: DatabaseClock, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"
