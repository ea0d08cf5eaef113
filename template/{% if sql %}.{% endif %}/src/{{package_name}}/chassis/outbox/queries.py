"""The statements of a relay, made once: building one costs more than to send it.

A relay that has something to do sends them many times a second, in each worker.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Double,
    Integer,
    any_,
    bindparam,
    exists,
    or_,
    select,
    update,
)

from .lanes import DatabaseClock
from .outbox_tables import outbox_events, outbox_lanes, waits

_columns = outbox_events.c
# Not EXISTS: PostgreSQL might make it a join, and read all that waits to find the lanes.
_lane_has_work = (
    select(_columns.sequence)
    .where(_columns.lane == outbox_lanes.c.lane, waits)
    .correlate(outbox_lanes)
    .limit(1)
    .scalar_subquery()
    .is_not(None)
)
# A lane that was let go of is free whatever happens to the clock.
_is_free = or_(outbox_lanes.c.claim.is_(None), outbox_lanes.c.held_until <= DatabaseClock())

LOOK = select(_is_free.label("is_free")).where(_lane_has_work)
"""Of each lane with work, whether it is free; locks nothing."""

_free_longest = (
    select(outbox_lanes.c.lane)
    .where(_is_free, _lane_has_work)
    .order_by(outbox_lanes.c.held_until)
    .limit(1)
    .with_for_update(skip_locked=True)
    .correlate(None)
    .scalar_subquery()
)

TAKE = (
    update(outbox_lanes)
    .where(outbox_lanes.c.lane == _free_longest)
    .values(claim=bindparam("by"), held_until=DatabaseClock() + bindparam("lease", type_=Double))
    .returning(outbox_lanes.c.lane)
)
"""Hold the lane with work that was free longest, `by` a claim, for so many seconds."""

LET_GO = (
    update(outbox_lanes)
    .where(outbox_lanes.c.lane == bindparam("of"), outbox_lanes.c.claim == bindparam("by"))
    .values(claim=None, held_until=DatabaseClock())
)
"""Free a lane. It is somebody else's by now where that took longer than the lease."""

_earlier = outbox_events.alias()
_is_behind = exists().where(
    _earlier.c.key == _columns.key,
    _earlier.c.sequence < _columns.sequence,
    _earlier.c.published_at.is_(None),
    _earlier.c.parked_at.is_not(None),
)

WAITING = (
    select(outbox_events, _is_behind.label("is_behind"))
    .where(_columns.lane == bindparam("of"), waits)
    .order_by(_columns.sequence)
    .limit(bindparam("most", type_=Integer))
)
"""The oldest events of a lane, and whether each is behind a parked one of its key."""

# One parameter: a statement for each length of a list would have to be prepared each time.
_ARE_THESE = {
    "postgresql": _columns.sequence == any_(bindparam("numbers", type_=ARRAY(BigInteger))),
    "sqlite": _columns.sequence.in_(bindparam("numbers", expanding=True)),
}

STRIKE_OUT = {
    dialect: update(outbox_events).where(these).values(published_at=bindparam("now"), error=None)
    for dialect, these in _ARE_THESE.items()
}
"""Note that the events of these `numbers` are published."""
