"""HTTP/1.1 connections that nobody can hold open, neither by sending nor by reading almost nothing.

Uvicorn's httptools protocol waits for a request head for ever and lets it grow without bound. Here
both are limited (SPEC A6): a client that takes too long over its head gets 408 (RFC 9110 section
15.5.9), one whose head is too large gets 431 (RFC 6585 section 5), and the connection is closed.
Nor does Uvicorn part with a client that doesn't read its reply; here it is dropped.
"""

from collections.abc import Callable
from math import inf
from types import FunctionType
from typing import Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .. import logs, metrics
from .headers import new_request_id
from .phrases import phrase
from .problems import problem_bytes
from .reply_cycle import EXTENSIONS, ReplyCycle

_CLOSE = (b"connection", b"close")


def _with_our_cycle(method: Any) -> FunctionType:
    """Uvicorn's method as it is, but where it names the class of the cycles it finds ours.

    Should another Uvicorn name it otherwise, replies are Uvicorn's own: as right, in two writes.
    """
    names = {**method.__globals__, "RequestResponseCycle": ReplyCycle}
    ours = FunctionType(
        method.__code__, names, method.__name__, method.__defaults__, method.__closure__
    )
    ours.__kwdefaults__ = method.__kwdefaults__
    return ours


_on_headers_complete = _with_our_cycle(HttpToolsProtocol.on_headers_complete)

_log = logs.get_logger("chassis.connection")


class _Deaf:
    """Stands in for the parser of a connection from which nothing more is wanted."""

    def feed_data(self, data: bytes) -> None:
        """Forget it."""


_DEAF = cast("HttpRequestParser", _Deaf())


