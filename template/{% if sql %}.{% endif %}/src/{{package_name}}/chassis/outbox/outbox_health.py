"""Whether events flow: a check that asks no database, but what was last counted."""

from .keeper import COUNT_SECONDS
from .outbox_board import OutboxBoard

_STALE_SECONDS = 12 * COUNT_SECONDS


class OutboxBehindError(Exception):
    """Events wait for too long, or too many do, or some were given up."""


def check(board: OutboxBoard, *, max_lag: float, max_backlog: int) -> bool:
    """True while events flow; OutboxBehindError says what doesn't."""
    known, now = board.read(), board.clock()
    lag = known.lag(now)
    if known.parked:
        raise OutboxBehindError(f"{known.parked} events are parked")
    if lag > max_lag:
        raise OutboxBehindError(f"{known.waiting} events wait, the oldest for {lag:.0f} s")
    if known.waiting > max_backlog:
        raise OutboxBehindError(f"{known.waiting} events wait")
    if known.counted_at and now - known.counted_at > _STALE_SECONDS:
        raise OutboxBehindError(f"not counted for {now - known.counted_at:.0f} s")
    return True
