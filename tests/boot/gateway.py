"""A stand-in for a payment gateway that misbehaves as it is told to (SPEC D4).

It speaks just enough HTTP to be called, and its misbehaviour is that of real sockets: bytes that
don't come, come slowly or end in a reset.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

Mode = Literal["ok", "error", "hang", "reset", "drip", "limited", "unavailable"]

_BODY = b'{"id": "ch_1"}'
_HEAD = "HTTP/1.1 {} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n"
_DRIP_SECONDS = 0.05


class Gateway:
    """Serves on a port of its own, in a thread of its own; `mode` may be changed at any time.

    `headers` are those of the last request, names in lower case; `seen` counts requests by mode.
    """

    def __init__(self) -> None:
        self.mode: Mode = "ok"
        self.headers: dict[str, str] = {}
        self.seen: Counter[Mode] = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @property
    def url(self) -> str:
        """Where it is to be called."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the gateway did not stop"

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._serve, sock=self._listener)
        self._ready.set()
        await self._stopping.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._answer(reader, writer):
                await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and react to it; whether the connection goes on."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in lines[1:] if line)
        self.headers = headers = {name.lower(): value for name, _, value in pairs}
        await reader.readexactly(int(headers.get("content-length", "0")))
        mode = self.mode
        self.seen[mode] += 1
        match mode:
            case "ok":
                writer.write(_reply(200))
            case "error":
                writer.write(_reply(500))
            case "limited":
                writer.write(_reply(429, "Retry-After: 30\r\n"))
            case "unavailable":
                writer.write(_reply(503, "Retry-After: 30\r\n"))
            case "reset":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return False
            case "hang":
                await self._stopping.wait()
                return False
            case "drip":
                for byte in _reply(200):
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(_DRIP_SECONDS)
        return True


def _reply(status: int, headers: str = "") -> bytes:
    return _HEAD.format(status, len(_BODY), headers).encode() + _BODY
