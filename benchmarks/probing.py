"""What the probes notice of a load: asked in turn, each time on a new connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from boot.harness import ask

PROBES = ("/health/live", "/health/ready", "/health/startup")
_PAUSE_SECONDS = 0.01


@contextmanager
def probing(port: int) -> Iterator[list[float]]:
    """Ask the probes while the block runs; the list gets the milliseconds that each took.

    Raises RuntimeError when one of them doesn't answer 200.
    """
    took, stop = list[float](), threading.Event()
    wrong: list[str] = []

    def run() -> None:
        while not stop.wait(_PAUSE_SECONDS):
            path = PROBES[len(took) % len(PROBES)]
            began = time.perf_counter()
            status = ask(port, path).status
            took.append((time.perf_counter() - began) * 1000)
            if status != 200:
                wrong.append(f"{path} answered {status}")

    asking = threading.Thread(target=run)
    asking.start()
    try:
        yield took
    finally:
        stop.set()
        asking.join()
    if wrong:
        raise RuntimeError(f"{len(wrong)} probes: {wrong[0]}")
