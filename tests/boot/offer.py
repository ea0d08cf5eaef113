"""A lean load generator, run as a program of its own so that it takes no time from who measures.

    python offer.py PORT SECONDS rate 3000
    python offer.py PORT SECONDS clients 32

It posts payments, each with a key of its own: so many a second, whatever becomes of them, or as
many as the clients get done. It prints what it saw as JSON. The first second isn't counted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter, deque
from typing import Any
from uuid import uuid4

WARM_UP_SECONDS = 1.0
MOST_CONNECTIONS = 8000
LAST_REPLIES_SECONDS = 20.0

BODY = b'{"amount": 1999, "currency": "EUR", "reference": "order 4711"}'
HEAD = (
    "POST /payments HTTP/1.1\r\nHost: payments\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\nIdempotency-Key: "
).encode()


class Line(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._heard = b""
        self.sent_at = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def ask(self) -> None:
        """Send a request; on a new connection as soon as it is made."""
        self.sent_at = time.perf_counter()
        if self.transport is not None:
            self._send()

    def _send(self) -> None:
        assert self.transport is not None
        self.transport.write(b"%s%s\r\n\r\n%s" % (HEAD, uuid4().hex.encode(), BODY))

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        heard = self._heard = self._heard + data if self._heard else data
        end = heard.find(b"\r\n\r\n")
        if end < 0:
            return
        head = heard[:end].lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(heard) < end + 4 + length:
            return
        self._heard = b""
        closing = b"connection: close" in head
        self._offer.answered(self, int(heard[9:12]), b"retry-after:" in head, closing)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._offer.hung_up(self)


class Offer:
    """What is sent, and what came of it."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._seconds = seconds
        self._idle: deque[Line] = deque()  # the one that was idle longest is next, as in a ring
        self._asking: set[Line] = set()
        self._connecting: set[asyncio.Task[Any]] = set()
        self._connections = 0
        self._closed_loop = False
        self._outcomes: Counter[str] = Counter()
        self._took: dict[str, list[float]] = {}
        self._sent = self._latest = 0.0
        self._count_from = self._end = 0.0

    async def run(self, kind: str, number: float) -> dict[str, Any]:
        """Offer it, and return what was seen."""
        gc.disable()  # its pauses would be taken for the service's
        now = time.perf_counter()
        self._count_from, self._end = now + WARM_UP_SECONDS, now + WARM_UP_SECONDS + self._seconds
        if kind == "clients":
            self._closed_loop = True
            for _ in range(int(number)):
                self._ask()
            await asyncio.sleep(WARM_UP_SECONDS + self._seconds)
            self._closed_loop = False
        else:
            await self._at_rate(number)
        over = time.perf_counter() + LAST_REPLIES_SECONDS
        while self._asking and time.perf_counter() < over:  # noqa: ASYNC110 - simple will do
            await asyncio.sleep(0.02)
        return self._told()

    async def _at_rate(self, rate: float) -> None:
        began, asked = time.perf_counter(), 0
        while (now := time.perf_counter()) < self._end:
            due = int((now - began) * rate)
            self._latest = max(self._latest, (due - asked) / rate)
            while asked < due:
                asked += 1
                self._ask()
            await asyncio.sleep(0.001)

    def _ask(self) -> None:
        if self._counts(time.perf_counter()):
            self._sent += 1
        if self._idle:
            line = self._idle.popleft()
        elif self._connections < MOST_CONNECTIONS:
            self._connections += 1
            line = Line(self)
            task = asyncio.ensure_future(self._connect(line))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        else:
            self._outcomes["no connection left"] += 1
            return
        self._asking.add(line)
        line.ask()

    async def _connect(self, line: Line) -> None:
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: line, "127.0.0.1", self._port)
        except OSError:
            self.hung_up(line)

    def _counts(self, moment: float) -> bool:
        return self._count_from <= moment < self._end

    def answered(self, line: Line, status: int, may_retry: bool, closing: bool) -> None:
        """A complete reply has come. Good ones count when they come, all others when they began."""
        self._asking.discard(line)
        now = time.perf_counter()
        outcome = str(status) if status != 503 or may_retry else "503 without Retry-After"
        if self._counts(now if status == 201 else line.sent_at):
            self._outcomes[outcome] += 1
            self._took.setdefault(outcome, []).append(now - line.sent_at)
        if closing and line.transport is not None:
            line.transport.close()
        else:
            self._idle.append(line)
        if self._closed_loop:
            self._ask()

    def hung_up(self, line: Line) -> None:
        """The connection is gone, and with it the request that it had, if any."""
        self._connections -= 1
        if line in self._asking:
            self._asking.discard(line)
            if self._counts(line.sent_at):
                self._outcomes["hung up"] += 1
        elif line in self._idle:
            self._idle.remove(line)

    def _told(self) -> dict[str, Any]:
        milliseconds = {}
        for outcome, took in self._took.items():
            took.sort()
            parts = {"median": 0.5, "p95": 0.95, "p99": 0.99}
            milliseconds[outcome] = {
                name: round(took[int(part * len(took))] * 1000, 1) for name, part in parts.items()
            }
        return {
            "offered_per_second": round(self._sent / self._seconds, 1),
            "good_per_second": round(self._outcomes["201"] / self._seconds, 1),
            "outcomes": dict(self._outcomes),
            "unanswered": len(self._asking),
            "milliseconds": milliseconds,
            "connections": self._connections,
            "late_seconds": round(self._latest, 3),
        }


if __name__ == "__main__":
    port, seconds, kind, number = sys.argv[1:]
    told = asyncio.run(Offer(int(port), float(seconds)).run(kind, float(number)))
    sys.stdout.write(json.dumps(told) + "\n")
