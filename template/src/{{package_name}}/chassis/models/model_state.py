"""The states of a model, and every way from one to another."""

from dataclasses import dataclass
from enum import IntEnum


class ModelState(IntEnum):
    """Where a model stands, the smaller the better: over several workers the largest counts."""

    WARM = 1
    """In use."""
    REFRESHING = 2
    """In use, while its successor is loaded and warmed beside it."""
    STALE = 3
    """In use, because its successor failed."""
    WARMING = 4
    """Loaded; the first predictions are running."""
    LOADING = 5
    COLD = 6
    """Nobody has asked for it yet."""
    FAILED = 7
    """It can't be used; the error says why."""

    @property
    def is_warm(self) -> bool:
        """Whether predictions can be made."""
        return self <= ModelState.STALE

    @property
    def label(self) -> str:
        """The name in statuses, e.g. `warming`."""
        return self.name.lower()


TRANSITIONS: dict[ModelState, frozenset[ModelState]] = {
    ModelState.COLD: frozenset({ModelState.LOADING}),
    ModelState.LOADING: frozenset({ModelState.WARMING, ModelState.FAILED}),
    ModelState.WARMING: frozenset({ModelState.WARM, ModelState.FAILED}),
    # WARM without LOADING, here and below: too late for its timeout, but it did succeed.
    ModelState.FAILED: frozenset({ModelState.LOADING, ModelState.WARM}),
    ModelState.WARM: frozenset({ModelState.REFRESHING}),
    ModelState.REFRESHING: frozenset({ModelState.WARM, ModelState.STALE}),
    ModelState.STALE: frozenset({ModelState.REFRESHING, ModelState.WARM}),
}
"""Every change of state that there is."""


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What a process says of one model; `state` is None once the model is removed."""

    name: str
    state: ModelState | None
    required: bool
    error: str | None = None


def describe(name: str, state: ModelState, error: str | None) -> str | None:
    """Say why a model can't be used; None when it can."""
    if state.is_warm:
        return None
    if state is ModelState.FAILED:
        return f"model {name!r} failed: {error or 'for a reason unknown'}"
    return f"model {name!r}: {state.label}"
