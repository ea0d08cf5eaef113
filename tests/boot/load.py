"""A load client that loses no count of what it loses.

Clients speak HTTP/1.1 over raw sockets, without a pool, a retry or a redirect that could hide a
loss. Every request that was begun ends in exactly one outcome, and everything but a complete reply
with a status below 400 is a loss:

======== =====================================================================================
outcome  meaning
======== =====================================================================================
ok       a complete reply with a status below 400
refused  the connection could not be opened
reset    the connection ended (FIN or RST) before one byte of the reply, on a fresh connection
         and on a kept one alike
cut      the connection ended in the middle of the reply
status   a complete reply with a status of 400 or more
timeout  no complete reply within the time limit
======== =====================================================================================

A kept connection may be closed by the server only after a reply that said ``Connection: close``:
that is announced, so the client opens another and nothing is lost (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Client:
    """How one client behaves. Times are upper bounds in seconds of a uniform random wait."""

    name: str
    keep_alive: bool
    think: float = 0.0  # between a reply and the next request
    hesitate: float = 0.0  # between connecting and sending: accepted, but nothing to read yet


KEEP_ALIVE = Client("keep-alive", keep_alive=True)
KEEP_ALIVE_THINKING = Client("keep-alive thinking", keep_alive=True, think=0.5)
FRESH = Client("fresh", keep_alive=False)
FRESH_HESITANT = Client("fresh hesitant", keep_alive=False, hesitate=0.5)
PROBE = Client("probe", keep_alive=False, think=0.2)

MIXED = (KEEP_ALIVE,) * 9 + (KEEP_ALIVE_THINKING,) * 3 + (FRESH,) * 9 + (FRESH_HESITANT,) * 3
"""24 clients, half of them on kept connections. They wait for less than the services linger."""


@dataclass(frozen=True)
class Loss:
    """One lost request: what happened, to which client, when (seconds since the load began)."""

    outcome: str
    client: str
    at: float
    detail: str


@dataclass
class Tally:
    """The count of one load."""

    ok: int = 0
    connections: int = 0
    losses: list[Loss] = field(default_factory=list)
    replies: Counter[bytes] = field(default_factory=Counter)  # by body

    @property
    def requests(self) -> int:
        """How many requests are done, well or badly."""
        return self.ok + len(self.losses)

    @property
    def lost(self) -> int:
        """How many of them were lost."""
        return len(self.losses)

    def __str__(self) -> str:
        shown = "".join(f"\n  {loss}" for loss in self.losses[:12])
        kinds = dict(Counter(loss.outcome for loss in self.losses))
        return f"{self.lost} lost of {self.requests} {kinds or ''}{shown}"


@dataclass(frozen=True)
class Reply:
    """One complete reply."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class ClosedError(Exception):
    """The peer ended the connection before a complete reply; ``partial`` is what had arrived."""

    def __init__(self, partial: bytes, cause: str) -> None:
        super().__init__(cause)
        self.partial = partial


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """Read one reply with a ``Content-Length`` or a chunked body.

    Raises:
        ClosedError: The connection ended first.
    """
    head = b""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        status = int(status_line.split()[1])
        if headers.get("transfer-encoding") == "chunked":
            return Reply(status, headers, await _read_chunks(reader))
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(status, headers, body)
    except asyncio.IncompleteReadError as error:
        raise ClosedError(head + error.partial, "end of stream") from None
    except ConnectionError as error:
        raise ClosedError(head, type(error).__name__) from None


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


