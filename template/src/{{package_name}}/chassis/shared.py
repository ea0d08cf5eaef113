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
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .logs.sink import RecordLock

WORD = 8
DOCUMENT_BYTES = 16 * 1024  # pages that are never written cost nothing
_PLACE_BYTES = WORD + DOCUMENT_BYTES  # length, document
CELL_BYTES = WORD + 2 * _PLACE_BYTES  # version, two places


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

    It has two places. A write fills the one that isn't in force and then moves the version on,
    whose parity says which one is: a writer that is killed half-way has changed nothing. Readers
    take no lock: one that sees the version move while it copied reads again.
    """

    def __init__(self, memory: mmap.mmap, offset: int, lock: ProcessLock) -> None:
        view = memoryview(memory)[offset : offset + CELL_BYTES]
        self._version = view[:WORD].cast("q")
        self._places = [view[start : start + _PLACE_BYTES] for start in (WORD, WORD + _PLACE_BYTES)]
        self._lock = lock

    @property
    def version(self) -> int:
        """The number of the last completed write; 0 when nothing was ever written."""
        return self._version[0]

    def read(self) -> object | None:
        """The document, or None when nothing was ever written."""
        while version := self._version[0]:
            place = self._places[version % 2]
            (length,) = place[:WORD].cast("q")
            payload = bytes(place[WORD : WORD + length])
            if self._version[0] == version:
                document: object = json.loads(payload)
                return document
        return None

    def write(self, document: object) -> None:
        """Replace the document. Raises ValueError when it is longer than the cell."""
        self.update(lambda _: document)

    def update(self, change: Callable[[object | None], object | None]) -> bool:
        """Replace the document by what `change` makes of it; None leaves it. True if replaced."""
        with self._lock():
            document = change(self.read())
            if document is None:
                return False
            payload = json.dumps(document).encode()
            if len(payload) > DOCUMENT_BYTES:
                raise ValueError(f"{len(payload)} bytes don't fit a cell of {DOCUMENT_BYTES}")
            successor = self._version[0] + 1
            place = self._places[successor % 2]
            place[:WORD].cast("q")[0] = len(payload)
            place[WORD : WORD + len(payload)] = payload
            self._version[0] = successor
            return True


class Memory:
    """The shared pages, handed out in pieces to the modules that keep state in them."""

    def __init__(self, size: int = 8 * 1024 * 1024) -> None:
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
