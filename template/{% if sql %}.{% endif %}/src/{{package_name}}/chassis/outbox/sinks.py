"""Where events go."""

from collections.abc import Sequence
from typing import Protocol

from .. import logs
from .event import Event


class SinkAwayError(Exception):
    """The sink can't be reached or takes nothing at the moment, whatever the events are."""


class Sink(Protocol):
    """Takes events and keeps them, or hands them on to somebody who does."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Take these events, in this order; when it returns, they are safe.

        SinkAwayError, OSError or TimeoutError: it is the sink's fault, and all of them are tried
        again later. Any other exception: it is an event's fault. Then they come again one by one,
        and those that are refused over and over are parked. What was taken may come again.
        """


class LogSink:
    """Writes each event to the log: where the logs are collected, the events are."""

    def __init__(self) -> None:
        self._log = logs.get_logger("events")

    async def publish(self, events: Sequence[Event]) -> None:
        """Write one line for each."""
        for event in events:
            self._log.info(
                "event published",
                event_id=str(event.id),
                topic=event.topic,
                key=event.key,
                type=event.type,
                data=event.data,
                request_id=event.request_id,
                created_at=event.created_at.isoformat(),
            )
