"""The one pass around every request: identity, limits, deadline, metrics and access line.

Pure ASGI and a single layer: `BaseHTTPMiddleware` and a stack of small middlewares would each cost
more than all of this together. It must be the outermost middleware of the application.
"""

import asyncio
import re
from collections.abc import Awaitable, Coroutine, Iterable
from random import getrandbits
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from . import context, logs, metrics
from .conversation import Conversation
from .exchange import Exchange
from .inflight import InFlight
from .settings import ChassisSettings

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACE_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
_NO_TRACE = b"0" * 32
_PATH_LIMIT = 2048
_RETRY_AFTER = [(b"retry-after", b"1")]
_CLOSE = [(b"connection", b"close")]

_log = logs.get_logger("chassis.request")


class RequestMiddleware:
    """Wraps the application. `probes` are answered before anything else is asked of a request."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: ChassisSettings,
        in_flight: InFlight,
        probes: dict[str, ASGIApp],
    ) -> None:
        self._app = app
        self._probes = probes
        self._limit = settings.worker_connections
        self._hosts = settings.allowed_hosts
        self._metrics = metrics.requests()
        self._access = logs.AccessLog()
        self._completed: list[Exchange] = []
        self.in_flight = in_flight
        self.max_body_bytes = settings.max_body_bytes
        self.body_limit_detail = f"The request body exceeds {settings.max_body_bytes} bytes."
        self.request_timeout = settings.request_timeout_seconds
        self.stream_idle_timeout = settings.stream_idle_seconds
        self.reply_headers = security_headers(hsts_seconds=settings.hsts_seconds)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection scope. Returns a coroutine rather than being one: one frame less."""
        if scope["type"] == "http":
            probe = self._probes.get(scope["path"])
            if probe is None:
                return self._serve(scope, receive, send)
            return probe(scope, receive, send)
        if scope["type"] == "websocket":
            return self._converse(scope, receive, send)
        return self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        exchange = Exchange(self, self._identify(scope, headers), scope, receive, send)
        _log.debug("request started")
        task = _current_task()
        refusal = self._refusal(exchange, headers)
        self.in_flight.add(task, exchange)
        try:
            if refusal is not None:
                await refusal
            elif b"content-length" in headers or b"transfer-encoding" in headers:
                await self._app(scope, exchange.receive, exchange.send)
            else:
                await self._app(scope, receive, exchange.send)
        except asyncio.CancelledError:
            await self._cancelled(exchange, task)
        except Exception:
            _log.exception("unhandled exception")
            await exchange.refuse(500, "The request could not be completed.")
        finally:
            self.in_flight.remove(task)
            exchange.finish()

    def _refusal(
        self, exchange: Exchange, headers: dict[bytes, bytes]
    ) -> Coroutine[Any, Any, None] | None:
        """The answer to a request that isn't let in, to be awaited."""
        length = headers.get(b"content-length")
        if len(self.in_flight) >= self._limit:
            self.note_refused("overload")
            return exchange.refuse(503, "All places are taken. Try again soon.", _RETRY_AFTER)
        if length is not None and int(length) > self.max_body_bytes:
            exchange.oversized = True
            self.note_refused("body_too_large")
            return exchange.refuse(413, self.body_limit_detail)
        if self._hosts and not is_allowed_host(headers.get(b"host", b""), self._hosts):
            self.note_refused("host")
            return exchange.refuse(400, "The Host header names a host that isn't served here.")
        return None

    async def _cancelled(self, exchange: Exchange, task: asyncio.Task[object]) -> None:
        """Answer a request whose task was cancelled, by its deadline or by the server's end."""
        task.uncancel()
        if exchange.complete:
            _log.warning("background task cancelled at the request's deadline")
        elif not exchange.overdue:
            await exchange.refuse(503, "The service is stopping.", _RETRY_AFTER)
        elif exchange.reading:
            self.note_refused("slow_body")
            await exchange.refuse(408, "The request body took too long.", _CLOSE)
        elif exchange.status:
            self.note_refused("stalled_stream")
            _log.warning("stalled stream cut off")
        else:
            self.note_refused("deadline")
            await exchange.refuse(504, f"No reply within {self.request_timeout:g} seconds.")

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._identify(scope, dict(scope["headers"]))
        loop = asyncio.get_running_loop()
        conversation = Conversation(loop, self.stream_idle_timeout, receive, send)
        task = _current_task()
        self.in_flight.add(task, conversation)
        try:
            await self._app(scope, conversation.receive, conversation.send)
        except asyncio.CancelledError:
            task.uncancel()
            await conversation.close()
        except Exception:
            _log.exception("unhandled exception")
            await conversation.close()
        finally:
            self.in_flight.remove(task)

    def _identify(self, scope: Scope, headers: dict[bytes, bytes]) -> context.RequestContext:
        given = headers.get(b"x-request-id")
        request_id = (
            given.decode()
            if given is not None and _REQUEST_ID.fullmatch(given)
            else f"{getrandbits(128):032x}"  # an identity, not a secret
        )
        identity = context.RequestContext(
            request_id,
            trace_id(headers.get(b"traceparent")),
            scope.get("method", "WEBSOCKET"),
            scope["path"][:_PATH_LIMIT],
        )
        # The server runs each request in a task of its own: nothing has to be reset afterwards.
        context.current.set(identity)
        scope.setdefault("state", {})["request_id"] = request_id
        return identity

    def note_refused(self, reason: str) -> None:
        """Count a request that the chassis answered instead of the application."""
        self._metrics.refused(reason)

    def note_abandoned(self) -> None:
        """Count a request that is over while a thread still works for it."""
        self._metrics.abandoned()

    def completed(self, exchange: Exchange) -> None:
        """Record a request whose reply is complete, with the others of this turn of the loop.

        Done together it costs half as much. A SIGKILL can lose what one turn completed.
        """
        if not self._completed:
            asyncio.get_running_loop().call_soon(self._record)
        self._completed.append(exchange)

    def _record(self) -> None:
        completed, self._completed = self._completed, []
        for exchange in completed:
            request, route = exchange.context, exchange.route
            self._metrics.observe(request.method, route, exchange.status, exchange.seconds)
            self._access.line(
                request,
                exchange.status,
                exchange.seconds * 1000,
                exchange.client,
                route,
                micros=exchange.completed_at,
            )


def _current_task() -> asyncio.Task[object]:
    return cast("asyncio.Task[object]", asyncio.current_task())


def is_allowed_host(header: bytes, patterns: Iterable[str]) -> bool:
    """Whether a Host header, port aside, is one of the names, or below one such as `*.name`."""
    host = header.decode("latin-1").lower()
    if not host.endswith("]"):
        host = host.rpartition(":")[0] or host
    for pattern in map(str.lower, patterns):
        if pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:])):
            return True
    return False


def trace_id(traceparent: bytes | None) -> str | None:
    """The trace id of a W3C Trace Context header, or None where it is missing or malformed."""
    if traceparent is None:
        return None
    found = _TRACE_PARENT.fullmatch(traceparent)
    if found is None or found[1] == _NO_TRACE:
        return None
    return found[1].decode()


def security_headers(*, hsts_seconds: int) -> list[tuple[bytes, bytes]]:
    """Headers that are safe on every reply of an API (OWASP REST Security Cheat Sheet)."""
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    ]
    if hsts_seconds:
        headers.append((b"strict-transport-security", b"max-age=%d" % hsts_seconds))
    return headers
