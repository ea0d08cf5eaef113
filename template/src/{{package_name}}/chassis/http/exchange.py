"""One request and its reply, as the chassis sees them go by.

An `Exchange` stands between the server and the application: it counts the body's bytes, adds the
headers that every reply carries, knows the request's deadline, and says when the reply is
complete, so that the request is counted and gets its one access line. It is made once for each
request and is on the hot path: what it does per message is as little as possible.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable
from time import perf_counter, time_ns
from typing import TYPE_CHECKING

from starlette.datastructures import Headers as HeadersView
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from ..context import RequestContext
from .problems import HUNG_UP, problem_bytes
from .reply_cycle import REPLY_LINES
from .route_label import UNMATCHED, route_label

if TYPE_CHECKING:
    from .middleware import RequestMiddleware

Header = tuple[bytes, bytes]

_DISCARD_SECONDS = 1.0


class Exchange:
    """The passage of one HTTP request through the service."""

    # As class attributes these cost nothing where they stay as they are.
    status = 0
    """The reply's status code; 0 before it has begun."""
    complete = False
    """The whole reply was handed to the server."""
    overdue = False
    """The deadline has passed."""
    oversized = False
    """The body exceeds the limit."""
    reading = False
    """The application is waiting for the body."""
    hung_up = False
    """The client went away before it had sent the whole request; whatever is replied is lost."""
    route = UNMATCHED
    """The template of the route that matched, once the request is complete."""
    completed_at = 0
    """Unix time in microseconds."""
    seconds = 0.0
    """From the request's head to the end of the reply."""
    _streaming = False
    _body_whole = False

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
        self._reply = send
        self._started = perf_counter()
        self._body_left = middleware.max_body_bytes
        self.context = context
        self.deadline = asyncio.get_running_loop().time() + middleware.request_timeout

    def expire(self, *, in_thread: bool) -> None:
        """The ledger of requests in flight is about to cancel this request's task."""
        # A worker that stops cancels requests before their time; that isn't their fault.
        self.overdue = asyncio.get_running_loop().time() >= self.deadline
        if in_thread:
            self._middleware.note_abandoned()

    async def receive(self) -> Message:
        """Pass on the next piece of the body, and refuse it with 413 when the whole is too large.

        Counted here and not only by Content-Length, which a chunked body doesn't have.
        """
        # Once the body is there, whoever asks for more waits for the client to hang up.
        self.reading = not self._body_whole
        message = await self._receive()
        self.reading = False
        if message["type"] == "http.request":
            self._body_whole = not message.get("more_body", False)
            self._body_left -= len(message.get("body", b""))
            if self._body_left < 0:
                self.oversized = True
                self._middleware.note_refused("body_too_large")
                raise HTTPException(413, self._middleware.body_limit_detail)
        elif not self._body_whole and not self.complete:
            self.hung_up = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Pass on a piece of the reply.

        Not a coroutine itself, because each message would pay for one more.
        """
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = self._with_all_headers(message)
        elif message.get("more_body", False):
            return self._send_piece(message)
        elif self.oversized:
            return self._send_last_and_discard_body(message)
        else:
            self.finish()
        return self._reply(message)

    def _with_all_headers(self, message: Message) -> Message:
        """Add what every reply has: as it is sent, if our own server takes it so, or by name.

        The message itself is the application's, which may send it again for another request.
        """
        given = message.get("headers", ())
        if given.__class__ is not list:
            given = list(given)  # it may be an iterator: what is looked at here would be gone
        middleware = self._middleware
        request_id = self.context.request_id
        if (
            REPLY_LINES in self._scope.get("extensions", ())
            and not self.oversized
            and middleware.reply_names.isdisjoint(dict(given))
        ):
            line = b"x-request-id: %s\r\n" % request_id.encode()
            return {**message, "headers": given, REPLY_LINES: line + middleware.reply_lines}
        headers = complete_headers(given, request_id, middleware.reply_headers)
        if self.oversized:
            headers.append((b"connection", b"close"))
        return {**message, "headers": headers}

    async def refuse(self, status: int, detail: str, headers: Iterable[Header] = ()) -> None:
        """Answer with a problem instead of what the application would have said.

        When the reply had begun there is nothing left to say.
        """
        if self.status and await self.break_off():
            return
        body = problem_bytes(status, detail=detail, request_id=self.context.request_id)
        start = {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/problem+json"),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
        cors = self._middleware.cors
        if cors is None:
            await self.send(start)
        else:  # the application's replies pass through it by themselves
            await cors.send(start, self.send, HeadersView(scope=self._scope))
        await self.send({"type": "http.response.body", "body": body})

    async def break_off(self) -> bool:
        """Send what there is of a reply that won't be completed; False if it hasn't even begun.

        The server, which sees an incomplete reply, then closes the connection, so that the client
        can't take it for a whole one.
        """
        if not self.complete:
            try:
                await self._reply({"type": "http.response.body", "body": b"", "more_body": True})
            except RuntimeError:  # it hasn't taken the head, with a line break in it for example
                self.status = 0
        return self.status != 0

    def finish(self) -> None:
        """Hand the request over to be counted and logged, once."""
        if not self.complete:
            self.complete = True
            self.seconds = perf_counter() - self._started
            self.completed_at = time_ns() // 1000
            if self.hung_up:
                self.status = HUNG_UP
            elif not self.status:  # the server answers where nobody else does
                self.status = 500
            self.route = route_label(self._scope, self._middleware.routes)
            self._middleware.completed(self)

    @property
    def client(self) -> str | None:
        """The client's address, as the proxy headers have it where they are believed."""
        client = self._scope.get("client")
        return client[0] if client else None

    async def _send_piece(self, message: Message) -> None:
        """A reply in pieces is bounded by the time between two of them, not by its length."""
        await self._reply(message)
        middleware = self._middleware
        self.deadline = asyncio.get_running_loop().time() + middleware.stream_idle_timeout
        if not self._streaming:
            self._streaming = True
            middleware.in_flight.hasten(self.deadline)

    async def _send_last_and_discard_body(self, message: Message) -> None:
        """Read on for a moment before the connection closes.

        Closing a socket with unread bytes resets it, and the reset can overtake the reply.
        """
        await self._reply({**message, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_SECONDS):
                while (await self._receive()).get("more_body", False):
                    pass
        self.finish()
        await self._reply({"type": "http.response.body", "body": b"", "more_body": False})


def complete_headers(
    given: Iterable[Header], request_id: str, defaults: Iterable[Header]
) -> list[Header]:
    """The headers of a reply with the request's id and with those defaults that it doesn't set."""
    headers = list(given)
    own = dict(headers)
    if b"x-request-id" in own:  # such as that of an upstream whose reply is passed on
        headers = [pair for pair in headers if pair[0] != b"x-request-id"]
    headers.append((b"x-request-id", request_id.encode()))
    for pair in defaults:
        if pair[0] not in own:
            headers.append(pair)
    return headers
