"""Where models are loaded, warmed and replaced: threads, those who wait for them, and what is said.

Each attempt has a thread of its own, so that a loader that hangs holds up only its own model.
Nothing can stop a thread: one that is overdue is left alone, no second one joins it, and if it
does succeed in the end, its model is taken. The rules are the entry's (`model_entry`).
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from .. import logs
from . import model_metrics
from .model_entry import Attempt, ModelEntry, Warmed, WarmUp
from .model_state import ModelReport, ModelState
from .warm_up import explain, load_and_warm

Observer = Callable[[ModelReport], None]
Wanted = Callable[[ModelEntry, float], bool]
"""Whether an attempt is called for, at that time. Asked under the lock."""

_log = logs.get_logger("chassis.models")


class Workshop:
    """The models at hand. Times in seconds."""

    def __init__(
        self,
        *,
        runs: int,
        refresh_interval: float,
        poll_interval: float,
        clock: Callable[[], float],
    ) -> None:
        self.runs = runs
        self.refresh_interval = refresh_interval
        self.poll_interval = poll_interval
        self.clock = clock
        self.lock = threading.Lock()
        self.entries: Mapping[str, ModelEntry] = {}
        """Replaced as a whole when a model comes or goes: readers take no lock."""
        self._observers: list[Observer] = []

    def add(self, entry: ModelEntry) -> None:
        """Take a model in. ValueError for a name that is taken."""
        name = entry.registration.name
        with self.lock:
            if name in self.entries:
                raise ValueError(f"a model named {name!r} is registered already")
            self.entries = {**self.entries, name: entry}
            self._tell(entry)

    def remove(self, name: str) -> bool:
        """Give a model away; an attempt at it ends by itself. False when there was none."""
        with self.lock:
            entry = self.entries.get(name)
            if entry is None:
                return False
            if entry.attempt is not None:
                entry.attempt.resolve({**entry.result(), "status": "error", "error": "removed"})
            entry.removed = True
            self._tell(entry)
            self.entries = {key: kept for key, kept in self.entries.items() if key != name}
            return True

    def observe(self, observer: Observer) -> None:
        """Tell the observer of every model, now and on every change, under the lock."""
        with self.lock:
            self._observers.append(observer)
            for entry in self.entries.values():
                _inform(observer, entry)

    def start(self, entry: ModelEntry, wanted: Wanted) -> Attempt | None:
        """Join the attempt that is under way, or begin one if it is wanted."""
        with self.lock:
            now = self.clock()
            if entry.attempt is not None or entry.removed or not wanted(entry, now):
                return entry.attempt
            attempt = entry.begin(now)
            self._tell(entry)
        thread = threading.Thread(
            target=self._work,
            args=(entry, attempt),
            name=f"model {entry.registration.name}",
            daemon=True,  # the process may leave without it
        )
        try:
            thread.start()
        except RuntimeError as error:  # no thread to be had
            self._failed(entry, attempt, error)
        return attempt

    def wait(self, entry: ModelEntry, attempt: Attempt | None) -> WarmUp:
        """How the attempt went, at its deadline at the latest. None: how it went before."""
        if attempt is None:
            return entry.result()
        while True:
            try:
                return attempt.result.result(self._seconds_left(attempt))
            except TimeoutError:
                self.expire(entry)

    async def wait_async(self, entry: ModelEntry, attempt: Attempt | None) -> WarmUp:
        """`wait` without holding up the event loop."""
        if attempt is None:
            return entry.result()
        # `asyncio.wait` leaves the future alone when whoever waits is cancelled: others wait too.
        result = asyncio.wrap_future(attempt.result)
        while not attempt.result.done():
            await asyncio.wait({result}, timeout=self._seconds_left(attempt))
            self.expire(entry)
        return attempt.result.result()

    def expire(self, entry: ModelEntry) -> None:
        """Give up on the entry's attempt if its time is over."""
        with self.lock:
            attempt, result = entry.attempt, entry.expire(self.clock())
            if attempt is None or result is None:
                return
            self._tell(entry)
        with _telling(attempt, result):
            name, error = entry.registration.name, result["error"]
            if entry.in_force is None:
                _log.error("model overdue", model=name, error=error)
            else:
                _log.error("model refresh overdue, the old one stays", model=name, error=error)
                model_metrics.models().refreshed(name, "timeout")

    def warm_what_is_cold(self) -> None:
        """Start on every model that isn't warm and may be tried by now."""
        for entry in self.entries.values():
            self.expire(entry)
            self.start(entry, ModelEntry.may_try)

    def look_for_news(self) -> None:
        """Refresh what is due, retry what failed, and see if there is something new to load."""
        for entry in self.entries.values():
            self.expire(entry)
            self.start(entry, self._is_due)
            with self.lock:
                if not entry.may_poll(self.clock(), self.poll_interval):
                    continue
                entry.polling = True
            # A thread, since it may hang like a loader, on a network file system for one.
            threading.Thread(target=self._poll, args=(entry,), daemon=True).start()

    def _is_due(self, entry: ModelEntry, now: float) -> bool:
        failed = entry.state is ModelState.FAILED and entry.may_try(now)
        return failed or entry.may_refresh(now, self.refresh_interval)

    def _poll(self, entry: ModelEntry) -> None:
        look = entry.registration.fingerprint
        changed = False
        try:
            changed = look is not None and look() != entry.seen
        except Exception:
            _log.exception("model fingerprint failed", model=entry.registration.name)
        with self.lock:
            entry.polling, entry.polled = False, self.clock()
        if changed:
            self.start(entry, lambda *_: True)

    def _work(self, entry: ModelEntry, attempt: Attempt) -> None:
        """Load and warm. The body of an attempt's thread."""

        def loaded() -> None:
            with self.lock:
                entry.loaded()
                self._tell(entry)
            seconds = round(self.clock() - attempt.began, 3)
            _log.info("model loaded", model=entry.registration.name, seconds=seconds)

        try:
            warmed = load_and_warm(entry.registration, attempt, self.runs, loaded)
        except BaseException as error:  # `sys.exit` in a loader mustn't leave others waiting
            self._failed(entry, attempt, error)
        else:
            self._succeeded(entry, attempt, warmed)

    def _succeeded(self, entry: ModelEntry, attempt: Attempt, warmed: Warmed) -> None:
        with self.lock:
            was_in_use = entry.in_force is not None
            result = entry.succeed(warmed, self.clock())
            self._tell(entry)
        with _telling(attempt, result):
            name, seconds = entry.registration.name, warmed.seconds
            message = "model refreshed" if was_in_use else "model warmed"
            late = {"overdue": True} if attempt.overdue else {}
            _log.info(message, model=name, runs=warmed.runs, seconds=round(seconds, 3), **late)
            model_metrics.models().warmed(name, seconds)
            if was_in_use and not attempt.overdue:
                model_metrics.models().refreshed(name, "ok")

    def _failed(self, entry: ModelEntry, attempt: Attempt, error: BaseException) -> None:
        explained = explain(error)
        with self.lock:
            known = entry.error == explained
            result = entry.fail(explained, self.clock(), self.refresh_interval)
            self._tell(entry)
        with _telling(attempt, result):
            name, in_use = entry.registration.name, entry.in_force is not None
            message = "model refresh failed, the old one stays" if in_use else "model failed"
            if known:  # the traceback stands in the log already
                _log.warning(f"{message}, as before", model=name, error=explained)
            else:
                _log.error(message, model=name, exc_info=error)
            if in_use and not attempt.overdue:
                model_metrics.models().refreshed(name, "error")

    def _tell(self, entry: ModelEntry) -> None:
        # A successor may be registered under the name of one that was removed while it loaded.
        if self.entries.get(entry.registration.name) is entry:
            for observer in self._observers:
                _inform(observer, entry)

    def _seconds_left(self, attempt: Attempt) -> float:
        return max(0.0, attempt.deadline - self.clock())


def _inform(observer: Observer, entry: ModelEntry) -> None:
    try:
        observer(entry.report())
    except Exception:
        _log.exception("model observer failed", model=entry.registration.name)


@contextmanager
def _telling(attempt: Attempt, result: WarmUp) -> Iterator[None]:
    """Write log and metrics first, so that those who wait find them, and let nothing stop that."""
    try:
        yield
    finally:
        attempt.resolve(result)
