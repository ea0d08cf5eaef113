"""What ``print`` and libraries write to stdout and stderr becomes log entries (SPEC row E1).

For the JSON format only: :func:`capture` leaves no line in the log that isn't an object. Whole
lines are logged, by "stdout" as info and by "stderr" as warning; a last line without its end is
logged when the process exits.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import TextIO

from ..logs import get_logger
from . import origin

MAX_LINE = 32 * 1024  # characters; a longer line is logged in parts

origin.INTERNAL_MODULES.add(__name__)
_captured: list[tuple[str, TextIO, LineStream]] = []


class LineStream(io.TextIOBase):
    """A text stream that hands each complete line to ``log``.

    Threads don't share a buffer: two that print at the same time get a line each.
    """

    def __init__(self, log: Callable[[str], None], original: TextIO) -> None:
        self._log = log
        self._original = original
        self._partial: dict[int, str] = {}  # by thread
        self._logging = threading.local()
        self.buffer = _Bytes(self)
        forget = weakref.WeakMethod(self._partial_lines_stay_with_the_parent)
        os.register_at_fork(after_in_child=lambda: (here := forget()) and here())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    @property
    def name(self) -> str:
        return str(getattr(self._original, "name", ""))

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._original.fileno()

    def write(self, text: str) -> int:
        """Log the lines that ``text`` completes."""
        me = threading.get_ident()
        *lines, rest = (self._partial.pop(me, "") + text).split("\n")
        for line in lines:
            self._emit(line)
        while len(rest) > MAX_LINE:
            self._emit(rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        if rest:
            self._partial[me] = rest
        return len(text)

    def flush(self) -> None:
        """Nothing: ``print(".", end="", flush=True)`` doesn't make an entry of each dot."""

    def drain(self) -> None:
        """Log the lines that nobody ended."""
        while self._partial:
            self._emit(self._partial.popitem()[1])

    def _emit(self, line: str) -> None:
        shown = line.rstrip().rpartition("\r")[2]  # of a progress bar, its last state
        if not shown or getattr(self._logging, "now", False):
            return  # whoever prints while we log would print for ever
        self._logging.now = True
        try:
            self._log(shown)
        finally:
            self._logging.now = False

    def _partial_lines_stay_with_the_parent(self) -> None:
        self._partial.clear()


class _Bytes(io.BufferedIOBase):
    """``sys.stdout.buffer``, for those who print bytes."""

    def __init__(self, text: LineStream) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._text.write(bytes(data).decode("utf-8", "backslashreplace"))
        return len(data)


def capture() -> None:
    """Log what is printed from now on. A second call changes nothing."""
    if _captured:
        return
    out, err = get_logger("stdout"), get_logger("stderr")
    for name, log in (("stdout", out.info), ("stderr", err.warning)):
        original = getattr(sys, name)
        original.flush()
        stream = LineStream(log, original)
        _captured.append((name, original, stream))
        setattr(sys, name, stream)
    atexit.register(_drain)


def restore() -> None:
    """Give the streams back, with everything printed so far logged."""
    _drain()
    atexit.unregister(_drain)
    for name, original, stream in _captured:
        if getattr(sys, name) is stream:  # and not replaced by somebody else since
            setattr(sys, name, original)
    _captured.clear()


def _drain() -> None:
    for _, _, stream in _captured:
        stream.drain()
