"""One request and its reply, as the chassis sees them go by.

An `Exchange` stands between the server and the application: it counts the body's bytes, adds the
headers that every reply carries, knows the request's deadline, and when the reply is complete it
writes the one access line and counts the request. It is made once for each request and is on the
hot path: what it does per message is as little as possible.
"""

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from .context import RequestContext
from .problems import problem_bytes

if TYPE_CHECKING:
    from .middleware import RequestMiddleware

Headers = list[tuple[bytes, bytes]]

_DISCARD_SECONDS = 1.0
UNMATCHED = "unmatched"
"""The route label of requests that no route matched: raw paths would be labels without bound."""


class Exchange:
    """The passage of one HTTP request through the service."""

    __slots__ = (
        "_body_left",
        "_middleware",
        "_receive",
        "_reply",
        "_scope",
        "_started",
        "_streaming",
        "complete",
        "context",
        "deadline",
        "overdue",
        "oversized",
        "reading",
        "status",
    )

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
        self._streaming = False
        self._body_left = middleware.max_body_bytes
        self.context = context
        self.deadline = asyncio.get_running_loop().time() + middleware.request_timeout
        self.status = 0
        self.complete = False
        self.oversized = False
        self.overdue = False
        self.reading = False

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
        self.reading = True
        message = await self._receive()
        self.reading = False
        if message["type"] == "http.request":
            self._body_left -= len(message.get("body", b""))
            if self._body_left < 0:
                self.oversized = True
                self._middleware.note_refused("body_too_large")
                raise HTTPException(413, self._middleware.body_limit_detail)
        return message

    async def send(self, message: Message) -> None:
        """Pass on a piece of the reply."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._complete_headers(list(message.get("headers", ())))
            await self._reply(message)
        elif message.get("more_body", False):
            await self._reply(message)
            self._extend()
        elif self.oversized:
            await self._reply({**message, "more_body": True})
            await self._discard_body()
            await self._reply({"type": "http.response.body", "body": b"", "more_body": False})
            self.finish()
        else:
            await self._reply(message)
            self.finish()

    async def refuse(self, status: int, detail: str, headers: Headers | None = None) -> None:
        """Answer with a problem instead of what the application would have said.

        When the reply had begun there is nothing left to say: the server, which sees an incomplete
        reply, closes the connection, so that the client can't take it for a whole one.
        """
        if self.status:
            return
        body = problem_bytes(status, detail=detail, request_id=self.context.request_id)
        await self.send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", b"application/problem+json"),
                    (b"content-length", b"%d" % len(body)),
                    *(headers or ()),
                ],
            }
        )
        await self.send({"type": "http.response.body", "body": body})

    def finish(self) -> None:
        """Count the request and write its access line, once."""
        if self.complete:
            return
        self.complete = True
        seconds = perf_counter() - self._started
        self._middleware.completed(self, route_of(self._scope), self._scope.get("client"), seconds)

    def _complete_headers(self, headers: Headers) -> Headers:
        own = dict(headers)
        headers.append((b"x-request-id", self.context.request_id.encode()))
        headers.extend(pair for pair in self._middleware.reply_headers if pair[0] not in own)
        if self.oversized:
            headers.append((b"connection", b"close"))
        return headers

    def _extend(self) -> None:
        """A reply in pieces is bounded by the time between two of them, not by its length."""
        middleware = self._middleware
        self.deadline = asyncio.get_running_loop().time() + middleware.stream_idle_timeout
        if not self._streaming:
            self._streaming = True
            middleware.in_flight.hasten(self.deadline)

    async def _discard_body(self) -> None:
        """Read on for a moment before the connection closes.

        Closing a socket with unread bytes resets it, and the reset can overtake the reply.
        """
        try:
            async with asyncio.timeout(_DISCARD_SECONDS):
                while (await self._receive()).get("more_body", False):
                    pass
        except TimeoutError:
            pass


def route_of(scope: Scope) -> str:
    """The template of the route that matched, with the prefixes of the routers it is nested in."""
    # FastAPI keeps the route as declared in scope["route"], and the route with its prefixes beside.
    route = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    template: str | None = getattr(route, "path_format", None)
    return template or UNMATCHED
