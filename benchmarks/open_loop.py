"""Requests at set times, whether or not earlier ones are answered: an open loop.

    python open_loop.py <port> <requests a second> <seconds> <seed> <body of the reply>

The times are random (a Poisson process), and the same ones for every side that gets the same seed.
A latency counts from the moment at which a request was due: a stall is then as many late replies as
it kept waiting. A client that waits for its reply before it asks again would see one.

It spins, so as to be on time, and wants a processor of its own. The first second isn't counted.
Prints as JSON what it saw: latencies in milliseconds, and how late it was itself.
"""

from __future__ import annotations

import gc
import json
import random
import select
import socket
import sys
import time
from collections import deque

CONNECTIONS = 128
WARM_UP_SECONDS = 1.0
PATIENCE_SECONDS = 20.0
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost:8000\r\nAccept: */*\r\n\r\n"


def offer(port: int, rate: float, seconds: float, seed: int, body: bytes) -> dict[str, float]:
    """Ask so often. Raises RuntimeError for a reply that isn't the expected one, or none."""
    gaps, poll = random.Random(seed), select.epoll()  # noqa: S311 - not a secret
    sockets: dict[int, socket.socket] = {}
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        sockets[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
    # The one that was idle longest is next, so that the server closes none of them.
    idle, waiting = deque(sockets.values()), deque[float]()
    asked, heard = dict[int, float](), dict.fromkeys(sockets, b"")
    took, late, reached = [], [], 0
    count_from = time.perf_counter() + WARM_UP_SECONDS
    end, due = count_from + seconds, count_from - WARM_UP_SECONDS
    while due < end or waiting or asked:
        now = time.perf_counter()
        if now > end + PATIENCE_SECONDS:
            raise RuntimeError(f"{len(asked) + len(waiting)} requests weren't answered")
        while due <= now and due < end:
            waiting.append(due)
            due += gaps.expovariate(rate)
        while waiting and idle:
            connection, moment = idle.popleft(), waiting.popleft()
            connection.send(REQUEST)
            asked[connection.fileno()] = moment
            if moment >= count_from:
                late.append(time.perf_counter() - moment)
        for number, _ in poll.poll(0):
            reply = heard[number] = heard[number] + sockets[number].recv(65536)
            if reply.endswith(body) and reply.startswith(b"HTTP/1.1 200 "):
                moment, now = asked.pop(number), time.perf_counter()
                reached += count_from <= now < end
                if moment >= count_from:
                    took.append(now - moment)
                heard[number] = b""
                idle.append(sockets[number])
            elif number not in asked or not b"HTTP/1.1 200 ".startswith(reply[:13]):
                raise RuntimeError(f"not the reply that was expected: {reply!r}")
    took.sort()
    late.sort()
    return {
        "reached": reached / seconds,
        "p50": took[len(took) // 2] * 1000,
        "p99": took[int(len(took) * 0.99)] * 1000,
        "late": late[int(len(late) * 0.99)] * 1000,
    }


if __name__ == "__main__":
    gc.disable()  # its pauses would be taken for the server's
    port, rate, seconds, seed, body = sys.argv[1:]
    told = offer(int(port), float(rate), float(seconds), int(seed), body.encode())
    sys.stdout.write(json.dumps(told))
