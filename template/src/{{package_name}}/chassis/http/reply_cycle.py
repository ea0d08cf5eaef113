"""A reply at its connection: Uvicorn's, with one write for the whole of it.

Uvicorn writes head and body one after the other: two system calls, two packets, and a client that
wakes up twice. Here a head waits for its body until the turn of the event loop ends. A reply in one
piece has it by then, and the head of any other goes out by itself.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

REPLY_LINES = "chassis.reply_lines"
"""An extension of ASGI: headers that the application has checked, as bytes, with the start."""
EXTENSIONS = {REPLY_LINES: dict[object, object]()}

_BODILESS = (204, 304)
_SMALL_BODY = 64 * 1024  # bytes; putting a larger one behind its head costs more than a packet

_LENGTH, _ENCODING, _CONNECTION = b"content-length", b"transfer-encoding", b"connection"

_REPEATED = frozenset(
    b"access-control-allow-credentials access-control-allow-origin access-control-expose-headers "
    b"allow cache-control connection content-encoding content-language content-length content-type "
    b"date retry-after server transfer-encoding vary".split()
)
"""Names whose lines are remembered, because most replies have the same ones.

No others: what differs with each reply would push these out, and cookies and links may be secrets.
"""
_SHORT_VALUE = 128  # bytes; longer ones aren't remembered
_MOST_LINES = 512
_lines: dict[tuple[bytes, bytes], tuple[bytes, bytes | None]] = {}


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
        # Nothing has changed until the whole head is good: one that isn't may be replaced.
        status: int = message["status"]
        lines = [STATUS_LINE[status]]
        keep_alive, says_close = self.keep_alive, False
        length = 0
        chunked: bool | None = None
        # The server's own among them: it says `close` to everybody before it leaves.
        for header in [*self.default_headers, *message.get("headers", ())]:
            try:
                line, kind = _lines[header]
            except (KeyError, TypeError):  # TypeError: a list, or a bytearray
                line, kind = _line(*header)
            if kind is not None:
                value = header[1]
                if kind == _LENGTH:
                    if chunked is None:
                        length, chunked = int(value), False
                elif kind == _ENCODING:
                    if value.lower() == b"chunked":
                        length, chunked = 0, True
                elif b"close" in (tokens := _tokens(value)):
                    keep_alive = False
                    if len(tokens) == 1:
                        continue  # once is enough, whoever says it
                    says_close = True
            lines.append(line)
        if not keep_alive and not says_close:
            lines.append(b"connection: close\r\n")
        if chunked is None and self.scope["method"] != "HEAD" and status not in _BODILESS:
            chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(message.get(REPLY_LINES, b""))
        lines.append(b"\r\n")
        self._head = b"".join(lines)
        self.response_started = True
        self.waiting_for_100_continue = False
        self.keep_alive = keep_alive
        self.expected_content_length = length
        self.chunked_encoding = chunked
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
            self._begun.clear()
            loop.call_soon(self._end)
        self._begun.append(cycle)

    def _end(self) -> None:
        begun, loop = self._begun, self._loop
        self._loop = None
        try:
            while begun:
                cycle = begun.pop()
                if cycle._head:
                    cycle.write_head()
        finally:
            if begun and loop is not None:  # a connection failed, which is nothing to the others
                self._loop = loop
                loop.call_soon(self._end)


_turn = _Turn()


def _line(given: bytes, value: bytes) -> tuple[bytes, bytes | None]:
    """A header as it is sent, and its name if it tells the server something too.

    Raises RuntimeError, as Uvicorn does, for what would break out of the line.
    """
    if HEADER_RE.search(given):
        raise RuntimeError("Invalid HTTP header name.")
    if HEADER_VALUE_RE.search(value):
        raise RuntimeError("Invalid HTTP header value.")
    name = bytes(given).lower()
    kind = name if name in (_LENGTH, _ENCODING, _CONNECTION) else None
    line = b"%s: %s\r\n" % (name, value), kind
    if name in _REPEATED and len(value) <= _SHORT_VALUE:
        if len(_lines) >= _MOST_LINES:
            _lines.clear()  # what is repeated is soon back
        _lines[bytes(given), bytes(value)] = line
    return line


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip() for token in value.lower().split(b",")]