class Load:
    """Clients that ask for one path until they are told to stop; runs in a thread of its own.

    Args:
        port: Where to connect to on 127.0.0.1.
        path: What to ask for.
        clients: Who asks.
        timeout: Seconds that one request may take.
        limit: Seconds after which the clients stop by themselves.
        most: Requests after which they do.
        body: What to POST, as JSON; with none it is a GET.
        observe: Told of each good reply: the number of its connection, and its body.
    """

    def __init__(
        self,
        port: int,
        path: str = "/work?ms=25",
        clients: Sequence[Client] = MIXED,
        *,
        timeout: float = 20.0,
        limit: float = 120.0,
        most: int = 10**9,
        body: str | None = None,
        observe: Callable[[int, bytes], None] = lambda connection, body: None,
    ) -> None:
        self.tally = Tally()
        self._port = port
        self._request = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: service\r\n"
        self._body = (body or "").encode()
        if body is not None:
            self._request += (
                f"Content-Type: application/json\r\nContent-Length: {len(self._body)}\r\n"
            )
        self._observe = observe
        self._clients = clients
        self._timeout = timeout
        self._limit = limit
        self._left = most
        self._stopping = False
        self._began = time.monotonic()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> Tally:
        """Let every client finish the request that it is at, and return the count."""
        self._stopping = True
        self.join()
        return self.tally

    def join(self) -> Tally:
        """Wait until the clients have sent their ``most`` requests, and return the count."""
        self._thread.join(self._limit + self._timeout + 5)
        assert not self._thread.is_alive(), "the load client did not stop"
        return self.tally

    def reach(self, requests: int, within: float = 60.0) -> None:
        """Wait until at least so many requests are done in all."""
        deadline = time.monotonic() + within
        while self.tally.requests < requests:
            assert self._thread.is_alive(), f"the load ended early: {self.tally}"
            assert time.monotonic() < deadline, f"too slow: {self.tally}"
            time.sleep(0.02)

    def pass_by(self, requests: int, within: float = 60.0) -> None:
        """Wait until so many more requests are done."""
        self.reach(self.tally.requests + requests, within)

    async def _run(self) -> None:
        await asyncio.gather(*(self._live(client) for client in self._clients))

    def _may_send(self) -> bool:
        if self._stopping or not self._left or time.monotonic() > self._began + self._limit:
            return False
        self._left -= 1
        return True

    async def _live(self, client: Client) -> None:
        """The life of one client: connect, ask, read, again."""
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        close = "" if client.keep_alive else "Connection: close\r\n"
        request = f"{self._request}{close}\r\n".encode() + self._body
        served = connection = 0
        while self._may_send():
            try:
                async with asyncio.timeout(self._timeout):
                    if streams is None:
                        streams = await asyncio.open_connection("127.0.0.1", self._port)
                        self.tally.connections += 1
                        connection = self.tally.connections
                        served = 0
                        if client.hesitate:
                            await asyncio.sleep(random.uniform(0, client.hesitate))  # noqa: S311
                    reader, writer = streams
                    writer.write(request)
                    reply = await read_reply(reader)
            except TimeoutError:
                self._lose("timeout", client, served)
            except ClosedError as closed:
                outcome = "cut" if closed.partial else "reset"
                self._lose(outcome, client, served, str(closed))
            except OSError as error:
                self._lose("refused", client, served, type(error).__name__)
                await asyncio.sleep(0.01)  # a refusal costs nothing: without this it would spin
            else:
                served += 1
                if reply.status >= 400:
                    self._lose("status", client, served, f"{reply.status} {reply.body[:80]!r}")
                else:
                    self.tally.ok += 1
                    self.tally.replies[reply.body] += 1
                    self._observe(connection, reply.body)
                if client.keep_alive and reply.headers.get("connection", "").lower() != "close":
                    await self._think(client)
                    continue
            if streams is not None:
                streams[1].close()
                streams = None
            await self._think(client)
        if streams is not None:
            streams[1].close()

    async def _think(self, client: Client) -> None:
        if client.think:
            await asyncio.sleep(random.uniform(0, client.think))  # noqa: S311

    def _lose(self, outcome: str, client: Client, served: int, detail: str = "") -> None:
        at = round(time.monotonic() - self._began, 3)
        detail = f"{detail} after {served} on this connection".strip()
        self.tally.losses.append(Loss(outcome, client.name, at, detail))


def request(
    path: str, method: str = "GET", headers: Sequence[tuple[str, str]] = (), body: bytes = b""
) -> bytes:
    """The bytes of one request; nothing is checked, so that hostile ones can be made too."""
    lines = [f"{method} {path} HTTP/1.1", "Host: service", *(f"{k}: {v}" for k, v in headers)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def burst(port: int, count: int, sent: bytes, timeout: float = 30.0) -> list[Reply]:
    """Send one request on each of ``count`` new connections, all at once, and return the replies.

    Raises:
        ClosedError, OSError, TimeoutError: One of them got no complete reply.
    """

    async def one() -> Reply:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(sent)
                return await read_reply(reader)
            finally:
                writer.close()

    async def everyone() -> list[Reply]:
        return await asyncio.gather(*(one() for _ in range(count)))

    return asyncio.run(everyone())


def converse(
    port: int, pieces: Iterable[bytes], pause: float = 0.0, timeout: float = 30.0
) -> tuple[bytes, float]:
    """Send the pieces with a pause after each, until the peer answers or hangs up.

    Returns what the peer sent before it closed the connection, and after how many seconds it did.

    Raises:
        TimeoutError: The peer has not closed the connection within the limit.
    """

    async def talk(writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)

    async def both() -> tuple[bytes, float]:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        talking = asyncio.create_task(talk(writer))
        heard = b""
        try:
            async with asyncio.timeout(timeout):
                with suppress(ConnectionError):
                    while part := await reader.read(65536):
                        heard += part
            return heard, time.monotonic() - began
        finally:
            talking.cancel()
            writer.close()

    return asyncio.run(both())
