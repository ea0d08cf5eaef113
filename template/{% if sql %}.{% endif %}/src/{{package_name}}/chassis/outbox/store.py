"""What the outbox asks of the database. Every call is one short transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..database import Database
from .event import Event, lowest_id
from .outbox_tables import is_parked, outbox_events, outbox_lanes, waits
from .queries import LET_GO, LOOK, STRIKE_OUT, TAKE, WAITING

_BEHIND = "behind a parked event of its key"
_ERROR_CHARACTERS = 500
_PATIENCE_SECONDS = 2.0
"""Relays go ahead of requests: they are few, and in an overload events would wait for its end."""

_columns = outbox_events.c


class Work(Enum):
    """Whether there is something to do."""

    NONE = "none"
    HELD = "held"
    """There is, but other relays are at it."""
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that waits to be published."""

    sequence: int
    attempts: int
    event: Event


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one lane in their order, for whoever holds it by this claim."""

    lane: int
    claim: UUID
    events: Sequence[Waiting]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What isn't published. `oldest` is when the event was created that has waited longest."""

    waiting: int
    parked: int
    oldest: datetime | None


class Store:
    """The outbox' tables. What its methods raise is the database's."""

    def __init__(self, database: Database, *, lease_seconds: float) -> None:
        self._database = database
        self._lease = lease_seconds

    async def look(self) -> Work:
        """Whether something waits; cheap, and locks nothing."""
        async with self._database.reading(first_within=_PATIENCE_SECONDS) as connection:
            free = (await connection.execute(LOOK)).scalars().all()
        if not free:
            return Work.NONE
        return Work.READY if any(free) else Work.HELD

    async def claim(self, limit: int) -> Batch | None:
        """Take a free lane with work, the one that was free longest, and its oldest events.

        None when others hold all that there is.
        """
        claim = uuid4()
        async with self._database.transaction(first_within=_PATIENCE_SECONDS) as connection:
            taken = await connection.execute(TAKE, {"by": claim, "lease": self._lease})
            lane = taken.scalar()
            if lane is None:
                return None
            # A new statement, and so a new snapshot: it sees what the last holder has published.
            return Batch(lane, claim, await self._oldest(connection, lane, limit))

    async def settle(
        self,
        batch: Batch,
        *,
        published: Collection[int] = (),
        refused: Mapping[int, str] | None = None,
        max_attempts: int = 1,
    ) -> int:
        """Write down what became of a batch and let go of its lane; returns how many were parked.

        `published` and `refused` are sequence numbers; what is in neither goes on waiting. One that
        was refused for the `max_attempts`th time is parked.
        """
        now = datetime.now(UTC)
        parked = 0
        async with self._database.transaction(first_within=_PATIENCE_SECONDS) as connection:
            if published:
                await connection.execute(
                    STRIKE_OUT[self._database.dialect], {"numbers": list(published), "now": now}
                )
            for waiting in batch.events:
                if (error := (refused or {}).get(waiting.sequence)) is None:
                    continue
                attempts = waiting.attempts + 1
                gives_up = attempts >= max_attempts
                parked += gives_up
                await connection.execute(
                    update(outbox_events)
                    .where(_columns.sequence == waiting.sequence)
                    .values(
                        attempts=attempts,
                        error=error[:_ERROR_CHARACTERS],
                        parked_at=now if gives_up else None,
                    )
                )
            # Somebody else's by now, if this took longer than the lease.
            await connection.execute(LET_GO, {"of": batch.lane, "by": batch.claim})
        return parked

    async def backlog(self) -> Backlog:
        """Count what isn't published."""
        numbers = select(
            select(func.count()).where(waits).select_from(outbox_events).scalar_subquery(),
            select(func.count()).where(is_parked).select_from(outbox_events).scalar_subquery(),
        )
        first = (
            select(_columns.created_at)
            .where(_columns.lane == outbox_lanes.c.lane, waits)
            .order_by(_columns.sequence)
            .limit(1)
            .scalar_subquery()
        )
        oldest = select(first).select_from(outbox_lanes)
        async with self._database.reading() as connection:
            waiting, parked = (await connection.execute(numbers)).one()
            moments = (await connection.execute(oldest)).scalars().all()
        return Backlog(waiting, parked, min(filter(None, moments), default=None))

    async def purge(self, before: datetime, limit: int) -> int:
        """Delete events that were published before that moment, at most `limit`; how many.

        Ids begin with the time, so that only old rows are looked at.
        """
        old = (
            select(_columns.sequence)
            .where(_columns.id < lowest_id(before), _columns.published_at < before)
            .order_by(_columns.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._database.transaction() as connection:
            deleted = await connection.execute(
                delete(outbox_events).where(_columns.sequence.in_(old))
            )
        return deleted.rowcount

    async def _oldest(
        self, connection: AsyncConnection, lane: int, limit: int
    ) -> Sequence[Waiting]:
        found = await connection.execute(WAITING, {"of": lane, "most": limit})
        rows = found.all()
        behind = [row.sequence for row in rows if row.is_behind]
        if behind:
            # The order of a key is kept, so that they wait with it; and out of the others' way.
            await connection.execute(
                update(outbox_events)
                .where(_columns.sequence.in_(behind))
                .values(parked_at=datetime.now(UTC), error=_BEHIND)
            )
        return [_waiting(row) for row in rows if not row.is_behind]


def _waiting(row: Row[tuple[object, ...]]) -> Waiting:
    event = Event(
        topic=row.topic,
        key=row.key,
        type=row.type,
        data=row.data,
        id=row.id,
        request_id=row.request_id,
        created_at=row.created_at,
    )
    return Waiting(row.sequence, row.attempts, event)
