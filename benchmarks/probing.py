"""What the probes notice of a load: asked by the clock, each time on a new connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from boot.harness import ask

PROBES = ("/health/live", "/health/ready", "/health/startup")
_EVERY_SECONDS = 0.01
_ASKERS = 8
"""How many probes may be under way at a time, so that a slow one doesn't hold up the next."""


@contextmanager
def probing(port: int) -> Iterator[list[float]]:
    """Ask the probes while the block runs, in turn; the list gets milliseconds.

    Each counts from the moment at which it was due, and all that were due are asked: a stall of a
    second is a hundred samples and not one. Raises RuntimeError when one doesn't answer 200.
    """
    took, stop = list[float](), threading.Event()
    wrong: list[str] = []
    began = time.perf_counter()

    def run(number: int) -> None:
        due = began + number * _EVERY_SECONDS
        while not stop.is_set() or due < time.perf_counter():
            time.sleep(max(0.0, due - time.perf_counter()))
            path = PROBES[number % len(PROBES)]
            try:
                status = ask(port, path).status
            except OSError as error:
                wrong.append(f"{path}: {error!r}")
                return
            took.append((time.perf_counter() - due) * 1000)
            if status != 200:
                wrong.append(f"{path} answered {status}")
            number += _ASKERS
            due = began + number * _EVERY_SECONDS

    asking = [threading.Thread(target=run, args=(number,)) for number in range(_ASKERS)]
    for thread in asking:
        thread.start()
    try:
        yield took
    finally:
        stop.set()
        for thread in asking:
            thread.join()
    if wrong:
        raise RuntimeError(f"{len(wrong)} probes: {wrong[0]}")
