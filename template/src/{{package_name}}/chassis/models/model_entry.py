"""One model: the state it is in, what may follow, and when it is to be tried again.

Pure bookkeeping. Whoever calls it holds the registry's lock and says what time it is (monotonic
seconds); threads, logs and metrics are the registry's (`models`).
"""

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from .model_state import TRANSITIONS, ModelReport, ModelState, describe

_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 30.0
"""Between attempts at a model that was never warm. A failed refresh may wait for the next one."""


class WarmUp(TypedDict):
    """How a warm-up went; `duration_ms` covers loading as well."""

    name: str
    duration_ms: float
    runs: int
    status: Literal["ok", "error"]
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What was registered under a name. `timeout` in seconds, for loading and warming together."""

    name: str
    model: Any
    is_loader: bool
    sample: Any
    predict: Callable[[Any, Any], object] | None
    auto_refresh: bool
    required: bool
    fingerprint: Callable[[], object] | None
    timeout: float


@dataclass(frozen=True, slots=True)
class Warmed:
    """A model that is ready for use, and what its warm-up took."""

    model: Any
    runs: int
    seconds: float


@dataclass(slots=True, eq=False)
class Attempt:
    """Loading and warming once, in a thread that nothing can stop."""

    began: float
    deadline: float
    result: Future[WarmUp] = field(default_factory=Future)
    fingerprint: object = None
    overdue: bool = False
    """Its timeout has passed and its thread is still at work."""

    def resolve(self, result: WarmUp) -> None:
        """Tell those who wait; only the first time counts."""
        with suppress(InvalidStateError):
            self.result.set_result(result)


class ModelStatus(TypedDict):
    """What is known of a model. `warm_up_ms` and `age_s` are those of the model in force."""

    name: str
    state: str
    warm: bool
    required: bool
    auto_refresh: bool
    runs: int
    warm_up_ms: float
    age_s: float | None
    refreshes: int
    overdue: bool
    error: str | None


class ModelEntry:
    """A registered model."""

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self.state = ModelState.COLD
        self.in_force: Warmed | None = None
        """What `get` returns, replaced as a whole: readers take no lock."""
        self.in_force_since = 0.0
        self.error: str | None = None
        """Why the last attempt failed; None when it succeeded."""
        self.attempt: Attempt | None = None
        """The attempt whose thread is at work, overdue or not; there is never a second one."""
        self.seen: object = None
        """The fingerprint of what the last attempt found, good or bad."""
        self.removed = False
        self.polling = False
        self.polled = 0.0
        self.refreshes = 0
        self._failures = 0
        self._retry_at = 0.0

    def begin(self, now: float) -> Attempt:
        """Start an attempt: the first one, one more, or a refresh."""
        if self.attempt is not None:
            raise RuntimeError(f"model {self.registration.name!r} is being loaded already")
        self._enter(ModelState.LOADING if self.in_force is None else ModelState.REFRESHING)
        self.attempt = Attempt(now, now + self.registration.timeout)
        return self.attempt

    def loaded(self) -> None:
        """Loading is done and warming begins. A refresh and what is overdue look no different."""
        if self.state is ModelState.LOADING:
            self._enter(ModelState.WARMING)

    def succeed(self, warmed: Warmed, now: float) -> WarmUp:
        """The attempt succeeded, be it late: its model is in force from now on."""
        self._end()
        self._enter(ModelState.WARM)
        self.refreshes += self.in_force is not None
        self.in_force, self.in_force_since, self.error, self._failures = warmed, now, None, 0
        return self._result(warmed.seconds, warmed.runs, None)

    def fail(self, error: str, now: float, refresh_interval: float) -> WarmUp:
        """The attempt failed; what is in force stays so."""
        attempt = self._end()
        if not attempt.overdue:
            self._fall()
        self._failures += 1
        longest = _LONGEST_RETRY_SECONDS if self.in_force is None else refresh_interval
        delay = _FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 30)
        self.error, self._retry_at = error, now + min(delay, longest)
        return self._result(now - attempt.began, 0, error)

    def expire(self, now: float) -> WarmUp | None:
        """Give up waiting for an attempt whose time is over; its result when that is news."""
        attempt = self.attempt
        if attempt is None or attempt.overdue or now < attempt.deadline:
            return None
        attempt.overdue = True
        self._fall()
        self.error = f"not warm within {self.registration.timeout:g} s, its thread goes on"
        return self._result(now - attempt.began, 0, self.error)

    def may_try(self, now: float) -> bool:
        """Whether a model that isn't warm is to be loaded: at once, and after failures later."""
        if self.in_force is not None or self.attempt is not None:
            return False
        return self.state is ModelState.COLD or now >= self._retry_at

    def may_refresh(self, now: float, refresh_interval: float) -> bool:
        """Whether it is time for a successor to the model in force."""
        if not self.registration.auto_refresh or self.in_force is None or self.attempt is not None:
            return False
        if self.state is ModelState.STALE:
            return now >= self._retry_at
        return now - self.in_force_since >= refresh_interval

    def may_poll(self, now: float, poll_interval: float) -> bool:
        """Whether it is time to look if there is something new to load."""
        wanted = self.registration.auto_refresh and self.registration.fingerprint is not None
        # A model that failed is retried anyway, but what was mended is news to be heard at once.
        tried = self.in_force is not None or self.state is ModelState.FAILED
        idle = tried and self.attempt is None and not self.polling
        return wanted and idle and now - self.polled >= poll_interval

    @property
    def reason(self) -> str | None:
        """Why the model can't be used, for a person; None when it can."""
        return describe(self.registration.name, self.state, self.error)

    def report(self) -> ModelReport:
        """What others are told."""
        registered = self.registration
        state = None if self.removed else self.state
        return ModelReport(registered.name, state, registered.required, self.error)

    def status(self, now: float) -> ModelStatus:
        """Everything that is known."""
        warmed, registered = self.in_force, self.registration
        return {
            "name": registered.name,
            "state": self.state.label,
            "warm": warmed is not None,
            "required": registered.required,
            "auto_refresh": registered.auto_refresh,
            "runs": warmed.runs if warmed else 0,
            "warm_up_ms": round(warmed.seconds * 1000, 3) if warmed else 0.0,
            "age_s": round(now - self.in_force_since, 3) if warmed else None,
            "refreshes": self.refreshes,
            "overdue": self.attempt is not None and self.attempt.overdue,
            "error": self.error,
        }

    def result(self) -> WarmUp:
        """How the warm-up of the model in force went, or why there is none."""
        if self.in_force is None:
            return self._result(0.0, 0, self.error or "not warmed up")
        return self._result(self.in_force.seconds, self.in_force.runs, None)

    def _enter(self, state: ModelState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"a model can't go from {self.state.label} to {state.label}")
        self.state = state

    def _fall(self) -> None:
        self._enter(ModelState.FAILED if self.in_force is None else ModelState.STALE)

    def _end(self) -> Attempt:
        attempt = self.attempt
        if attempt is None:
            raise RuntimeError(f"model {self.registration.name!r} isn't being loaded")
        self.attempt, self.seen = None, attempt.fingerprint
        return attempt

    def _result(self, seconds: float, runs: int, error: str | None) -> WarmUp:
        return {
            "name": self.registration.name,
            "duration_ms": round(seconds * 1000, 3),
            "runs": runs,
            "status": "error" if error else "ok",
            "error": error,
        }
