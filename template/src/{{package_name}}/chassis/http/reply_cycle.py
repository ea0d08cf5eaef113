"""A reply at its connection: Uvicorn's, with one write for the whole of it.

Uvicorn writes head and body one after the other: two system calls, two packets, and a client that
wakes up twice. Here a head waits for its body until the turn of the event loop ends. A reply in one
piece has it by then, and the head of any other goes out by itself.
"""

import asyncio
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

REPLY_LINES = "chassis.reply_lines"
"""An extension of ASGI: headers that the application has checked, as bytes, with the start."""
EXTENSIONS = {REPLY_LINES: dict[str, object]()}

_BODILESS = (204, 304)
_SMALL_BODY = 64 * 1024  # bytes; putting a larger one behind its head costs more than a packet
_SHORT_VALUE = 128  # bytes; longer ones aren't remembered


class ReplyCycle(RequestResponseCycle):
    """The cycle of a request. What isn't the usual reply is left to Uvicorn."""

    _head = b""
    """Waits for the body."""

    async def send(self, message: Any) -> None:
        """Take a message of the application's: the beginning of the reply, or a piece of it."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started and message["type"] == "http.response.start":
            self._begin(message)
        elif self._head and self._is_the_whole_body(message):
            self._end(message.get("body", b""))
        else:
            self.write_head()
            await super().send(message)

    def write_head(self) -> None:
        """Don't wait for the body any longer."""
        head, self._head = self._head, b""
        if head and not self.disconnected:
            self.transport.write(head)

    def _begin(self, message: Any) -> None:
        status: int = message["status"]
        lines = [STATUS_LINE[status]]
        for name, value in self.default_headers:
            lines.append(_line(name, value)[0])
        closes = False
        for name, value in message.get("headers", ()):
            make = _line if len(value) <= _SHORT_VALUE else _line.__wrapped__
            line, kind = make(name, value)
            lines.append(line)
            if kind == b"content-length" and self.chunked_encoding is None:
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif kind == b"transfer-encoding" and value.lower() == b"chunked":
                self.expected_content_length = 0
                self.chunked_encoding = True
            elif kind == b"connection" and _says_close(value):
                self.keep_alive = False
                closes = True
        self.response_started = True
        self.waiting_for_100_continue = False
        if not self.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        if (
            self.chunked_encoding is None
            and self.scope["method"] != "HEAD"
            and status not in _BODILESS
        ):
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(message.get(REPLY_LINES, b""))
        lines.append(b"\r\n")
        self._head = b"".join(lines)
        _turn.ends_with(self)

    def _is_the_whole_body(self, message: Any) -> bool:
        return (
            message["type"] == "http.response.body"
            and not message.get("more_body", False)
            and len(message.get("body", b"")) == self.expected_content_length
            and not self.chunked_encoding
            and self.scope["method"] != "HEAD"
        )

    def _end(self, body: bytes) -> None:
        if len(body) <= _SMALL_BODY:
            self.transport.write(self._head + body)
            self._head = b""
        else:
            self.write_head()
            self.transport.write(body)
        self.expected_content_length = 0
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class _Turn:
    """Writes the heads that are still waiting when a turn of the event loop ends."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begun: list[ReplyCycle] = []

    def ends_with(self, cycle: ReplyCycle) -> None:
        """Look at this one's head in the end; one look for all of a turn."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._begun = []
            loop.call_soon(self._end)
        self._begun.append(cycle)

    def _end(self) -> None:
        self._loop = None
        for cycle in self._begun:
            cycle.write_head()


_turn = _Turn()


@lru_cache(maxsize=512)  # most headers are the same with every reply
def _line(name: bytes, value: bytes) -> tuple[bytes, bytes | None]:
    """A header as it is sent, and its name if it tells the server something too.

    Raises RuntimeError, as Uvicorn does, for what would break out of the line.
    """
    if HEADER_RE.search(name):
        raise RuntimeError("Invalid HTTP header name.")
    if HEADER_VALUE_RE.search(value):
        raise RuntimeError("Invalid HTTP header value.")
    name = name.lower()
    kind = name if name in (b"content-length", b"transfer-encoding", b"connection") else None
    return b"%s: %s\r\n" % (name, value), kind


def _says_close(value: bytes) -> bool:
    return b"close" in [token.strip() for token in value.lower().split(b",")]
