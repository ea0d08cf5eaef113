"""How the relay of a worker hears at once of a commit in the same worker."""

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from sqlalchemy import Pool, event
from sqlalchemy.ext.asyncio import AsyncConnection

_MARK = "chassis.outbox"


class Bell:
    """Rings when a connection that events were written through goes back to its pool.

    That is after the commit, or after a rollback; then the relay finds nothing and sleeps on.
    """

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []
        self._pools: WeakSet[Pool] = WeakSet()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` at each ring, until the function that this returns is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def ring_after(self, connection: AsyncConnection) -> None:
        """Ring when this connection is done with."""
        connection.info[_MARK] = True
        pool = connection.engine.sync_engine.pool
        # Not `event.contains`: it goes by the pool's id, which may have been another pool's.
        if pool not in self._pools:
            self._pools.add(pool)
            event.listen(pool, "checkin", self._returned)

    def ring(self) -> None:
        """Tell all listeners."""
        for listener in list(self._listeners):
            listener()

    def _returned(self, _: Any, record: Any) -> None:
        if record.info.pop(_MARK, None):
            self.ring()


current = Bell()
