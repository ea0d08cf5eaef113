"""A WebSocket: its handshake, which is a request like any other, and what is said after it.

The handshake has the deadline and the refusals of every request. Once it is accepted the
conversation has no end to wait for and is bounded by the time between two messages; pings don't
count, because they say that a client is there but not that it wants something.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Scope, Send

from ..context import RequestContext
from .exchange import Header, complete_headers
from .problems import HUNG_UP, problem_bytes
from .route_label import route_label

if TYPE_CHECKING:
    from .middleware import RequestMiddleware

SWITCHING_PROTOCOLS = 101
FORBIDDEN = 403

# Close codes: RFC 6455 section 7.4.1, and IANA's registry of them for 1012.
NORMAL = 1000
GOING_AWAY = 1001
ABNORMAL = 1006
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012

_LAST_WORDS_SECONDS = 0.5
"""How long to wait for a client that doesn't read, before the connection closes without a word."""


class Conversation:
    """Stands between the server and the application for one WebSocket connection."""

    status = 0
    """What the handshake was answered with: 101 once accepted, 0 before."""
    close_code: int | None = None
    """Why it ended, as whoever closed it says."""
    overdue = False
    """The deadline has passed."""

    def __init__(
        self,
        middleware: "RequestMiddleware",
        context: RequestContext,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._middleware = middleware
        self._scope = scope
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._started = perf_counter()
        self.context = context
        self.deadline = self._loop.time() + middleware.request_timeout

    def expire(self, *, in_thread: bool) -> None:
        """The ledger of requests in flight is about to cancel this conversation's task."""
        # A worker that stops cancels conversations before their time.
        self.overdue = self._loop.time() >= self.deadline

    async def receive(self) -> Message:
        """The client's next message."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._closed(message.get("code", ABNORMAL))
        elif self.status:
            self._said_something()
        return message

    async def send(self, message: Message) -> None:
        """A message for the client."""
        kind = message["type"]
        if kind == "websocket.close" and not self.status:
            # The server would make an empty 403 of it.
            await self.refuse(FORBIDDEN, None)
            return
        if kind in ("websocket.accept", "websocket.http.response.start"):
            accepted = kind == "websocket.accept"
            message["headers"] = complete_headers(
                message.get("headers", ()),
                self.context.request_id,
                () if accepted else self._middleware.reply_headers,
            )
            self._answered(SWITCHING_PROTOCOLS if accepted else message["status"])
        elif kind == "websocket.close":
            self._closed(message.get("code", NORMAL))
        try:
            await self._send(message)
        except OSError:  # the client is gone
            self._closed(ABNORMAL)
            raise
        self._said_something()

    async def refuse(self, status: int, detail: str | None, headers: Iterable[Header] = ()) -> None:
        """Answer the handshake with a problem instead of accepting it, if that is still open."""
        if self.status or self.close_code:
            return
        body = problem_bytes(status, detail=detail, request_id=self.context.request_id)
        start = {
            "type": "websocket.http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/problem+json"),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
        async with _briefly():
            await self.send(start)
            await self._send({"type": "websocket.http.response.body", "body": body})

    async def close(self, code: int) -> None:
        """Say goodbye, unless the handshake was refused or somebody has closed it already."""
        if self.status == SWITCHING_PROTOCOLS and self.close_code is None:
            async with _briefly():
                await self.send({"type": "websocket.close", "code": code})

    def finish(self) -> None:
        """Hand it over to be counted and logged."""
        if not self.status:
            self._answered(HUNG_UP)
        self._middleware.conversed(self, perf_counter() - self._started)

    @property
    def route(self) -> str:
        """The template of the route that matched."""
        return route_label(self._scope, self._middleware.routes)

    @property
    def client(self) -> str | None:
        """The client's address, as the proxy headers have it where they are believed."""
        client = self._scope.get("client")
        return client[0] if client else None

    def _answered(self, status: int) -> None:
        if not self.status:
            self.status = status
            self._middleware.shook_hands(self, perf_counter() - self._started)

    def _closed(self, code: int) -> None:
        if self.close_code is None:
            self.close_code = code

    def _said_something(self) -> None:
        self.deadline = self._loop.time() + self._middleware.stream_idle_timeout
        self._middleware.in_flight.hasten(self.deadline)


@asynccontextmanager
async def _briefly() -> AsyncIterator[None]:
    """Say something to a client that may be gone already, or may not listen."""
    with suppress(OSError, RuntimeError, TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_SECONDS):
            yield
