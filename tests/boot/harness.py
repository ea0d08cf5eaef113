"""A service that really boots: Gunicorn, several workers, real sockets, real signals."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

T = TypeVar("T")
Record = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of output: on which stream, when (monotonic seconds), and what."""

    stream: str
    at: float
    text: str


@dataclass(frozen=True)
class Answer:
    """One reply to :meth:`Service.ask`; the names of the headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Ports:
    """Free ports, each kept ours by a bound socket that never listens.

    Without that the kernel may hand the port of a replica that is being restarted to a client's
    outgoing connection, and the replica can't bind it again. Both sides set ``SO_REUSEADDR``, so
    the reservation is in nobody's way.
    """

    def __init__(self) -> None:
        self._reservations: list[socket.socket] = []

    def take(self) -> int:
        """Reserve one."""
        reservation = socket.socket()
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        self._reservations.append(reservation)
        port: int = reservation.getsockname()[1]
        return port

    def give_back(self) -> None:
        """End all the reservations."""
        for reservation in self._reservations:
            reservation.close()


def eventually(
    probe: Callable[[], T | None], within: float = 15.0, *, what: str = "", every: float = 0.02
) -> T:
    """Call ``probe`` until it returns something true, and return that.

    An ``OSError`` or an ``AssertionError`` counts as not yet.
    """
    deadline = time.monotonic() + within
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = probe()
            if last:
                return last
        except (OSError, http.client.HTTPException, AssertionError) as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"{what or 'it'} did not happen within {within} s; last: {last!r}")


def ask(
    port: int,
    path: str,
    method: str = "GET",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 20.0,
) -> Answer:
    """Send one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        reply = connection.getresponse()
        names = {name.lower(): value for name, value in reply.getheaders()}
        return Answer(reply.status, names, reply.read())
    finally:
        connection.close()


def children(pid: int) -> list[int]:
    """The live children of a process (zombies left out), oldest first."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                found.append(int(child))
    return found


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _session_of(pid: int) -> int | None:
    """The session of a process, or None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[3])


