"""The relay: takes events from the outbox to the sink, in every worker.

An event is published first and marked after that. What comes in between (a killed worker, a lost
connection) leaves it unmarked, and it is published again: at least once, never less.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum

from .. import logs
from ..database import DatabaseBusyError, DatabaseUnavailableError, PoolTimeoutError
from .backoff import Backoff, jittered
from .delivery import Delivery, deliver
from .outbox_board import OutboxBoard
from .outbox_metrics import outbox as metrics
from .sinks import Sink
from .store import Batch, Store, Work
from .suspects import Suspects

_GATHER_SECONDS = 0.05
"""What a relay waits after a batch that wasn't full: fewer, larger batches under load."""
_GATHER_FACTOR = 9
"""Or so many times as long as the batch took: in an overload, in which everything takes long, most
of the time is the requests'."""
_GATHER_MOST_SECONDS = 0.5
_HELD_SECONDS = 0.1
"""When it looks again whether those who are at work have left something."""
_BUSY_SECONDS = 0.2
_SETTLE_ATTEMPTS = 5
_LEAVING_FACTOR = 10
_TELL_SECONDS = 60.0

_log = logs.get_logger("chassis.outbox")


class Turn(Enum):
    """How a turn of the relay ended."""

    IDLE = "idle"
    HELD = "held"
    PUBLISHED = "published"
    FULL = "full"
    """It published a full batch: more will be waiting."""
    BUSY = "busy"
    """It got no connection: requests come first."""
    FAILED = "failed"


class Relay:
    """The relay of one worker."""

    def __init__(
        self,
        store: Store,
        sink: Sink,
        board: OutboxBoard,
        *,
        batch_size: int,
        poll_seconds: float,
        publish_seconds: float,
        max_backoff_seconds: float,
        max_attempts: int,
        is_leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._sink = sink
        self._board = board
        self._batch_size = batch_size
        self._poll = poll_seconds
        self._publish_seconds = publish_seconds
        self._max_attempts = max_attempts
        self._is_leaving = is_leaving
        self._backoff = Backoff(max_backoff_seconds)
        self._is_away = False
        self._suspects = Suspects()
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()

    def wake(self) -> None:
        """Something was committed."""
        self._woken.set()

    def stop(self) -> None:
        """Finish the batch in hand and end."""
        self._stopping.set()
        self._woken.set()

    async def run(self) -> None:
        """Relay until `stop` is called."""
        while not self._stopping.is_set():
            was_woken = self._woken.is_set()
            # Before it looks: what is committed from here on wakes it again.
            self._woken.clear()
            began = time.monotonic()
            turn = await self.turn(expects_work=was_woken)
            await self._pause(turn, time.monotonic() - began)

    async def turn(self, *, expects_work: bool = False) -> Turn:
        """Take one batch as far as it goes, if there is one. Never raises.

        Who `expects_work` takes it without a look first, which locks nothing but costs as much.
        """
        try:
            turn = await self._turn(expects_work)
        except (PoolTimeoutError, DatabaseBusyError):
            return Turn.BUSY
        except DatabaseUnavailableError:  # the database says so itself
            metrics().failed("database")
            return Turn.FAILED
        except Exception:
            metrics().failed("relay")
            if self._board.went_away("relay"):
                _log.exception("outbox relay failed, it goes on trying")
            return Turn.FAILED
        if self._board.came_back("relay") is not None:
            _log.info("outbox relay works again")
        return turn

    async def _turn(self, expects_work: bool) -> Turn:
        # One event is enough to find out whether the sink is back.
        limit = 1 if self._is_away else self._batch_size
        batch = await self._store.claim(limit) if expects_work else None
        if batch is None:
            work = await self._store.look()
            if work is not Work.READY:
                return Turn.IDLE if work is Work.NONE else Turn.HELD
            batch = await self._store.claim(limit)
        if batch is None:
            return Turn.HELD
        delivery = await self._deliver(batch)
        metrics().published(len(delivery.published))
        blamed = self._suspects.blame(delivery.published, delivery.refused)
        parked = await self._settle(batch, delivery.published, blamed)
        self._tell(delivery, blamed, parked)
        self._is_away = delivery.away is not None
        if delivery.reason is not None:
            return Turn.FAILED
        return Turn.FULL if len(batch.events) == limit else Turn.PUBLISHED

    async def _deliver(self, batch: Batch) -> Delivery:
        if not batch.events:  # all of them were behind parked ones
            return Delivery()
        return await deliver(self._sink, batch.events, self._publish_seconds)

    async def _settle(
        self, batch: Batch, published: Sequence[int], blamed: Mapping[int, str]
    ) -> int:
        """Write it down. What isn't written down is published again: worth trying more than once.

        But not when it is the database that is away: it comes back when the lease is over.
        """
        for _ in range(_SETTLE_ATTEMPTS - 1):
            try:
                return await self._store.settle(
                    batch, published=published, refused=blamed, max_attempts=self._max_attempts
                )
            except (PoolTimeoutError, DatabaseBusyError):
                await asyncio.sleep(jittered(_BUSY_SECONDS))
        return await self._store.settle(
            batch, published=published, refused=blamed, max_attempts=self._max_attempts
        )

    async def _pause(self, turn: Turn, took: float) -> None:
        if turn is Turn.FAILED:
            await _wait(self._stopping, self._backoff.failed())
        elif turn is Turn.BUSY:
            await _wait(self._stopping, jittered(_BUSY_SECONDS))
        elif turn is Turn.HELD:
            await _wait(self._stopping, jittered(_HELD_SECONDS))
        elif turn is Turn.IDLE:
            # On average what is set. A worker that leaves has given its connections back, and
            # opens one for events of its own.
            seconds = jittered(self._poll * 4 / 3)
            await _wait(self._woken, seconds * (_LEAVING_FACTOR if self._is_leaving() else 1))
        else:
            self._backoff.succeeded()
            if turn is Turn.PUBLISHED:
                await _wait(self._stopping, rest_after(took))

    def _tell(self, delivery: Delivery, blamed: Mapping[int, str], parked: int) -> None:
        """Say what is new, and not at every attempt."""
        if delivery.published and (seconds := self._board.came_back("sink")) is not None:
            _log.info("event sink back", after_seconds=round(seconds, 3))
        if delivery.away is not None:
            metrics().failed("sink")
            if self._board.went_away("sink"):
                _log.warning("event sink away, events wait", reason=delivery.away)
        if delivery.refused:
            metrics().refused(len(delivery.refused))
            if self._board.take_duty("tell of refusals", _TELL_SECONDS):
                reason = next(iter(delivery.refused.values()))
                _log.warning("events refused", events=len(delivery.refused), reason=reason)
        if parked:
            reason = next(iter(blamed.values()))
            _log.error("events parked", events=parked, attempts=self._max_attempts, reason=reason)


def rest_after(took: float) -> float:
    """How long to let events gather after a batch that took so long and wasn't full; seconds."""
    return max(_GATHER_SECONDS, min(took * _GATHER_FACTOR, _GATHER_MOST_SECONDS))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
