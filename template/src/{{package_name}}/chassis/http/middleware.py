"""The one pass around every request: identity, limits, deadline, metrics and access line.

Pure ASGI and a single layer: `BaseHTTPMiddleware` and a stack of small middlewares would each cost
more than all of this together. It is the outermost layer of the application, around even the one
that answers unhandled exceptions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, cast

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from .. import context, logs, metrics, trace_source
from ..settings import ChassisSettings
from . import conversation
from .bottleneck import Bottlenecks
from .conversation import Conversation
from .exchange import Exchange, Header
from .headers import (
    has_two_hosts,
    is_allowed_host,
    request_id,
    security_headers,
    trace_headers,
    trace_id,
)
from .inflight import InFlight
from .problems import UNEXPECTED

_PATH_LIMIT = 2048
_RETRY_AFTER = [(b"retry-after", b"1")]
_CLOSE = [(b"connection", b"close")]
_STOPPING = "The service is stopping."

# Whoever is served has a task. The function itself: a frame around it would be one more a request.
_current_task = cast("Callable[[], asyncio.Task[object]]", asyncio.current_task)

_log = logs.get_logger("chassis.request")


class Refusal(NamedTuple):
    """Why a request isn't let in, for the metric, and what its client is told."""

    reason: str
    status: int
    detail: str
    headers: Sequence[Header] = ()


_OVERLOAD = Refusal("overload", 503, "All places are taken. Try again soon.", _RETRY_AFTER)
_FULL = Refusal("overload", 503, "Too many are waiting already. Try again soon.", _RETRY_AFTER)
_WRONG_HOST = Refusal("host", 400, "The Host header names a host that isn't served here.")
# RFC 9112, 3.2. Whoever takes the first one and whoever takes the last see different requests.
_TWO_HOSTS = Refusal("host", 400, "There is more than one Host header.")