class Protocol(HttpToolsProtocol):
    """One connection. Sizes are looked at after each read, and when a head is complete."""

    max_head_bytes = 64 * 1024
    max_message_bytes = 2**63
    """Head, body and what frames it; nobody but an attacker frames a body with more than itself."""
    counts_refusals = True
    """Whether they are counted as traffic."""
    turn_away: Callable[[Scope], tuple[bytes, bytes] | None] | None = None
    """Asked about each request before anything is done for it; see `Turnstile`."""
    _since = 0.0
    """When the head began or, between two messages, when the connection fell idle."""
    _in_head = False
    _has_ended = False
    """Whether the latest request has, with its body; its reply may have come before."""
    _served: RequestResponseCycle | None = None
    """The request whose reply is next, while `cycle` is the latest: requests may be pipelined."""
    _reading = 0
    """Size of the read that is being parsed."""
    _message_bytes = 0
    """All reads since the message began, the one in which it did included."""
    _first_read = 0
    """Size of that one: some of it may belong to the message before."""
    _unread = 0
    _unread_since = 0.0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Uvicorn's, which tells nobody but the latest request."""
        if self._served is not None and self._served is not self.cycle:
            self._served.disconnected = True
            self._served.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Uvicorn's, which answers what isn't HTTP in plain text."""
        self._reading = len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self._refuse(400, "bad_request", "Invalid HTTP request received.")
        except HttpParserUpgrade:
            if self._should_upgrade():
                self._upgrade()
            else:
                self._unsupported_upgrade_warning()
        self._message_bytes += self._reading
        if self._message_bytes > self.max_head_bytes:
            self._bound_message()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._since = self.loop.time()
        self._in_head = True
        self._has_ended = False
        self._message_bytes = 0
        self._first_read = self._reading

    def on_header(self, name: bytes, value: bytes) -> None:
        """Uvicorn's, without trailers: it takes those for headers, which no proxy has looked at."""
        if not self._in_head:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        # A head that ends in this read is measured only if the reads could exceed the limit.
        if self._message_bytes + self._reading > self.max_head_bytes:
            self._bound_complete_head()
        self._in_head = False
        _on_headers_complete(self)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._has_ended = True
        if not self._is_replying:  # the reply came first
            self._since = self.loop.time()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self.transport.is_closing():
            return  # its reply would be lost, after everything was done: RFC 9112, 9.6
        self._served = cycle
        if self.turn_away is None or not self._has_turned_away(cycle, self.turn_away):
            if cycle.__class__ is ReplyCycle:  # Uvicorn's own would leave those headers out
                cycle.scope["extensions"] = EXTENSIONS.copy()
            super()._start_asgi_task(cycle, app)

    def _upgrade(self) -> None:
        """Uvicorn's, which would answer in the middle of a reply, or on a connection that closes.

        Then the client is told to close instead, and can ask again on another connection.
        """
        if self._is_replying:
            self.cycle.keep_alive = False
        elif not self.transport.is_closing():
            self.handle_websocket_upgrade()
            return
        self.parser = _DEAF

    def _has_turned_away(
        self,
        cycle: RequestResponseCycle,
        turn_away: Callable[[Scope], tuple[bytes, bytes] | None],
    ) -> bool:
        """Answer at once, and without a task, if there is no room for a request."""
        # The next of a pipeline would be answered inside of this one's answer, and so on.
        if self.pipeline or self.flow.write_paused or cycle.scope["method"] == "HEAD":
            return False
        scope: Any = cycle.scope
        reply = turn_away(scope)
        if reply is None:
            return False
        head, body = reply
        added = cycle.default_headers
        keep_alive = cycle.keep_alive and _CLOSE not in added
        if cycle.waiting_for_100_continue:
            keep_alive = False  # or a client that doesn't send its body now had to send it later
        if not keep_alive:
            added = [*(pair for pair in added if pair != _CLOSE), _CLOSE]
        lines = b"".join([b"%s: %s\r\n" % pair for pair in added])
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"%s%s\r\n%s" % (head, lines, body))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()
        return True

    def on_response_complete(self) -> None:
        """Uvicorn's, without the timer that it arms for each reply: `cut_off_if_slow` comes anyway.

        That timer would stop at the first byte, be it a stray CRLF or the rest of a body that was
        answered early.
        """
        self.server_state.total_requests += 1
        # Idle from here on, unless the next head has begun, which had to wait.
        self._since = self.loop.time()
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())

    def cut_off_if_slow(
        self,
        now: float,
        *,
        head_timeout: float,
        idle_timeout: float,
        stall_timeout: float,
        body_timeout: float = inf,
    ) -> None:
        """End the connection when its client is overdue. The server calls this once a second.

        All in seconds. `head_timeout` counts from the first byte of a head, or from the end of the
        reply before it; `idle_timeout` from the moment the connection fell idle; what is left of
        a body that has been answered already has to come within it. Between two requests it is
        the keep-alive timeout of Uvicorn's configuration. `stall_timeout` is how long a client
        may take nothing of a reply that is waiting for it. `body_timeout` counts from the first
        byte of the head, and is for applications that have no deadline of their own.
        """
        waited = now - self._since
        if self._has_ended:
            idle_timeout = self.timeout_keep_alive
        if self._has_stalled(now, stall_timeout):
            self._abort()
        elif self._is_replying:
            if waited > body_timeout and self.cycle.more_body:
                self._refuse(408, "slow_body", "The request body took too long.")
        elif self._in_head and waited > head_timeout:
            detail = f"The request head took longer than {head_timeout:g} seconds."
            self._refuse(408, "slow_head", detail)
        elif not self._in_head and waited > idle_timeout:
            self.transport.close()

    def abort_if_unread(self) -> None:
        """Drop a connection whose client has left something unread, because it holds up a stop.

        The server calls this when all requests have been answered.
        """
        self._unread = self.transport.get_write_buffer_size()
        if self._unread:
            self._abort()

    @property
    def _is_replying(self) -> bool:
        """Whether a request is being served, whose reply may have begun."""
        return self._served is not None and not self._served.response_complete

    @property
    def _client_address(self) -> str | None:
        return self.client[0] if self.client else None

    def _has_stalled(self, now: float, timeout: float) -> bool:
        """Whether the client takes nothing of what is there for it.

        Any progress counts: a slow client isn't a stalled one.
        """
        unread = self.transport.get_write_buffer_size()
        if unread == 0 or unread != self._unread:
            self._unread, self._unread_since = unread, now
        return now - self._unread_since > timeout

    def _abort(self) -> None:
        client = self._client_address
        _log.warning("unread reply dropped", client=client, unread_bytes=self._unread)
        self.transport.abort()

    def _bound_message(self) -> None:
        # What is surely this message's: the limits may be exceeded by one read.
        size = self._message_bytes - self._first_read
        if self._in_head and size > self.max_head_bytes:
            self._refuse_large_head()
        elif size > self.max_message_bytes and self._is_unanswered:
            detail = f"The request exceeds {self.max_message_bytes} bytes."
            self._refuse(413, "body_too_large", detail)
        elif size > self.max_message_bytes:
            self.transport.close()

    def _bound_complete_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.max_head_bytes:
            self._refuse_large_head()
            raise HttpParserError("the request head is too large")  # ends the parsing

    def _refuse_large_head(self) -> None:
        detail = f"The request head exceeds {self.max_head_bytes} bytes."
        self._refuse(431, "large_head", detail)

    def _refuse(self, status: int, reason: str, detail: str) -> None:
        """Answer with a problem if that's possible, and close the connection; once.

        It isn't while an earlier request is being served, because the client would take the problem
        for a part of that reply; the connection closes after it. Nor is it after the message has
        been answered: the problem would be the answer to a request that was never made.
        """
        if self.parser is _DEAF or self.transport.is_closing():
            return
        self.parser = _DEAF
        request_id = new_request_id()
        if self.counts_refusals:
            metrics.requests().refused(reason)
        _log.warning(
            "connection refused",
            status_code=status,
            reason=reason,
            client=self._client_address,
            request_id=request_id,
        )
        if self._in_head and self._is_replying:
            self.cycle.keep_alive = False
            return
        if self._in_head or self._is_unanswered:
            self._send_problem(status, detail, request_id)
        self.transport.close()

    @property
    def _is_unanswered(self) -> bool:
        """Whether the next reply that is due is the one to the body that is being received."""
        cycle = self.cycle
        return self._is_replying and cycle is self._served and not cycle.response_started

    def _send_problem(self, status: int, detail: str, request_id: str) -> None:
        if self.cycle is not None:
            self.cycle.disconnected = True  # the application has nothing to add
        body = problem_bytes(status, detail=detail, request_id=request_id)
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/problem+json\r\nx-request-id: %s\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%s"
            % (status, phrase(status).encode(), request_id.encode(), len(body), body)
        )
