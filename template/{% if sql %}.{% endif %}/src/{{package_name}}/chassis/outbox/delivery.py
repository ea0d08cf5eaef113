"""Giving a batch to the sink: what was taken, what was refused, and whether the sink is there."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..logs.secret_text import scrub
from .sinks import Sink, SinkAwayError
from .store import Waiting

_AWAY = (SinkAwayError, OSError, TimeoutError)


@dataclass(slots=True)
class Delivery:
    """What became of a batch; events that are named nowhere weren't tried.

    `away` says why the sink can't be reached.
    """

    published: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    away: str | None = None

    @property
    def reason(self) -> str | None:
        """Why not all was taken; None if it was."""
        return self.away or next(iter(self.refused.values()), None)


async def deliver(sink: Sink, events: Sequence[Waiting], seconds: float) -> Delivery:
    """Publish the events in their order. Never takes much longer than so many seconds.

    If the sink refuses a batch, its events are tried one by one, and what comes behind a refused
    event of the same key isn't tried.
    """
    delivery = Delivery()
    end = asyncio.get_running_loop().time() + seconds
    error = await _publish(sink, events, end)
    if error is None:
        delivery.published += [waiting.sequence for waiting in events]
    elif isinstance(error, _AWAY):
        delivery.away = _text(error)
    elif len(events) == 1:
        delivery.refused[events[0].sequence] = _text(error)
    else:
        await _one_by_one(sink, events, end, delivery)
    return delivery


async def _one_by_one(
    sink: Sink, events: Sequence[Waiting], end: float, delivery: Delivery
) -> None:
    blocked: set[str] = set()
    for waiting in events:
        if waiting.event.key in blocked:
            continue
        error = await _publish(sink, [waiting], end)
        if error is None:
            delivery.published.append(waiting.sequence)
        elif isinstance(error, _AWAY):
            delivery.away = _text(error)
            return
        else:
            delivery.refused[waiting.sequence] = _text(error)
            blocked.add(waiting.event.key)


async def _publish(sink: Sink, events: Sequence[Waiting], end: float) -> Exception | None:
    try:
        async with asyncio.timeout_at(end):
            await sink.publish([waiting.event for waiting in events])
    except Exception as error:
        return error
    return None


def _text(error: Exception) -> str:
    # Drivers like to quote the address that they couldn't reach, password and all.
    return scrub(f"{type(error).__name__}: {error}")