class Service:
    """One Gunicorn master with its workers, started in a session of its own.

    Args:
        project: The installed project, in whose folder the service runs.
        port: Port of the traffic listener.
        management_port: Port of the management listener.
        settings: Environment variables, over a small default environment.
        command: What to start; by default Gunicorn itself, without arguments.
    """

    def __init__(
        self,
        project: Path,
        port: int,
        management_port: int,
        settings: Mapping[str, str] | None = None,
        command: list[str] | None = None,
    ) -> None:
        self.project = project
        self.port = port
        self.management_port = management_port
        self.settings = dict(settings or {})
        self.lines: list[Line] = []
        self._records: list[Record] = []
        self.began = time.monotonic()
        self._stalled = threading.Event()
        self._process = subprocess.Popen(
            command or [str(project / ".venv/bin/gunicorn")],
            cwd=project,
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/"),
                "LANG": "C.UTF-8",
                "BIND_ADDRESS": f"127.0.0.1:{port}",
                "MANAGEMENT_BIND_ADDRESS": f"127.0.0.1:{management_port}",
                "LINGER_SECONDS": "1",
                **self.settings,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            for raw in stream:
                while self._stalled.is_set():
                    time.sleep(0.01)
                text = raw.decode("utf-8", "backslashreplace").rstrip("\n")
                self.lines.append(Line(name, time.monotonic(), text))

    def stall_output(self, stalled: bool) -> None:
        """Stop reading the output, as a log collector does that can't keep up; or go on."""
        self._stalled.set() if stalled else self._stalled.clear()

    @property
    def pid(self) -> int:
        """The pid of the master."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code of the master, or None while it lives."""
        return self._process.poll()

    def workers(self) -> list[int]:
        """The pids of the live workers, oldest first."""
        return children(self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the master."""
        self._process.send_signal(number)

    def send_to_group(self, number: signal.Signals) -> None:
        """Send a signal to master and workers alike, as a terminal or systemd does."""
        os.killpg(self.pid, number)

    def wait_exit(self, within: float = 30.0) -> int:
        """Wait for the end of the master and of its output, and return the exit code."""
        try:
            code = self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no exit within {within} s\n{self.tail()}") from None
        for reader in self._readers:
            reader.join(5)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM, within: float = 30.0) -> int:
        """Send a signal and return the exit code."""
        self.send(number)
        return self.wait_exit(within)

    def workers_left(self) -> list[int]:
        """The live processes of the service's session, whoever is their parent now."""
        return [pid for pid in _pids() if _session_of(pid) == self.pid]

    def kill(self) -> None:
        """End the master and everything that it started. Safe to call twice."""
        self._stalled.clear()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for reader in self._readers:
            reader.join(5)

    # -- asking -----------------------------------------------------------------------------

    def ask(self, path: str, method: str = "GET", **options: Any) -> Answer:
        """One request on the traffic port."""
        return ask(self.port, path, method, **options)

    def manage(self, path: str, method: str = "GET", **options: Any) -> Answer:
        """One request on the management port."""
        return ask(self.management_port, path, method, **options)

    def ready(self) -> bool:
        """Whether the ready probe answers 200 right now."""
        try:
            return self.manage("/health/ready", timeout=5).status == 200
        except OSError:
            return False

    def wait_ready(self, within: float = 30.0) -> None:
        """Wait until the ready probe answers 200."""

        def probe() -> bool:
            if self.exit_code is not None:
                raise RuntimeError(f"the service ended with {self.exit_code}\n{self.tail()}")
            return self.ready()

        try:
            eventually(probe, within, what="readiness")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    def wait_all_accept(self) -> None:
        """Wait until every worker has said that it accepts; the first makes the service ready."""
        workers = self.wait_log(message="workers sized")["workers"]
        self.wait_log(message="accepting", count=workers)

    def wait_workers(self, count: int, other_than: list[int] | None = None) -> list[int]:
        """Wait until exactly ``count`` workers live and none of them is one of ``other_than``."""
        old = set(other_than or [])

        def probe() -> list[int] | None:
            now = self.workers()
            return now if len(now) == count and not old & set(now) else None

        return eventually(probe, 30, what=f"{count} workers other than {sorted(old)}")

    # -- the log ----------------------------------------------------------------------------

    def tail(self, count: int = 15) -> str:
        """The last lines of output, for a person."""
        return "\n".join(f"{line.stream}: {line.text[:400]}" for line in self.lines[-count:])

    def logs(self) -> list[Record]:
        """Every line so far; each has to be one JSON object, on either stream."""
        for line in self.lines[len(self._records) :]:
            self._records.append(parse(line.text))
        return self._records

    def find_logs(self, **fields: object) -> list[Record]:
        """The records that have all of these fields with these values."""
        return [
            record
            for record in self.logs()
            if all(record.get(name) == value for name, value in fields.items())
        ]

    def wait_log(self, within: float = 15.0, count: int = 1, **fields: object) -> Record:
        """Wait for a record with these fields (the ``count``-th of them), and return it."""

        def probe() -> Record | None:
            found = self.find_logs(**fields)
            return found[count - 1] if len(found) >= count else None

        try:
            return eventually(probe, within, what=f"log line {fields}", every=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    def complaints(self) -> list[Record]:
        """The records of level error or critical: a clean run has none."""
        return [record for record in self.logs() if record["level"] in ("error", "critical")]


def parse(text: str) -> Record:
    """The JSON object on one line of the log.

    Raises:
        AssertionError: The line is something else.
    """
    try:
        record = json.loads(text)
    except ValueError:
        raise AssertionError(f"not JSON: {text!r}") from None
    assert isinstance(record, dict), f"not an object: {text!r}"
    return record
