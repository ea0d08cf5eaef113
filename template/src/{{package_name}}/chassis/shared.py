"""Memory that the Gunicorn master and all of its workers share.

The pages are mapped when this module is first imported, which the master does before it forks, so
every worker sees the same bytes: nothing has to be opened, named or cleaned up, and what one worker
writes any other answers with (SPEC C3). Outside Gunicorn the memory is simply private.

Two kinds of things live here: words (one 64-bit integer, written in one store) and cells (a small
JSON document with a version, written under a lock that the kernel releases when its holder dies).
"""

import json
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .sink import RecordLock

WORD = 8
CELL_BYTES = 4096
_CELL_HEADER = 2 * WORD  # version, length
_READ_ATTEMPTS = 100


class ProcessLock:
    """Mutual exclusion over threads and forked processes."""

    def __init__(self) -> None:
        self._processes = RecordLock()
        self._threads = threading.Lock()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._threads = threading.Lock()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._threads, self._processes:
            yield


class Cell:
    """A small JSON document with a version that grows with every write.

    Readers take no lock: the version is odd while somebody writes, and a reader that meets an odd
    version, or one that changed while it copied, reads again (a sequence lock).
    """

    def __init__(self, memory: mmap.mmap, offset: int, lock: ProcessLock) -> None:
        self._view = memoryview(memory)[offset : offset + CELL_BYTES]
        self._words = self._view[:_CELL_HEADER].cast("q")
        self._body = self._view[_CELL_HEADER:]
        self._lock = lock

    @property
    def version(self) -> int:
        """The number of the last completed write; 0 when nothing was ever written."""
        return self._words[0] & ~1

    def read(self) -> object | None:
        """The document, or None when nothing was ever written."""
        for _ in range(_READ_ATTEMPTS):
            before = self._words[0]
            if before == 0:
                return None
            if before % 2 == 0:
                payload = bytes(self._body[: self._words[1]])
                if self._words[0] == before:
                    document: object = json.loads(payload)
                    return document
            time.sleep(0.0001)
        # A writer died half-way. Under the lock nobody else writes, and the next write mends it.
        with self._lock():
            return self._salvage()

    def write(self, document: object) -> None:
        """Replace the document. Raises ValueError when it is longer than the cell."""
        self.update(lambda _: document)

    def update(self, change: Callable[[object | None], object | None]) -> bool:
        """Replace the document by what `change` makes of it; None leaves it. True if replaced."""
        with self._lock():
            version = self._words[0]
            current = self._salvage() if version % 2 else self.read()
            document = change(current)
            if document is None:
                return False
            payload = json.dumps(document).encode()
            if len(payload) > len(self._body):
                raise ValueError(f"{len(payload)} bytes don't fit a cell of {len(self._body)}")
            self._words[0] = version | 1
            self._body[: len(payload)] = payload
            self._words[1] = len(payload)
            self._words[0] = (version | 1) + 1
            return True

    def _salvage(self) -> object | None:
        try:
            document: object = json.loads(bytes(self._body[: self._words[1]]))
        except ValueError:
            return None
        return document


class Memory:
    """The shared pages, handed out in pieces to the modules that keep state in them."""

    def __init__(self, size: int = 256 * 1024) -> None:
        self._pages = mmap.mmap(-1, size)
        self._next = 0
        self._lock = ProcessLock()

    def words(self, count: int) -> memoryview:
        """`count` 64-bit integers, all 0."""
        offset = self._take(count * WORD)
        return memoryview(self._pages)[offset : offset + count * WORD].cast("q")

    def cell(self) -> Cell:
        """An empty document."""
        return Cell(self._pages, self._take(CELL_BYTES), self._lock)

    def _take(self, size: int) -> int:
        offset, self._next = self._next, self._next + size
        if self._next > len(self._pages):
            raise MemoryError("the shared memory is used up: make `Memory(size)` larger")
        return offset


memory = Memory()
