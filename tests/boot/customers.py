"""Customers who place orders with whichever service they are sent to, and look them up at another.

What one version of a service writes, every other one that serves beside it has to read.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

from boot.harness import Service
from boot.load import ClosedError, Reply, read_reply

_PATIENCE = 20.0


class Customers:
    """Some customers at once, each order on a connection of its own."""

    def __init__(self, count: int = 6) -> None:
        self.orders: dict[int, str] = {}
        """What was acknowledged: the note of each order by its number."""
        self.lost: Counter[str] = Counter()
        self._count = count
        self._ports: list[int] = []
        self._asking: Counter[int] = Counter()
        self._numbers = itertools.count()
        self._stopping = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        self._thread.join(_PATIENCE)

    def are_sent_to(self, *services: Service) -> None:
        """Where the balancer leads them from now on; returns when nobody asks anybody else."""
        self._ports = [service.port for service in services]
        if not self._thread.is_alive():
            self._thread.start()
        end = time.monotonic() + _PATIENCE
        while any(count for port, count in self._asking.items() if port not in self._ports):
            assert time.monotonic() < end, "somebody still asks another service"
            time.sleep(0.01)

    def pass_by(self, orders: int) -> None:
        """Wait until so many more orders were acknowledged."""
        goal, end = len(self.orders) + orders, time.monotonic() + 60
        while len(self.orders) < goal:
            assert time.monotonic() < end, f"too slow: {len(self.orders)} orders, lost {self.lost}"
            assert not self.lost, self.lost
            time.sleep(0.02)

    async def _run(self) -> None:
        await asyncio.gather(*(self._order() for _ in range(self._count)))

    async def _order(self) -> None:
        while not self._stopping:
            note = f"note-{next(self._numbers)}"
            placed = await self._ask("POST", f"/orders/{note}")
            if placed is None:
                continue
            number = placed.json()
            self.orders[number] = note
            found = await self._ask("GET", f"/orders/{number}")
            if found is not None and found.json() != note:
                self.lost[f"{found.json()!r} instead of a note"] += 1

    async def _ask(self, method: str, path: str) -> Reply | None:
        port = random.choice(self._ports)  # noqa: S311
        self._asking[port] += 1
        writer = None
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                head = f"{method} {path} HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                reply = await read_reply(reader)
            if reply.status == 200:
                return reply
            self.lost[f"{method} {reply.status} {reply.body[:200]!r}"] += 1
        except (OSError, ClosedError) as error:
            self.lost[f"{method} {type(error).__name__}"] += 1
        finally:
            self._asking[port] -= 1
            if writer is not None:
                writer.close()
        return None
