"""The states of all workers' circuit breakers, in memory that every worker can read (SPEC C3).

State lives in each worker: one may have seen a gateway fail while another hasn't called it yet.
Each writes its own row here and whoever is asked reads all of them.
"""

from collections import Counter
from collections.abc import Iterable

from ..columns import Columns
from ..roster import SLOTS
from ..shared import WORD, Memory, memory
from .circuit_state import CircuitState

BREAKERS = 64
"""How many breakers there is room for."""

_STATES = list(CircuitState)  # in the order of the enumeration, best first
_NOT_THERE = 0


def worst(states: Iterable[CircuitState]) -> CircuitState:
    """The state that an operator has to know of. Raises ValueError when there is none."""
    return max(states, key=_STATES.index)


class BreakerBoard:
    """A byte for each breaker in a row for each worker, and the breakers' names."""

    def __init__(self, memory: Memory, slots: int = SLOTS) -> None:
        self._columns = Columns(memory, BREAKERS)
        self._rows = memory.words(slots * BREAKERS // WORD).cast("B")

    def publish(self, slot: int, name: str, state: CircuitState) -> bool:
        """Say where a breaker of the worker in `slot` stands; False when there is no room for it.

        A single byte is written, so that nobody can read half of it.
        """
        column = self._columns.place(name)
        if column is None:
            return False
        self._rows[slot * BREAKERS + column] = 1 + _STATES.index(state)
        return True

    def clear(self, slot: int) -> None:
        """Forget what a worker said: it is gone, or the next one has its slot now."""
        self._rows[slot * BREAKERS : (slot + 1) * BREAKERS] = bytes(BREAKERS)

    def states(self, slots: Iterable[int]) -> dict[str, Counter[CircuitState]]:
        """How many of the workers in these slots have each breaker in each state."""
        rows = [bytes(self._rows[slot * BREAKERS : (slot + 1) * BREAKERS]) for slot in slots]
        found: dict[str, Counter[CircuitState]] = {}
        for column, name in enumerate(self._columns.names()):
            said = Counter(_STATES[row[column] - 1] for row in rows if row[column] != _NOT_THERE)
            if said:
                found[name] = said
        return found


current = BreakerBoard(memory)
