"""What the workers of a pod know of the outbox together, in memory that they share.

One of them counts what waits, every few seconds, and all answer with it; an outage is logged by the
worker that meets it first.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from ..shared import Cell, Memory, memory

PATIENCE_SECONDS = 1.0
"""What is away for less is counted, but not worth a line in the log."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The last count, and what is away. Times are Unix times; 0 is never."""

    counted_at: float = 0.0
    waiting: int = 0
    parked: int = 0
    oldest: float | None = None
    """When the event was created that has waited longest; None when nothing waits."""
    duties: dict[str, float] = field(default_factory=dict)
    """When each duty is due again."""
    away: dict[str, float] = field(default_factory=dict)
    """Since when something can't be reached."""
    told: tuple[str, ...] = ()
    """Of which the log has been told."""

    def lag(self, now: float) -> float:
        """The age in seconds of what has waited longest, by the last count."""
        return 0.0 if self.oldest is None else max(0.0, now - self.oldest)


class OutboxBoard:
    """The standing, and who does what about it."""

    def __init__(
        self,
        memory: Memory,
        *,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cell: Cell = memory.cell()
        self._patience = patience
        self.clock = clock

    def read(self) -> Standing:
        """What is known at the moment."""
        return _standing(self._cell.read())

    def counted(self, *, waiting: int, parked: int, oldest: float | None) -> None:
        """Write down a count."""
        now = self.clock()
        self._change(
            lambda known: replace(
                known, counted_at=now, waiting=waiting, parked=parked, oldest=oldest
            )
        )

    def take_duty(self, name: str, every: float) -> bool:
        """Whether it is for the caller to do this now: one worker, every so many seconds.

        By time and not by name, so that a worker that dies at it is no obstacle.
        """
        now = self.clock()

        def take(known: Standing) -> Standing | None:
            due = known.duties.get(name, 0.0)
            if now < due <= now + every:  # a clock that was set back is no obstacle either
                return None
            return replace(known, duties=known.duties | {name: now + every})

        return self._change(take)

    def went_away(self, name: str) -> bool:
        """Note that this can't be reached. True for the one worker that should log it.

        Not before it lasts: what comes and goes all the time would fill the log.
        """
        now = self.clock()
        should_tell = False

        def note(known: Standing) -> Standing | None:
            nonlocal should_tell
            since = known.away.get(name, now)
            should_tell = name not in known.told and now - since >= self._patience
            if name in known.away and not should_tell:
                return None
            told = (*known.told, name) if should_tell else known.told
            return replace(known, away=known.away | {name: since}, told=told)

        self._change(note)
        return should_tell

    def came_back(self, name: str) -> float | None:
        """Note that this can be reached.

        How many seconds it couldn't, for the one worker that should log it.
        """
        if name not in self.read().away:
            return None
        seconds: float | None = None

        def note(known: Standing) -> Standing | None:
            nonlocal seconds
            if name not in known.away:
                return None
            if name in known.told:
                seconds = max(0.0, self.clock() - known.away[name])
            return replace(
                known,
                away={other: since for other, since in known.away.items() if other != name},
                told=tuple(other for other in known.told if other != name),
            )

        self._change(note)
        return seconds

    def _change(self, change: Callable[[Standing], Standing | None]) -> bool:
        def apply(document: object | None) -> object | None:
            changed = change(_standing(document))
            return None if changed is None else asdict(changed)

        return self._cell.update(apply)


def _standing(document: object | None) -> Standing:
    return Standing(**document) if isinstance(document, dict) else Standing()


current = OutboxBoard(memory)
