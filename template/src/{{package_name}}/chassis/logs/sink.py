"""Where every log line goes: one file descriptor, whole lines, in order.

Inside an event loop lines are collected and written with one ``write`` per turn of the loop; a
SIGKILL can lose one turn's lines. Access lines, of which there is one for each request, wait longer
under load, until `PAUSE` seconds have passed since the last write: most of what makes them
affordable. Errors, other threads and code outside a loop write at once.

All workers share one stdout. POSIX keeps a write to a pipe together only up to ``PIPE_BUF`` bytes,
and a batch or a traceback is longer, so writers exclude each other with a :class:`RecordLock`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import fcntl
import functools
import mmap
import os
import select
import tempfile
import threading
import time
import weakref
from types import TracebackType

MAX_PENDING = 512  # lines; a turn that logs more than this writes in between
PAUSE = 0.01
"""Seconds between two writes of nothing but lines that may wait."""


class RecordLock:
    """Mutual exclusion between processes, created before they fork.

    A POSIX record lock (``fcntl``, not ``flock``: that one a forked child would share) on a file
    without a name. The kernel releases it when its holder dies, and ``torn``, which lies in memory
    that all of them share, tells the next holder that the last one died in the middle of a line.
    """

    def __init__(self) -> None:
        # An anonymous file where there is one: the root file system may well be read-only.
        if hasattr(os, "memfd_create"):
            self._fd = os.memfd_create("log-lock", os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile() as file:
                self._fd = os.dup(file.fileno())
        os.ftruncate(self._fd, 1)
        self._shared = mmap.mmap(self._fd, 1)

    @property
    def torn(self) -> bool:
        return self._shared[0] == 1

    @torn.setter
    def torn(self, value: bool) -> None:
        self._shared[0] = value

    def __enter__(self) -> None:
        self._apply(fcntl.LOCK_EX)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._apply(fcntl.LOCK_UN)

    def _apply(self, operation: int) -> None:
        # No lock to be had (ENOLCK, EDEADLK)? A torn line beats a lost one.
        with contextlib.suppress(OSError):
            fcntl.lockf(self._fd, operation)


class Sink:
    """Writes whole lines (bytes that end with a newline) to ``fd``. Safe under threads and forks.

    A reader that went away (``EPIPE``) or a full disk loses lines, never the application's work:
    nothing here raises an :class:`OSError`.
    """

    def __init__(self, fd: int, lock: RecordLock | None = None) -> None:
        self.fd = fd
        self._processes = lock or RecordLock()
        self._lines: list[bytes] = []
        self._start_over()
        atexit.register(self.flush)
        start_over = weakref.WeakMethod(self._start_over)
        os.register_at_fork(after_in_child=lambda: (here := start_over()) and here())

    def _start_over(self) -> None:
        """Begin empty, with locks nobody holds; in a forked child the parent writes what it had."""
        self._threads = threading.RLock()
        self._writer = 0  # ident of the thread that is writing
        self._lines.clear()
        self._unwritten = memoryview(b"")
        # The loops that will flush by themselves: when this turn ends, and when the pause does.
        self._turn: asyncio.AbstractEventLoop | None = None
        self._pause: asyncio.AbstractEventLoop | None = None
        self._written_at = 0.0

    def write(self, line: bytes, *, urgent: bool = False, may_wait: bool = False) -> None:
        """Write ``line`` with the rest of this turn of the event loop; now if ``urgent``.

        If it ``may_wait`` and the last write is less than a `PAUSE` ago, it waits for the rest of
        that, or for a line that doesn't.
        """
        self._lines.append(line)
        if urgent or len(self._lines) >= MAX_PENDING:
            self.flush()
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if self._turn is loop:
            return
        if may_wait:
            if self._pause is loop:
                return
            left = self._written_at + PAUSE - time.monotonic()
            if left > 0:
                self._pause = loop
                loop.call_later(left, self._end_pause)
                return
        self._turn = loop
        loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._turn = None
        self.flush()

    def _end_pause(self) -> None:
        self._pause = None
        self.flush()

    def flush(self) -> None:
        """Write everything collected so far, by whichever thread, in order."""
        me = threading.get_ident()
        if self._writer == me:
            # A signal handler or a finaliser logs in the middle of our own write, which will take
            # that line along. Waiting for it here would wait for ever.
            return
        with self._threads:
            self._writer = me
            try:
                while self._lines or self._unwritten:
                    self._write_pending()
                self._written_at = time.monotonic()
            finally:
                self._writer = 0

    def _write_pending(self) -> None:
        with self._processes:
            if not self._unwritten:
                count = len(self._lines)  # others may append meanwhile
                data = b"".join(self._lines[:count])
                del self._lines[:count]
                self._unwritten = memoryview(b"\n" + data if self._processes.torn else data)
            self._processes.torn = len(self._unwritten) > select.PIPE_BUF
            try:
                while self._unwritten:
                    self._write_some()
            except OSError:
                self._unwritten = memoryview(b"")
            else:
                self._processes.torn = False

    def _write_some(self) -> None:
        try:
            written = os.write(self.fd, self._unwritten)
        except BlockingIOError:  # somebody made the pipe non-blocking, and it is full
            poll = select.poll()
            poll.register(self.fd, select.POLLOUT)
            poll.poll()
        else:
            self._unwritten = self._unwritten[written:]


@functools.cache
def stdout() -> Sink:
    """The process's log. First called before the fork, so that the workers share its lock."""
    return Sink(1)
