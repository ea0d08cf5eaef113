"""Whether the platform should restart this service, and whether it should send traffic.

The states and their meaning are Spring Boot's (`org.springframework.boot.availability`). One state
is shared by all workers: what one of them publishes, any of them answers to the next probe.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from . import logs
from .shared import Cell, Memory, memory


class LivenessState(StrEnum):
    """Whether the service can recover by itself."""

    CORRECT = "CORRECT"
    """The internal state is sound."""
    BROKEN = "BROKEN"
    """It can't be mended from inside: the platform should restart the service."""


class ReadinessState(StrEnum):
    """Whether the service wants requests."""

    ACCEPTING_TRAFFIC = "ACCEPTING_TRAFFIC"
    REFUSING_TRAFFIC = "REFUSING_TRAFFIC"
    """Healthy, but the platform should send traffic elsewhere for now."""


State = LivenessState | ReadinessState


@dataclass(frozen=True, slots=True)
class AvailabilityChange:
    """One published state: who said so, why, in which process (`pid`) and when (Unix time)."""

    state: State
    source: str
    reason: str
    pid: int
    at: float


Listener = Callable[[AvailabilityChange], None]

_TEXT_LIMIT = 500

_log = logs.get_logger("chassis.availability")


class Availability:
    """The two states, and those who listen to their changes."""

    def __init__(self, memory: Memory) -> None:
        self._cells: dict[type[State], Cell] = {
            LivenessState: memory.cell(),
            ReadinessState: memory.cell(),
        }
        self._seen: dict[type[State], int] = dict.fromkeys(self._cells, 0)
        self._listeners: list[Listener] = []

    @property
    def liveness(self) -> LivenessState:
        """BROKEN until somebody has said CORRECT: unset fails closed."""
        change = self.last(LivenessState)
        return LivenessState(change.state) if change else LivenessState.BROKEN

    @property
    def readiness(self) -> ReadinessState:
        """REFUSING_TRAFFIC until somebody has said ACCEPTING_TRAFFIC: unset fails closed."""
        change = self.last(ReadinessState)
        return ReadinessState(change.state) if change else ReadinessState.REFUSING_TRAFFIC

    def last(self, kind: type[State]) -> AvailabilityChange | None:
        """The change that is in force, or None when the state was never set."""
        document = self._cells[kind].read()
        if not isinstance(document, dict):
            return None
        return AvailabilityChange(**{**document, "state": kind(document["state"])})

    def publish(self, state: State, *, source: str, reason: str = "") -> None:
        """Set the state for all workers and tell the listeners, here now and elsewhere soon.

        `source` says which part of the application speaks, `reason` why; both are cut at 500
        characters. BROKEN published in error is taken back by CORRECT before the next probe.
        """
        self._cells[type(state)].write(_document(state, source, reason))
        bad = state in (LivenessState.BROKEN, ReadinessState.REFUSING_TRAFFIC)
        _log.log(
            logging.WARNING if bad else logging.INFO,
            "availability changed",
            state=state,
            source=source,
            reason=reason,
        )
        self.deliver()

    def initialise(self, state: State, *, source: str) -> None:
        """Publish, but only where nothing was ever published.

        Each worker says CORRECT when it starts; that must not take back what another one said.
        """
        cell = self._cells[type(state)]
        cell.update(lambda set_: _document(state, source, "") if set_ is None else None)
        self.deliver()

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with each change, in every worker, in the thread that delivers it."""
        self._listeners.append(listener)

    def deliver(self) -> None:
        """Tell the listeners of this process what changed since the last call.

        Workers call it on every tick of their server, ten times a second.
        """
        for kind, cell in self._cells.items():
            version = cell.version
            if version == self._seen[kind]:
                continue
            self._seen[kind] = version
            change = self.last(kind)
            if change is not None:
                self._tell(change)

    def _tell(self, change: AvailabilityChange) -> None:
        for listener in self._listeners:
            try:
                listener(change)
            except Exception:  # one that fails must not end the worker that delivers
                _log.exception("availability listener failed", state=change.state)


def _document(state: State, source: str, reason: str) -> dict[str, object]:
    return {
        "state": state,
        "source": source[:_TEXT_LIMIT],
        "reason": reason[:_TEXT_LIMIT],
        "pid": os.getpid(),
        "at": time.time(),
    }


current = Availability(memory)
publish = current.publish
subscribe = current.subscribe
