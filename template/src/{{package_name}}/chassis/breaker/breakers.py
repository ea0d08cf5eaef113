"""The circuit breakers of this process by name, and what the others' look like.

>>> from .chassis.breaker import breakers
>>> gateway = breakers.get("payment-gateway", failure_threshold=3)

Those that are made here are in the metrics and in `/health`; one made with `CircuitBreaker(...)`
works just the same, but only its own log lines tell of it.
"""

import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from .. import logs
from . import CircuitBreaker, breaker_board, breaker_metrics
from .breaker_board import BREAKERS, BreakerBoard, worst
from .breaker_metrics import Tally
from .circuit_controller import Listener
from .circuit_state import CircuitState

_log = logs.get_logger("chassis.breaker")


class Breakers:
    """Each name is one breaker. Nothing here is on the way of a call."""

    def __init__(self, board: BreakerBoard) -> None:
        self._board = board
        self._slot: int | None = None
        self._made: dict[str, tuple[CircuitBreaker, dict[str, Any]]] = {}
        self._tallies: dict[str, Tally] = {}
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    def get(self, name: str, **options: Any) -> CircuitBreaker:
        """The breaker of that name, made when it is first asked for, with CircuitBreaker's options.

        Later on options may be left out. Raises ValueError when they are others than at first.
        One is meant for each service that is called: the metrics and `/health` show the first 64.
        """
        with self._lock:
            if name in self._made:
                breaker, given = self._made[name]
                if options and options != given:
                    raise ValueError(f"the circuit breaker {name!r} has other options already")
                return breaker
            breaker = CircuitBreaker(name=name, **options)
            # At once: a tick later another worker may already have said that all is well.
            breaker.on_transition(lambda _: self._show(breaker))
            for listener in self._listeners:
                breaker.on_transition(listener)
            self._made[name] = breaker, options
            self._tallies[name] = Tally(breaker.counts)
            if len(self._made) == BREAKERS + 1:
                _log.error("too many circuit breakers to show them all", shown=BREAKERS)
            return breaker

    def __iter__(self) -> Iterator[CircuitBreaker]:
        return iter([breaker for breaker, _ in self._made.copy().values()])

    def __len__(self) -> int:
        return len(self._made)

    def __contains__(self, name: object) -> bool:
        return name in self._made

    def on_transition(self, listener: Listener) -> None:
        """Call `listener` after each transition of any of them, those that are yet to be made too.

        See CircuitBreaker.on_transition.
        """
        with self._lock:
            self._listeners.append(listener)
            for breaker, _ in self._made.values():
                breaker.on_transition(listener)

    def start(self, slot: int) -> None:
        """This process is the worker in `slot` from now on. For a worker, right after the fork."""
        self._slot = slot
        self._board.clear(slot)
        for tally in self._tallies.values():
            tally.start_over()  # every worker would count what was counted before the fork

    def publish(self) -> None:
        """Let the metrics and the other workers know. For a worker, on every tick and at the end.

        What a worker that is killed has counted since its last tick is lost.
        """
        with self._lock:
            for breaker in islice(self, BREAKERS):
                growth = self._tallies[breaker.name].take()
                if growth:
                    breaker_metrics.counters().add(breaker.name, growth)
                self._show(breaker)

    def _show(self, breaker: CircuitBreaker) -> None:
        if self._slot is not None:
            self._board.publish(self._slot, breaker.name, breaker.state)

    def states(self, slots: Iterable[int]) -> dict[str, CircuitState]:
        """The worst state of each breaker over the workers in these slots and this process.

        `slots` are those of the workers that are alive: the roster knows.
        """
        others = (slot for slot in slots if slot != self._slot)
        found = {name: worst(said) for name, said in self._board.states(others).items()}
        for breaker in islice(self, BREAKERS):
            state = breaker.state
            found[breaker.name] = worst((state, found.get(breaker.name, state)))
        return found


current = Breakers(breaker_board.current)
get = current.get
on_transition = current.on_transition
