"""Clients who insist: each repeats its payment with the same key until it is acknowledged.

They come at a fixed rate, whatever the service does, or as fast as they are served. Every tenth
payment is sent by two clients at once, as by a proxy or an impatient user.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self
from uuid import uuid4

from boot.load import ClosedError, Reply, read_reply

ATTEMPT_SECONDS = 5.0
"""After so long without a reply a client tries again."""
PATIENCE_SECONDS = 180.0
"""It gives up then, which is a failure: every outage of the test is shorter."""
FIRST_WAIT, LONGEST_WAIT = 0.05, 4.0
"""Bounds of the backoff. At first it is more impatient than `Retry-After` allows; but thousands who
all come back every second are an outage of their own, on a machine that is short of time."""
CURRENCIES = ("EUR", "USD", "JPY", "XOF")
TWINS = 10

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Mode = Literal["waiting", "paced", "full speed", "done"]


@dataclass
class Paid:
    """What a client knows of its payment."""

    order: dict[str, Any]
    reply: bytes | None = None
    """The first acknowledgement, to the letter; None until there is one."""


@dataclass
class Figures:
    """What the clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    """Attempts by status code, or by what happened instead of a reply."""
    payments: int = 0
    longest: float = 0.0
    """Seconds from the first attempt to the acknowledgement."""

    def errors(self) -> int:
        """Replies of 500 and above."""
        return sum(count for status, count in self.statuses.items() if status.startswith("5"))

    def retries(self) -> int:
        """Attempts that weren't acknowledged."""
        return sum(self.statuses.values()) - self.statuses["201"]


class Payers:
    """Clients in a thread of its own, until the block ends."""

    def __init__(self, port: int) -> None:
        self.paid: dict[str, Paid] = {}
        """By key; whatever was sent stands here, acknowledged or not."""
        self.figures = Figures()
        self.wrong: list[str] = []
        """What must not happen, in words."""
        self._port = port
        self._mode: Mode = "waiting"
        self._per_second = 0.0
        self._clients = 0
        self._idle: list[Streams] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()

    def come_at(self, per_minute: float) -> None:
        """From now on let so many come, whatever becomes of those before them (an open loop)."""
        self._per_second, self._mode = per_minute / 60, "paced"

    def hurry(self, clients: int) -> None:
        """From now on let so many clients pay as fast as they are served."""
        self._clients, self._mode = clients, "full speed"

    def finish(self) -> None:
        """Let no new ones come, and wait until those under way are acknowledged."""
        self._mode = "done"
        self._thread.join(PATIENCE_SECONDS + 10)
        assert not self._thread.is_alive(), "the clients did not end"

    @property
    def acknowledged(self) -> dict[str, Paid]:
        """Those that have a reply."""
        return {key: paid for key, paid in self.paid.items() if paid.reply is not None}

    async def _run(self) -> None:
        while self._mode == "waiting":  # noqa: ASYNC110 - it is another thread that says so
            await asyncio.sleep(0.01)
        while self._mode == "paced":
            began, sent = time.monotonic(), 0
            while self._mode == "paced":
                due = (time.monotonic() - began) * self._per_second
                while sent < due:
                    sent += 1
                    self._begin()
                await asyncio.sleep(0.002)
        await asyncio.gather(*(self._hurrying() for _ in range(self._clients)))
        while self._under_way:
            await asyncio.wait(self._under_way)
        for _, writer in self._idle:
            writer.close()

    def _begin(self) -> None:
        task = asyncio.create_task(self._pay())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _hurrying(self) -> None:
        while self._mode == "full speed":
            await self._pay()

    async def _pay(self) -> None:
        key = str(uuid4())
        order = {
            "amount": random.randint(1, 10**6),  # noqa: S311
            "currency": random.choice(CURRENCIES),  # noqa: S311
            "reference": f"order {key}",
        }
        self.paid[key] = Paid(order)
        self.figures.payments += 1
        twins = 2 if self.figures.payments % TWINS == 0 else 1
        await asyncio.gather(*(self._insist(key) for _ in range(twins)))

    async def _insist(self, key: str) -> None:
        body = json.dumps(self.paid[key].order).encode()
        request = (
            f"POST /payments HTTP/1.1\r\nHost: payments\r\nIdempotency-Key: {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        began, wait = time.monotonic(), FIRST_WAIT
        while time.monotonic() < began + PATIENCE_SECONDS:
            reply = await self._attempt(request)
            if reply is not None and reply.status == 201:
                self._acknowledge(key, reply.body)
                self.figures.longest = max(self.figures.longest, time.monotonic() - began)
                return
            if reply is not None and reply.status < 500 and reply.status not in (409, 429):
                self.wrong.append(f"{key} was answered {reply.status} {reply.body!r}")
                return
            await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311
            wait = min(wait * 2, LONGEST_WAIT)
        self.wrong.append(f"{key} was not acknowledged within {PATIENCE_SECONDS:g} s")

    def _acknowledge(self, key: str, reply: bytes) -> None:
        paid = self.paid[key]
        if paid.reply is not None and paid.reply != reply:
            self.wrong.append(f"{key} was answered {paid.reply!r}, and then {reply!r}")
        paid.reply = paid.reply or reply

    async def _attempt(self, request: bytes) -> Reply | None:
        """Send it once. None when there was no complete reply: nobody knows what became of it."""
        streams: Streams | None = None
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                if self._idle:
                    streams = self._idle.pop()
                else:
                    streams = await asyncio.open_connection("127.0.0.1", self._port)
                streams[1].write(request)
                reply = await read_reply(streams[0])
        except TimeoutError:
            outcome = "timeout"
        except ClosedError as closed:
            outcome = "cut" if closed.partial else "reset"
        except OSError:
            outcome = "refused"
        else:
            self.figures.statuses[str(reply.status)] += 1
            if reply.headers.get("connection", "").lower() == "close":
                streams[1].close()
            else:
                self._idle.append(streams)
            return reply
        self.figures.statuses[outcome] += 1
        if streams is not None:
            with suppress(OSError):
                streams[1].close()
        return None
