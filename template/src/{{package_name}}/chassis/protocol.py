"""HTTP/1.1 connections that can't be held open by sending almost nothing.

Uvicorn's httptools protocol waits for a request head for ever and lets it grow without bound. Here
both are limited (SPEC A6): a client that takes too long over its head gets 408 (RFC 9110 section
15.5.9), one whose head is too large gets 431 (RFC 6585 section 5), and the connection is closed.
"""

from http import HTTPStatus
from typing import Any

from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .problems import problem_bytes


class Protocol(HttpToolsProtocol):
    """One connection. `max_head_bytes` is checked after each read, and when a head is complete."""

    max_head_bytes = 64 * 1024
    max_message_bytes = 2**63
    """Head, body and what frames it; nobody but an attacker frames a body with more than itself."""
    _head_since: float | None = None
    _head_bytes = 0
    _head_begun = False
    _reading = 0
    _message_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        self._reading = len(data)
        super().data_received(data)
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self.max_head_bytes:
                self._cut_off(431, f"The request head exceeds {self.max_head_bytes} bytes.")
        self._message_bytes += self._reading
        if self._message_bytes > self.max_message_bytes:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_since = self.loop.time()
        self._head_begun = True
        self._head_bytes = 0
        self._message_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Uvicorn's, without trailers: it takes those for headers, which no proxy has looked at."""
        if self._head_since is None:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head_since = None
        # A head that ends in this read is measured only if the reads could exceed the limit.
        if self._head_bytes + self._reading > self.max_head_bytes:
            self._refuse_large_head()
        super().on_headers_complete()

    def _refuse_large_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.max_head_bytes:
            self._cut_off(431, f"The request head exceeds {self.max_head_bytes} bytes.")
            raise HttpParserError("the request head is too large")  # ends the parsing

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            # Idle again. Uvicorn's keep-alive timer stops at the first byte, even at a stray CRLF.
            self._head_since = self.loop.time()
            self._head_begun = False

    def cut_off_if_slow(self, now: float, *, head_timeout: float, idle_timeout: float) -> None:
        """Close the connection when its request head is overdue.

        `head_timeout` counts from the first byte of a head, `idle_timeout` from the moment
        the connection fell idle. Both in seconds; the server calls this once a second.
        """
        if self._head_since is None:
            return
        waited = now - self._head_since
        if self._head_begun and waited > head_timeout:
            self._cut_off(408, f"The request head took longer than {head_timeout:g} seconds.")
        elif not self._head_begun and waited > idle_timeout:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what isn't HTTP, with a problem rather than with Uvicorn's plain text."""
        self._cut_off(400, msg)

    def _cut_off(self, status: int, detail: str) -> None:
        if self.transport.is_closing():
            return
        self._head_since = None
        body = problem_bytes(status, detail=detail)
        reason = HTTPStatus(status).phrase.encode()
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/problem+json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (status, reason, len(body), body)
        )
        self.transport.close()