class RequestMiddleware:
    """Wraps the application. `probes` are answered before anything else is asked of a request.

    `routes` are the application's. `cors`, if it is used, stands inside, so that what it answers
    by itself is a request like any other; it makes refusals readable for browsers as well.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: ChassisSettings,
        in_flight: InFlight,
        probes: dict[str, ASGIApp],
        routes: Sequence[BaseRoute] = (),
        cors: CORSMiddleware | None = None,
        bottlenecks: Bottlenecks | None = None,
    ) -> None:
        self.app = app
        self.probes = probes
        self._limit = settings.worker_connections
        self._hosts = settings.allowed_hosts
        self._metrics = metrics.requests()
        self._access = logs.AccessLog()
        self._completed: list[Exchange] = []
        self.in_flight = in_flight
        self.routes = routes
        self._door = (bottlenecks or Bottlenecks()).door(routes)
        self.cors = cors
        self.max_body_bytes = settings.max_body_bytes
        self.body_limit_detail = f"The request body exceeds {settings.max_body_bytes} bytes."
        self._large_body = Refusal("body_too_large", 413, self.body_limit_detail)
        self.request_timeout = settings.request_timeout_seconds
        self.stream_idle_timeout = settings.stream_idle_seconds
        self._overdue_detail = f"No reply within {settings.request_timeout_seconds:g} seconds."
        self.reply_headers = security_headers(hsts_seconds=settings.hsts_seconds)
        self.reply_lines = b"".join(b"%s: %s\r\n" % pair for pair in self.reply_headers)
        self.reply_names = {b"x-request-id", *dict(self.reply_headers)}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection scope. Returns a coroutine rather than being one: one frame less."""
        if scope["type"] == "http":
            probe = self.probes.get(scope["path"])
            if probe is None:
                return self._serve(scope, receive, send)
            return probe(scope, receive, send)
        if scope["type"] == "websocket":
            return self._converse(scope, receive, send)
        return self.app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = _current_task()
        if task in self.in_flight:
            return await self._pass_on(scope, receive, send)
        headers = dict(scope["headers"])
        exchange = Exchange(self, self._identify(scope, headers), scope, receive, send)
        _log.debug("request started")
        refusal = self._refusal(scope, headers)
        self.in_flight.add(task, exchange)
        try:
            if refusal is not None:
                exchange.oversized = refusal is self._large_body
                await exchange.refuse(*refusal[1:])
            elif b"content-length" in headers or b"transfer-encoding" in headers:
                await self.app(scope, exchange.receive, exchange.send)
            else:
                await self.app(scope, receive, exchange.send)
            if not exchange.complete:
                await self._unanswered(exchange)
        except asyncio.CancelledError as error:
            if task.cancelling():
                task.uncancel()
                await self._cancelled(exchange)
            else:  # a library's own, which nobody has asked for
                await self._failed(exchange, error)
        except Exception as error:
            await self._failed(exchange, error)
        finally:
            self.in_flight.remove(task)
            exchange.finish()

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that the application makes of itself: a part of the one under way."""
        request = context.current.get()
        scope.setdefault("state", {})["request_id"] = request.request_id if request else None
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Refusal | None:
        """Why a request isn't let in, if it isn't; counted."""
        length = headers.get(b"content-length")
        refusal = self.lack_of_room(scope)
        if refusal is not None:
            pass
        elif length is not None and int(length) > self.max_body_bytes:
            refusal = self._large_body
        elif len(headers) < len(scope["headers"]) and has_two_hosts(scope):
            refusal = _TWO_HOSTS
        elif self._hosts and not is_allowed_host(headers.get(b"host", b""), self._hosts):
            refusal = _WRONG_HOST
        if refusal is not None:
            self.note_refused(refusal.reason)
        return refusal

    def lack_of_room(self, scope: Scope) -> Refusal | None:
        """Why there is no room for a request, if there is none."""
        if len(self.in_flight) >= self._limit:
            return _OVERLOAD
        return _FULL if self._door.is_closed(scope) else None

    async def _cancelled(self, exchange: Exchange) -> None:
        """Answer a request whose task was cancelled, by its deadline or by the server's end."""
        if exchange.complete:
            _log.warning("background task cancelled at the request's deadline")
        elif not exchange.overdue:
            await exchange.refuse(503, _STOPPING, _RETRY_AFTER)
        elif exchange.reading:
            self.note_refused("slow_body")
            await exchange.refuse(408, "The request body took too long.", _CLOSE)
        elif exchange.status:
            self.note_refused("stalled_stream")
            _log.warning("stalled stream cut off")
        else:
            self.note_refused("deadline")
            await exchange.refuse(504, self._overdue_detail)

    async def _failed(self, exchange: Exchange, error: BaseException) -> None:
        if is_hang_up(error):
            exchange.hung_up = True
            return
        _log.error("unhandled exception", exc_info=error)
        # Unless the application's own handler of exceptions has answered.
        await exchange.refuse(500, UNEXPECTED)

    async def _unanswered(self, exchange: Exchange) -> None:
        """The application has returned and never replied, or not to the end."""
        if exchange.status and await exchange.break_off():
            return
        if not exchange.hung_up:
            _log.error("no reply from the application")
            await exchange.refuse(500, UNEXPECTED)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = _current_task()
        if task in self.in_flight:
            return await self._pass_on(scope, receive, send)
        headers = dict(scope["headers"])
        talk = Conversation(self, self._identify(scope, headers), scope, receive, send)
        refusal = self._refusal(scope, headers)
        self.in_flight.add(task, talk)
        try:
            if refusal is not None:
                await talk.refuse(*refusal[1:])
            else:
                await self.app(scope, talk.receive, talk.send)
            await talk.refuse(500, UNEXPECTED)
            await talk.close(conversation.NORMAL)
        except asyncio.CancelledError as error:
            if task.cancelling():
                task.uncancel()
                await self._cut_off(talk)
            else:
                await self._broke_off(talk, error)
        except Exception as error:
            await self._broke_off(talk, error)
        finally:
            self.in_flight.remove(task)
            talk.finish()

    async def _cut_off(self, talk: Conversation) -> None:
        """End a conversation that was silent for too long, or that outlives its worker."""
        if not talk.overdue:
            await talk.refuse(503, _STOPPING, _RETRY_AFTER)
            await talk.close(conversation.SERVICE_RESTART)
        else:
            if not talk.status:
                self.note_refused("deadline")
            await talk.refuse(504, self._overdue_detail)
            await talk.close(conversation.GOING_AWAY)

    async def _broke_off(self, talk: Conversation, error: BaseException) -> None:
        if is_hang_up(error):
            return
        _log.error("unhandled exception", exc_info=error)
        await talk.refuse(500, UNEXPECTED)
        await talk.close(conversation.INTERNAL_ERROR)

    def _identify(self, scope: Scope, headers: dict[bytes, bytes]) -> context.RequestContext:
        identity = identity_of(scope, headers, trace_source.current)
        # The server runs each request in a task of its own: nothing has to be reset afterwards.
        context.current.set(identity)
        scope.setdefault("state", {})["request_id"] = identity.request_id
        return identity

    def note_refused(self, reason: str) -> None:
        """Count a request that the chassis answered instead of the application."""
        self._metrics.refused(reason)

    def note_abandoned(self) -> None:
        """Count a request that is over while a thread still works for it."""
        self._metrics.abandoned()

    def completed(self, exchange: Exchange) -> None:
        """Record a request whose reply is complete, just before the last of it is sent.

        It is counted at once: whoever has a reply is in the metrics, whatever happens to this
        process. The access lines of one turn of the loop are made together, which costs half as
        much, and written when the log's pause is over; a SIGKILL can lose those that wait.
        """
        self._metrics.observe(
            exchange.context.method, exchange.route, exchange.status, exchange.seconds
        )
        if not self._completed:
            asyncio.get_running_loop().call_soon(self._log_completed)
        self._completed.append(exchange)

    def shook_hands(self, talk: Conversation, seconds: float) -> None:
        """Record the answer to a handshake, which is a request and its reply."""
        self._metrics.observe("GET", talk.route, talk.status, seconds)

    def conversed(self, talk: Conversation, seconds: float) -> None:
        """Record a WebSocket that has ended."""
        request, route = talk.context, talk.route
        if talk.status == conversation.SWITCHING_PROTOCOLS:
            self._metrics.conversed(route, seconds)
            request.bound = {**(request.bound or {}), "close_code": talk.close_code}
        self._access.line(request, talk.status, seconds * 1000, talk.client, route)

    def _log_completed(self) -> None:
        completed, self._completed = self._completed, []
        for exchange in completed:
            self._access.line(
                exchange.context,
                exchange.status,
                exchange.seconds * 1000,
                exchange.client,
                exchange.route,
                micros=exchange.completed_at,
            )


def identity_of(
    scope: Scope, headers: dict[bytes, bytes], source: trace_source.TraceSource | None = None
) -> context.RequestContext:
    """Who a request is, by what it says and by what was made up for it.

    The trace is that of `source`, if there is one, and else the one that the request names.
    """
    identity = context.RequestContext(
        request_id(headers.get(b"x-request-id")),
        trace_id(headers.get(b"traceparent")) if source is None else source.trace_id(),
        scope.get("method", "WEBSOCKET"),
        scope["path"][:_PATH_LIMIT],
    )
    if source is None and identity.trace_id is not None:
        identity.trace_headers = trace_headers(scope)
    return identity


def is_hang_up(error: BaseException) -> bool:
    """Whether an exception says nothing but that the client is gone, which is no error."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_hang_up, error.exceptions))
    return isinstance(error, ClientDisconnect | WebSocketDisconnect)
