"""Identifiers that sort by the moment at which they were made: UUIDs of version 7 (RFC 9562).

A table whose primary key they are grows at its end, and its newest rows are found by the key alone.
"""

import os
import threading
import time
from uuid import UUID

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM = (1 << 62) - 1

_latest = 0
_ordering = threading.Lock()


def new_id() -> UUID:
    """A new UUID, greater than all that this process has made before; 62 bits of it are random.

    It begins with the milliseconds since 1970 and their fraction in 4096ths (RFC 9562, 6.2,
    method 3), so that those of several processes are in order as far as their clocks agree.
    """
    global _latest
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    tick = (seconds * 1000 + milliseconds) << 12 | rest * 4096 // 1_000_000
    with _ordering:
        _latest = tick = max(tick, _latest + 1)
    # Not of `random`: who has seen some of those can compute the others.
    chance = int.from_bytes(os.urandom(8)) & _RANDOM
    return UUID(int=(tick >> 12) << 80 | _VERSION | (tick & 0xFFF) << 64 | _VARIANT | chance)
