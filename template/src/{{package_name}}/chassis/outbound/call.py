"""One call to an upstream: retry(breaker(timeout(attempt))), all of it inside a deadline (SPEC D4).

Nothing bounds the whole from outside. Each wait (for a place, for a reply, between two attempts) is
no longer than what is left of the deadline, so it is always known what ran out of time: an attempt
that did has failed, and the breaker hears of it; a call that waited for a place hasn't.
"""

import asyncio
import logging
from time import monotonic, perf_counter

import httpx2
import stamina

from .. import logs
from ..breaker import CircuitBreaker
from ..breaker.circuit_state import CircuitState
from . import retries, upstream_metrics
from .upstream_client import ResponseTooLargeError, UpstreamClient
from .upstream_errors import UpstreamBusyError, UpstreamError, UpstreamTimeoutError
from .upstream_policy import UpstreamPolicy

Outcome = httpx2.Response | UpstreamError

_SERVER_ERROR = 500
_NO_CALLS = (CircuitState.OPEN, CircuitState.FORCED_OPEN)

_log = logs.get_logger("chassis.upstream")


class AttemptFailedError(Exception):
    """An attempt after which another may follow."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class _SaysNothing(BaseException):
    """Carries an exception past the breaker, which takes it for neither success nor failure."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Call:
    """A request on its way, as often as it takes."""

    def __init__(
        self,
        client: UpstreamClient,
        breaker: CircuitBreaker,
        policy: UpstreamPolicy,
        request: httpx2.Request,
        deadline: float,
    ) -> None:
        self._client = client
        self._breaker = breaker
        self._upstream = breaker.name
        self._policy = policy
        self._request = request
        self._deadline = deadline
        self._end = monotonic() + deadline
        again = retries.may_repeat(request.method, request.headers)
        self._attempts = policy.attempts if again else 1
        self._number = 1
        self._metrics = upstream_metrics.upstreams()

    async def make(self) -> httpx2.Response:
        """Return the reply, whatever its status.

        Raises UpstreamError and its kin, CircuitOpenError, and httpx2.LocalProtocolError for a
        request that can't be sent as it is.
        """
        outcome: Outcome
        try:
            outcome = await self._repeatedly()
        except AttemptFailedError as failed:
            outcome = failed.outcome
        except UpstreamError as error:
            outcome = error
        if isinstance(outcome, UpstreamError):
            self._complain(error=outcome.reason)
            raise outcome
        if _status(outcome) >= _SERVER_ERROR:
            self._complain(status_code=_status(outcome))
        return outcome

    async def _repeatedly(self) -> Outcome:
        try:
            return await self._attempt()
        except AttemptFailedError as error:
            failed: AttemptFailedError | None = error
        # Not before: nearly all calls need one attempt, and this costs as much as all bounds of it.
        retrying = stamina.retry_context(self._pause, attempts=self._attempts, timeout=None)
        async for attempt in retrying:
            with attempt:
                if failed is not None:
                    first, failed = failed, None
                    raise first
                self._number = attempt.num
                return await self._attempt()
        raise AssertionError("stamina returns or raises")

    def _pause(self, error: Exception) -> float | bool:
        """Seconds until the next attempt; False when there is to be none."""
        if not isinstance(error, AttemptFailedError) or self._breaker.state in _NO_CALLS:
            return False
        asked = 0.0
        if isinstance(reply := error.outcome, httpx2.Response):
            if reply.status_code not in retries.WORTH_ANOTHER_TRY:
                return False
            asked = retries.retry_after(reply.status_code, reply.headers)
        pause = retries.pause(self._number, asked)
        return pause if pause < self._left() else False

    async def _attempt(self) -> Outcome:
        if self._number > 1:
            self._metrics.retried(self._upstream)
        try:
            # Before the breaker is asked: our own queue doesn't make the other side slow.
            await self._take_a_place()
            try:
                async with self._breaker:
                    outcome = await self._answer()
                    if _status(outcome) >= _SERVER_ERROR:
                        raise AttemptFailedError(outcome)
            finally:
                self._client.places.release()
        except _SaysNothing as nothing:
            raise nothing.error from nothing.error.__cause__
        if _status(outcome) in retries.WORTH_ANOTHER_TRY:
            raise AttemptFailedError(outcome)
        return outcome

    async def _answer(self) -> Outcome:
        """The reply, or an error that is an answer as well. Inside of the breaker."""
        in_flight = self._metrics.in_flight(self._upstream)
        in_flight.inc()
        began = perf_counter()
        seen: int | str = "cancelled"
        try:
            limit = self._limit()
            async with asyncio.timeout(limit):
                response = await self._client.exchange(self._request)
            seen = response.status_code
            return response
        except (TimeoutError, httpx2.TimeoutException) as error:
            seen = "timeout"
            late = UpstreamTimeoutError(self._upstream, _late(error, limit))
            raise self._failed(late, error) from error
        except ResponseTooLargeError:
            seen = "error"
            most = self._policy.max_response_bytes
            return UpstreamError(self._upstream, f"the reply's body exceeds {most} bytes")
        except (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol) as error:
            seen = "error"
            raise _SaysNothing(error) from error
        except httpx2.RequestError as error:
            seen = "error"
            raise self._failed(UpstreamError(self._upstream, _told(error)), error) from error
        finally:
            in_flight.dec()
            self._note(seen, perf_counter() - began)

    async def _take_a_place(self) -> None:
        """Have one of the connections, for an attempt."""
        places = self._client.places
        if not places.locked():
            await places.acquire()  # at once
        elif self._breaker.state in _NO_CALLS:
            # Refuses: nobody queues for what is known to fail. A trial that is due would need a
            # place as well.
            async with self._breaker:
                raise self._busy(0)
        else:
            await self._queue(places)

    async def _queue(self, places: asyncio.Semaphore) -> None:
        limit = min(self._policy.pool_timeout, self._left())
        try:
            async with asyncio.timeout(limit):
                await places.acquire()
        except TimeoutError:
            raise self._busy(limit) from None
        if not self._left():  # the event loop was late: place and end of the deadline came together
            places.release()
            raise self._busy(limit)

    def _busy(self, seconds: float) -> _SaysNothing:
        busy = f"all {self._policy.max_connections} connections in use for {seconds:.2g} s"
        return _SaysNothing(UpstreamBusyError(self._upstream, busy))

    def _limit(self) -> float:
        """Seconds for this attempt: all that is left, if no other can follow."""
        if self._number >= self._attempts:
            return self._left()
        return min(self._policy.first_attempts_timeout, self._left())

    def _left(self) -> float:
        return max(0.0, self._end - monotonic())

    def _failed(self, outcome: UpstreamError, cause: Exception) -> AttemptFailedError:
        outcome.__cause__ = cause
        return AttemptFailedError(outcome)

    def _note(self, seen: int | str, seconds: float) -> None:
        self._metrics.attempted(self._upstream, self._request.method, seen, seconds)
        if not _log.is_enabled_for(logging.DEBUG):
            return
        said = {"status_code": seen} if isinstance(seen, int) else {"error": seen}
        milliseconds = round(seconds * 1000, 3)
        _log.debug("upstream attempt", **self._told(), **said, duration_ms=milliseconds)

    def _complain(self, **said: object) -> None:
        took = self._deadline - (self._end - monotonic())
        _log.warning("upstream call failed", **self._told(), **said, duration_ms=round(took * 1e3))

    def _told(self) -> dict[str, object]:
        return {
            "upstream": self._upstream,
            # Without the query, which may be secret.
            "call": f"{self._request.method} {self._request.url.path}",
            "attempt": self._number,
        }


def _status(outcome: Outcome) -> int:
    return outcome.status_code if isinstance(outcome, httpx2.Response) else 0


def _late(error: Exception, limit: float) -> str:
    if isinstance(error, httpx2.ConnectTimeout):
        return "no connection in time"
    return f"no reply within {limit:.3g} s"


def _told(error: Exception) -> str:
    """What went wrong, in the operating system's words but in nobody else's."""
    kind = type(error).__name__
    return f"{kind}: {error}" if isinstance(error, httpx2.NetworkError) and str(error) else kind
