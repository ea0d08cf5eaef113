"""A consumer of the stream that remembers what it saw, because Redis may forget it.

It stands outside of the service and speaks Redis' protocol itself: nothing of what is tested has a
part in the evidence. https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import servers

GROUP = b"witness"
KEEPS = {"appendonly": "yes", "appendfsync": "no", "auto-aof-rewrite-percentage": 0}
"""A Redis whose every acknowledged write is in a file, if not on the disk: who kills the process
takes its memory, and what it had acknowledged can still be told."""

Position = tuple[int, int]


@dataclass(frozen=True)
class Published:
    """An event as it stands in the stream."""

    id: str
    type: str
    key: str
    data: dict[str, Any]


Stream = dict[Position, Published]
"""Entries by their ids, which begin with the time: they sort over a loss of memory, too."""


class RedisFailure(Exception):  # noqa: N818
    """An error that Redis has answered with."""


class Connection:
    """One connection to a Redis."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def call(self, *parts: bytes | str | int) -> Any:
        """Send a command and return its reply."""
        texts = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
        sent = b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)
        self._socket.sendall(b"*%d\r\n%s" % (len(texts), sent))
        return self._read()

    def _read(self) -> Any:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis has hung up")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisFailure(rest.decode())
        if kind == b"$":
            if (size := int(rest)) < 0:
                return None
            text = self._file.read(size + 2)
            if len(text) < size + 2:
                raise ConnectionError("Redis has hung up")
            return text[:-2]
        if kind == b"*":
            return None if int(rest) < 0 else [self._read() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest


class Witness:
    """The only consumer of its group, until the block ends."""

    def __init__(self, port: int, stream: str) -> None:
        self.seen: Stream = {}
        self._port = port
        self._stream = stream
        self._stopping = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()

    def finish(self) -> None:
        """Read what there is, and go."""
        self._stopping = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the witness did not end"
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while True:
                with suppress(OSError):  # Redis is away
                    connection = Connection(self._port)
                    try:
                        if self._consume(connection):
                            return
                    finally:
                        connection.close()
                time.sleep(0.02)
        except BaseException as error:
            self._failure = error

    def _consume(self, connection: Connection) -> bool:
        """Consume until it is over (true) or the group is gone (false)."""
        try:
            with suppress(RedisFailure):  # there is one
                connection.call("XGROUP", "CREATE", self._stream, GROUP, "0", "MKSTREAM")
            # What was delivered and not acknowledged, before what is new.
            while self._read(connection, "0"):
                pass
            while True:
                is_last = self._stopping
                if not self._read(connection, ">") and is_last:
                    return True
        except RedisFailure as error:
            # LOADING: it is starting. NOGROUP: it has lost its memory.
            if not str(error).startswith(("NOGROUP", "LOADING")):
                raise
            return False

    def _read(self, connection: Connection, position: str) -> int:
        what = ("COUNT", 500, "BLOCK", 100, "STREAMS", self._stream, position)
        replies = connection.call("XREADGROUP", "GROUP", GROUP, "one", *what)
        entries = replies[0][1] if replies else []
        if entries:
            self.seen.update(map(_entry, entries))
            connection.call("XACK", self._stream, GROUP, *(entry for entry, _ in entries))
        return len(entries)


def take_memory(redis: servers.Redis) -> Path:
    """Take away what a Redis that is down has kept; returns where it is from now on."""
    kept = Path(tempfile.mkdtemp(prefix="ballast-lost-", dir=redis.folder))
    shutil.move(redis.folder / "appendonlydir", kept)
    return kept


def read_memory(kept: Path, stream: str) -> Stream:
    """All that a Redis knew of the stream when it lost its memory."""
    server = servers.Redis(kept, KEEPS)
    server.start()
    connection = Connection(server.port)
    try:
        while True:
            try:
                return dict(map(_entry, connection.call("XRANGE", stream, "-", "+") or []))
            except RedisFailure as error:
                if not str(error).startswith("LOADING"):
                    raise
                time.sleep(0.05)
    finally:
        connection.close()
        server.kill()


def _entry(entry: list[Any]) -> tuple[Position, Published]:
    position, pairs = entry
    named = dict(zip(pairs[::2], pairs[1::2], strict=True))
    milliseconds, _, number = position.partition(b"-")
    event = Published(
        id=named[b"id"].decode(),
        type=named[b"type"].decode(),
        key=named[b"key"].decode(),
        data=json.loads(named[b"data"]),
    )
    return (int(milliseconds), int(number)), event
