"""When and by whom: the timestamp and the process id of a log line, as cheap as they can be."""

from __future__ import annotations

import os
import time


class _Process:
    """The process id: asking the kernel costs more than the rest of a line's head."""

    def __init__(self) -> None:
        self.refresh()
        os.register_at_fork(after_in_child=self.refresh)

    def refresh(self) -> None:
        self.pid = os.getpid()


process = _Process()
_second = (0, "1970-01-01T00:00:00")


def timestamp(micros: int | None = None) -> str:
    """UTC in ISO 8601 with microseconds; ``micros`` since the epoch, None for now."""
    global _second  # one tuple, replaced as a whole: every thread sees a matching pair
    second, micros = divmod(time.time_ns() // 1000 if micros is None else micros, 1_000_000)
    cached, date = _second
    if second != cached:
        date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _second = (second, date)
    return f"{date}.{micros:06d}Z"
