"""How many connections a worker may hold: a pure function of the database's limit (SPEC I3).

While a rollout runs there are twice the replicas and one more: the old ones drain beside the new.
All of them together, and a few for people and jobs, have to fit, or the database refuses some.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

RESERVED_CONNECTIONS = 10
"""What is left to others: migrations, monitoring, people, and the server's own superusers."""

SURGE = 1
"""How many replicas a rollout adds."""

SQLITE_POOL_SIZE = 4
"""A file has no limit of connections; one writes at a time, and others read beside it."""

Bound = Literal["max_connections", "override", "sqlite"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSize:
    """The size of one worker's pool and how it came about."""

    size: int
    """Connections; 0 when the limit doesn't even leave one for each worker."""
    bound: Bound
    arithmetic: str
    """The computation, to be read."""
    considered: Mapping[str, object]
    warning: str | None = None
    """One sentence when an override can exceed the database's limit."""
    refusal: str | None = None
    """One sentence when there is no legal size."""

    def log_fields(self) -> dict[str, object]:
        """What the boot line says."""
        return {
            "connections_per_worker": self.size,
            "bound": self.bound,
            "arithmetic": self.arithmetic,
            **self.considered,
        }


def sharers(workers: int, replicas_max: int) -> int:
    """How many workers there are at most, in the middle of a rollout."""
    return workers * (2 * replicas_max + SURGE)


def size_pool(
    *, workers: int, replicas_max: int, max_connections: int, override: int | None
) -> PoolSize:
    """Share the connections of a server among all workers that there may be at once.

    `override` is DATABASE_POOL_SIZE and beats the computation, for those who have a proxy with a
    limit of its own in front of the database; what can exceed the limit is warned about.
    """
    count = sharers(workers, replicas_max)
    left = max_connections - RESERVED_CONNECTIONS
    computed = max(0, left) // count
    sum_ = f"({max_connections} - {RESERVED_CONNECTIONS}) // ({workers} x (2 x {replicas_max} + 1))"
    arithmetic = f"{sum_} = {computed}"
    considered = {
        "workers": workers,
        "replicas_max": replicas_max,
        "max_connections": max_connections,
        "reserved": RESERVED_CONNECTIONS,
        "override": override,
    }
    if override is not None:
        too_many = count * override > left
        return PoolSize(
            size=override,
            bound="override",
            arithmetic=arithmetic,
            considered=considered,
            warning=(
                f"DATABASE_POOL_SIZE {override} x {count} workers during a rollout = "
                f"{count * override} connections, but the database takes {max_connections}, "
                f"{RESERVED_CONNECTIONS} of them for others: it will refuse some"
                if too_many
                else None
            ),
        )
    return PoolSize(
        size=computed,
        bound="max_connections",
        arithmetic=arithmetic,
        considered=considered,
        refusal=(
            f"DATABASE_MAX_CONNECTIONS {max_connections} is too low: {arithmetic}, and a worker "
            f"needs one connection. {workers} workers of {2 * replicas_max + SURGE} replicas "
            f"(while a rollout runs) need at least {count + RESERVED_CONNECTIONS}: raise it, and "
            f"the database's max_connections, or lower WEB_CONCURRENCY or replicas_max"
            if computed < 1
            else None
        ),
    )


def size_sqlite_pool(override: int | None) -> PoolSize:
    """The connections of one worker to a file."""
    size = SQLITE_POOL_SIZE if override is None else override
    return PoolSize(
        size=size,
        bound="sqlite" if override is None else "override",
        arithmetic=f"{size} to a file",
        considered={"override": override},
    )
