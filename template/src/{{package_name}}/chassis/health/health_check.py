"""One health check: asked with a timeout, and once for everybody who wants to know.

Whoever asks while an answer is awaited gets that answer, and a finished one stands for a moment: a
storm of probes costs a dependency one question a worker and cache period (SPEC C6).
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from ..logs.secret_text import scrub

Check = Callable[[], object | Awaitable[object]]
"""Returns truth when healthy. `async def` runs on the event loop, anything else in a thread."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One answer. `error` says what was raised, or that it took too long."""

    status: Literal["ok", "fail", "error"]
    critical: bool
    description: str
    duration_ms: float
    error: str | None = None


class HealthCheck:
    """A registered check and its latest answer."""

    def __init__(
        self,
        check: Check,
        *,
        description: str,
        critical: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.critical = critical
        self._check = check
        self._description = description
        self._clock = clock
        self._asked: asyncio.Task[CheckResult] | None = None
        self._asked_at = 0.0
        self._running: asyncio.Future[object] | None = None

    async def result(self, *, timeout: float, cache: float) -> CheckResult:  # noqa: ASYNC109
        """The answer that is under way or still stands (for `cache` seconds), or else a new one.

        An answer that takes longer than `timeout` seconds is an error; it is no exception.
        """
        asked = self._asked
        if asked is None or self._is_stale(asked, cache):
            self._asked_at = self._clock()
            asked = self._asked = asyncio.create_task(self._ask(timeout), name="health check")
        # The answer belongs to all who wait for it: one of them giving up must not cancel it.
        return await asyncio.shield(asked)

    def _is_stale(self, asked: asyncio.Task[CheckResult], cache: float) -> bool:
        if asked.get_loop() is not asyncio.get_running_loop():
            return True
        return asked.done() and self._clock() - self._asked_at >= cache

    async def _ask(self, seconds: float) -> CheckResult:
        began = self._clock()
        status: Literal["ok", "fail", "error"] = "error"
        error: str | None = None
        try:
            status = "ok" if await self._answer(seconds) else "fail"
        except TimeoutError:
            error = f"no answer within {seconds:g} s"
        except Exception as exc:
            # Drivers like to quote the address that they couldn't reach, password and all.
            error = scrub(f"{type(exc).__name__}: {exc}")
        duration = round((self._clock() - began) * 1000, 3)
        return CheckResult(status, self.critical, self._description, duration, error)

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
