"""The models that this process predicts with: loaded, warmed and replaced beside the requests.

>>> models.register("iris", lambda: load(path), sample=row, auto_refresh=True)
>>> model = await models.aget("iris")  # warm; keep it for the whole request

Loading and warming run in threads, never on the event loop. A successor takes over only when it
is warm, in one assignment: whoever holds the model from before finishes with it. SPEC G1 and G2;
the members are those of GLOSSARY section 5, with `a...` for what has to be awaited.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any, TypedDict

from .model_entry import Attempt, ModelEntry, ModelStatus, Registration, WarmUp
from .model_refresh import AutoRefresh
from .model_workshop import Observer, Wanted, Workshop
from .warm_up import is_loader, refuse_coroutine

_LOOK_SECONDS = 0.05
_NAME = re.compile(r"[\w./:@+-]{1,64}", re.ASCII)
"""What fits a metric's label and the memory that workers share."""


class ModelNotReadyError(RuntimeError):
    """The model `name` can't be used now; `reason` says why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name
        self.reason = reason


class RegistryStats(TypedDict):
    """The registry in numbers; `total_warm_up_ms` sums up the models in force."""

    models: int
    warm: int
    cold: int
    total_warm_up_ms: float
    warm_up_on_get: bool
    auto_refresh: bool


class ModelRegistry:
    """Models by name.

    `refresh_interval`, `timeout` (for loading and warming one model) and `poll_interval` (between
    two looks at a fingerprint) are in seconds. Register before the fork, in `wire`; the rest is
    for the worker. Methods that wait refuse to run on an event loop, where `aget`, `awarm_up`,
    `awarm_up_all` and `arefresh` take their place.
    """

    def __init__(
        self,
        warm_up_on_get: bool = True,
        refresh_interval: float = 3600.0,
        warm_up_runs: int = 3,
        *,
        timeout: float = 120.0,
        poll_interval: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if warm_up_runs < 0 or min(refresh_interval, timeout, poll_interval) <= 0:
            raise ValueError("times must be above 0 s, and warm_up_runs not below 0")
        self.warm_up_on_get = warm_up_on_get
        self.timeout = timeout
        self._workshop = Workshop(
            runs=warm_up_runs,
            refresh_interval=refresh_interval,
            poll_interval=poll_interval,
            clock=clock,
        )
        self._auto_refresh = AutoRefresh(self._workshop.look_for_news, min(1.0, poll_interval))

    def register(
        self,
        name: str,
        model: Any,
        sample: Any = None,
        predict: Callable[[Any, Any], object] | None = None,
        auto_refresh: bool = False,
        *,
        required: bool = True,
        loader: bool | None = None,
        fingerprint: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Add a model, or a loader that makes it; nothing is loaded yet.

        A loader is a function, method, partial or class that can be called without arguments;
        anything else is the model itself; `loader` settles what that gets wrong. Warming calls
        `predict(model, sample)`, or else `model.predict(sample)` or `model(sample)`; with neither
        `predict` nor `sample` loading is all there is. The pod isn't ready before every `required`
        model is warm. With `auto_refresh` a model is loaded anew every `refresh_interval` and as
        soon as `fingerprint()` returns something else (`warm_up.fingerprint_of` a file, say).

        Raises ValueError for a name that is taken or none, TypeError for unusable functions.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:100]!r} is no model name: use 1 to 64 of A-Za-z0-9_./:@+-")
        if timeout is not None and timeout <= 0:
            raise ValueError("the timeout must be above 0 s")
        refuse_coroutine(predict, "`predict`")
        refuse_coroutine(fingerprint, "`fingerprint`")
        registration = Registration(
            name=name,
            model=model,
            is_loader=is_loader(model, loader),
            sample=sample,
            predict=predict,
            auto_refresh=auto_refresh,
            required=required,
            fingerprint=fingerprint,
            timeout=self.timeout if timeout is None else timeout,
        )
        self._workshop.add(ModelEntry(registration))

    def remove(self, name: str) -> bool:
        """Forget a model; whoever holds it may finish with it. False when there was none."""
        return self._workshop.remove(name)

    # Using a model.

    def get(self, name: str) -> Any:
        """The model in force, warm; it stays the same object for as long as the caller keeps it.

        One that isn't warm is warmed up first if `warm_up_on_get`; if not, an object is returned
        as it was registered. Raises KeyError for an unknown name, and ModelNotReadyError when
        warming fails, when it failed a moment ago, and on an event loop, instead of waiting.
        """
        entry = self._entry(name)
        if entry.in_force is None and self.warm_up_on_get:
            attempt = self._workshop.start(entry, ModelEntry.may_try)
            if not _is_on_event_loop():
                self._workshop.wait(entry, attempt)
        return self._usable(entry)

    async def aget(self, name: str) -> Any:
        """`get` that waits without holding up the event loop."""
        entry = self._entry(name)
        if entry.in_force is None and self.warm_up_on_get:
            attempt = self._workshop.start(entry, ModelEntry.may_try)
            await self._workshop.wait_async(entry, attempt)
        return self._usable(entry)

    # Warming up.

    def warm_up(self, name: str) -> WarmUp:
        """Load and warm a model, and say how that went. KeyError for an unknown name.

        An attempt that is under way is waited for, and a model that is warm is left alone. What
        the loader raises is told in the result.
        """
        _refuse_event_loop("awarm_up")
        return self._workshop.wait(*self._start(name, _is_not_warm))

    async def awarm_up(self, name: str) -> WarmUp:
        """`warm_up` that waits without holding up the event loop."""
        return await self._workshop.wait_async(*self._start(name, _is_not_warm))

    def warm_up_all(self) -> dict[str, WarmUp]:
        """Warm all models side by side, and say by name how that went."""
        _refuse_event_loop("awarm_up_all")
        started = {name: self._start(name, _is_not_warm) for name in self.names()}
        return {name: self._workshop.wait(*attempt) for name, attempt in started.items()}

    async def awarm_up_all(self) -> dict[str, WarmUp]:
        """`warm_up_all` that waits without holding up the event loop."""
        names = self.names()
        results = await asyncio.gather(*(self.awarm_up(name) for name in names))
        return dict(zip(names, results, strict=True))

    async def warm_up_in_background(self) -> None:
        """Warm all models, those that fail again and again, until all are warm.

        For a task beside the requests; `until_warm` and `not_warm_reason` tell how far it is.
        """
        while any(entry.in_force is None for entry in self._workshop.entries.values()):
            self._workshop.warm_what_is_cold()
            await asyncio.sleep(_LOOK_SECONDS)

    async def until_warm(self) -> None:
        """Wait, without starting anything, until all required models are warm."""
        while not self.all_required_warm:  # noqa: ASYNC110 - it changes in threads, and seldom
            await asyncio.sleep(_LOOK_SECONDS)

    # Replacing what is in use.

    def refresh(self, name: str) -> WarmUp:
        """Load and warm a successor now; it takes over if that goes well, and only then."""
        _refuse_event_loop("arefresh")
        return self._workshop.wait(*self._start(name, _always))

    async def arefresh(self, name: str) -> WarmUp:
        """`refresh` that waits without holding up the event loop."""
        return await self._workshop.wait_async(*self._start(name, _always))

    def start_auto_refresh(self) -> None:
        """Replace models registered with `auto_refresh` from now on, and retry those that failed.

        Starts a thread, so it is for the worker and not for `wire`. Again, it changes nothing.
        """
        self._auto_refresh.start()

    def stop_auto_refresh(self) -> None:
        """Start no more refreshes; one that is under way ends by itself."""
        self._auto_refresh.stop()

    # Telling how things stand.

    def names(self) -> list[str]:
        """The models, in the order of their registration."""
        return list(self._workshop.entries)

    def status(self, name: str) -> ModelStatus | None:
        """What is known of a model, or None when there is none of that name."""
        entry = self._workshop.entries.get(name)
        if entry is None:
            return None
        self._workshop.expire(entry)
        with self._workshop.lock:
            return entry.status(self._workshop.clock())

    def stats(self) -> RegistryStats:
        """The registry in numbers."""
        entries = self._workshop.entries.values()
        warmed = [entry.in_force for entry in entries if entry.in_force is not None]
        return {
            "models": len(entries),
            "warm": len(warmed),
            "cold": len(entries) - len(warmed),
            "total_warm_up_ms": round(sum(model.seconds for model in warmed) * 1000, 3),
            "warm_up_on_get": self.warm_up_on_get,
            "auto_refresh": self._auto_refresh.is_running,
        }

    @property
    def all_required_warm(self) -> bool:
        """Whether this process can do all its work. True where nothing is required."""
        return self.not_warm_reason is None

    @property
    def not_warm_reason(self) -> str | None:
        """Which required models aren't warm in this process, and why; None when all are."""
        entries = self._workshop.entries.values()
        reasons = [entry.reason for entry in entries if entry.registration.required]
        return "; ".join(filter(None, reasons)) or None

    def observe(self, observer: Observer) -> None:
        """Call `observer` with where each model stands: now, and on every change.

        In the thread that made the change and under the registry's lock: it must be quick and
        not call back. `ModelBoard.publish` is one.
        """
        self._workshop.observe(observer)

    def _entry(self, name: str) -> ModelEntry:
        entry = self._workshop.entries.get(name)
        if entry is None:
            raise KeyError(f"no model named {name!r} is registered")
        return entry

    def _start(self, name: str, wanted: Wanted) -> tuple[ModelEntry, Attempt | None]:
        entry = self._entry(name)
        return entry, self._workshop.start(entry, wanted)

    def _usable(self, entry: ModelEntry) -> Any:
        if (warmed := entry.in_force) is not None:
            return warmed.model
        registered = entry.registration
        if self.warm_up_on_get or registered.is_loader:
            raise ModelNotReadyError(registered.name, entry.reason or "it was not warm")
        return registered.model


def _always(entry: ModelEntry, now: float) -> bool:
    return True


def _is_not_warm(entry: ModelEntry, now: float) -> bool:
    return entry.in_force is None


def _is_on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _refuse_event_loop(instead: str) -> None:
    if _is_on_event_loop():
        raise RuntimeError(f"this would hold up the event loop: use `await ...{instead}(...)`")
