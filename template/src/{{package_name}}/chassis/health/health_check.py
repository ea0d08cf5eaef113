"""One health check: asked with a timeout, and once for everybody who wants to know.

Whoever asks while an answer is awaited gets that answer, and a finished one stands for a moment: a
storm of probes costs a dependency one question a worker and cache period (SPEC C6).
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from .. import logs
from ..logs.secret_text import scrub

Check = Callable[[], object | Awaitable[object]]
"""Returns truth when healthy. `async def` runs on the event loop, anything else in a thread."""

CheckStatus = Literal["ok", "fail", "error"]

_log = logs.get_logger("chassis.health")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One answer. `error` says what was raised, or that it took too long.

    `at` is when it was asked for, in UTC.
    """

    status: CheckStatus
    critical: bool
    description: str
    duration_ms: float
    error: str | None = None
    at: datetime | None = None

    def body(self) -> dict[str, object]:
        """What probes show of it (SPEC C2a)."""
        body: dict[str, object] = {
            "status": self.status,
            "critical": self.critical,
            "description": self.description,
            "duration_ms": self.duration_ms,
        }
        return body if self.error is None else body | {"error": self.error}


def utc_now() -> datetime:
    """The time of day, for people; durations are measured by another clock."""
    return datetime.now(UTC)


class HealthCheck:
    """A registered check and its latest answer."""

    def __init__(
        self,
        name: str,
        check: Check,
        *,
        description: str,
        critical: bool,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.critical = critical
        self.latest: CheckResult | None = None
        """The last answer, however old; None when it was never asked."""
        self._name = name
        self._check = check
        self._description = description
        self._clock = clock
        self._now = now
        self._asked: asyncio.Task[CheckResult] | None = None
        self._asked_at = 0.0
        self._running: asyncio.Future[object] | None = None

    def ask(self, *, timeout: float, cache: float) -> tuple[asyncio.Task[CheckResult], bool]:
        """The answer that is under way or still stands (for `cache` seconds), or else a new one.

        True when it is a new one. An answer that takes longer than `timeout` seconds is an error;
        it is no exception. It belongs to all who wait for it: shield it from being cancelled.
        """
        asked = self._asked
        if asked is not None and not self._is_stale(asked, cache):
            return asked, False
        self._asked_at = self._clock()
        asked = self._asked = asyncio.create_task(self._ask(timeout), name="health check")
        return asked, True

    def _is_stale(self, asked: asyncio.Task[CheckResult], cache: float) -> bool:
        if asked.get_loop() is not asyncio.get_running_loop():
            return True
        return asked.done() and self._clock() - self._asked_at >= cache

    async def _ask(self, seconds: float) -> CheckResult:
        began, at = self._clock(), self._now()
        status: CheckStatus = "error"
        error: str | None = None
        try:
            status = "ok" if await self._answer(seconds) else "fail"
        except TimeoutError:
            error = f"no answer within {seconds:g} s"
        except Exception as exc:
            # Drivers like to quote the address that they couldn't reach, password and all.
            error = scrub(f"{type(exc).__name__}: {exc}")
        duration = round((self._clock() - began) * 1000, 3)
        result = CheckResult(status, self.critical, self._description, duration, error, at)
        before, self.latest = self.latest, result
        self._tell(before, result)
        return result

    def _tell(self, before: CheckResult | None, after: CheckResult) -> None:
        """Log a change for the worse and back, but not each answer."""
        was_ok = before is None or before.status == "ok"
        if after.status == "ok" and not was_ok:
            _log.info("health check recovered", check=self._name)
        elif after.status != "ok" and was_ok:
            _log.warning(
                "health check failed",
                check=self._name,
                critical=self.critical,
                status=after.status,
                error=after.error,
            )

    async def _answer(self, seconds: float) -> object:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        # One that hangs (in a thread, or by ignoring its cancellation) is waited for again rather
        # than started again: otherwise each probe would leave one more behind.
        running = self._running
        if running is None or running.done():
            running = _start(self._check)
        while True:
            self._running = running
            done, _ = await asyncio.wait({running}, timeout=end - loop.time())
            if not done and isinstance(running, asyncio.Task):
                running.cancel()
            if not done or running.cancelled():
                raise TimeoutError
            answer = running.result()
            if not inspect.isawaitable(answer):
                return answer
            # Such as `lambda: client.ping()`, which doesn't look async until it is called.
            running = asyncio.ensure_future(answer)


def _start(check: Check) -> asyncio.Future[object]:
    if inspect.iscoroutinefunction(check):
        return asyncio.create_task(check())
    return asyncio.get_running_loop().run_in_executor(None, check)
