"""Real servers for the tests: a PostgreSQL and a Redis of their own, on loopback, ended by pid.

Found as Debian installs them. A program that is missing skips the test, and fails it in CI.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlencode

import support

S = TypeVar("S", bound="Server")

_PATIENCE = 30.0
_OWNER = "postgres"
"""PostgreSQL refuses to run as root: it is this user's then."""


class Server:
    """A server process that can be stopped, killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The pid of the server, or None while it doesn't run."""
        return self._process.pid if self._process else None

    owner: Mapping[str, Any] = MappingProxyType({})
    """Whose process it is, for `Popen`; by default that of who runs the tests."""

    def command(self) -> Sequence[str]:
        """What runs the server in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it takes connections."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert self._process is None, "it runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd="/",
                **self.owner,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the tests, which then end it
            )
        end = time.monotonic() + _PATIENCE
        while not self.answers():
            code = self._process.poll()
            assert code is None, f"it ended with {code}:\n{self.log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"it doesn't answer:\n{self.log.read_text()[-2000:]}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it in an orderly way that doesn't wait for its clients."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does: nothing is flushed."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(_PATIENCE)
        self._process = None


class Postgres(Server):
    """A PostgreSQL cluster in a folder of its own, with trust instead of passwords."""

    def __init__(self, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        super().__init__(folder)
        self._bin = _postgres_bin()
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "on",
            "shared_buffers": "32MB",
            "log_line_prefix": "'%m [%p] %a '",
            **(settings or {}),
        }
        self._data = folder / "data"
        if os.geteuid() == 0:
            shutil.chown(folder, _OWNER, _OWNER)
            self.owner = {"user": _OWNER, "group": _OWNER, "extra_groups": []}
        options = ("--username", _OWNER, "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        command = [str(self._bin / "initdb"), "--pgdata", str(self._data), *options]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "timeout": 60, "cwd": "/"}
        subprocess.run(command, check=True, **quiet, **self.owner)

    def url(self, database: str = "postgres", user: str = _OWNER) -> str:
        """The URL of one of its databases."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def command(self) -> Sequence[str]:
        """See above."""
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        program = str(self._bin / "postgres")
        return [program, "-D", str(self._data), "-p", str(self.port), *options]

    def answers(self) -> bool:
        """See above."""
        command = [str(self._bin / "pg_isready"), "--quiet", f"--dbname={self.url()}"]
        done = subprocess.run(command, check=False, timeout=10)
        return done.returncode == 0

    def create(self, database: str) -> str:
        """Make an empty database and a user of the same name, no superuser; returns its URL."""
        self.run(f'CREATE ROLE "{database}" LOGIN')
        self.run(f'CREATE DATABASE "{database}" OWNER "{database}"')
        return self.url(database, database)

    def run(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser and return what it prints, unaligned."""
        done = subprocess.run(
            [str(self._bin / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", self.url(database)],
            input=sql, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def stop(self) -> None:
        """Stop it: sessions are ended, what is committed is written (a "fast" shutdown)."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End all of its processes at once; it recovers from its log when it is started again."""
        # SIGQUIT is PostgreSQL's own "immediate": a SIGKILL would leave its children behind.
        self._end(signal.SIGQUIT)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let it take connections and say nothing, as behind a network that swallows packets."""
        assert self.pid is not None
        processes = [self.pid, *_descendants(self.pid)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)


class Redis(Server):
    """A Redis server. What it holds is gone with it unless it is told to keep it."""

    def __init__(self, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        super().__init__(folder)
        self._program = support.require_engine("redis-server")
        self._settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": folder,
            "save": "",
            "appendonly": "no",
            **(settings or {}),
        }

    def url(self, database: int = 0) -> str:
        """The URL of one of its databases."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def command(self) -> Sequence[str]:
        """See above."""
        pairs = ((f"--{name}", str(value)) for name, value in self._settings.items())
        return [self._program, *(part for pair in pairs for part in pair)]

    def run(self, *command: str) -> list[str]:
        """Run a command and return the lines of its reply."""
        program = support.require_engine("redis-cli")
        done = subprocess.run(
            [program, "-p", str(self.port), *command],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    def answers(self) -> bool:
        """See above."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                client.settimeout(1)
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class Prometheus(Server):
    """A Prometheus that scrapes every second and evaluates rules as often.

    `targets` are ports on loopback by job; `rules` is the text of a rules file.
    """

    def __init__(self, folder: Path, targets: Mapping[str, int], rules: str) -> None:
        super().__init__(folder)
        self._program = support.require_engine("prometheus")
        (folder / "rules.yml").write_text(rules)
        jobs = [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for job, port in targets.items()
        ]
        settings = {
            "global": {
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "evaluation_interval": "1s",
            },
            "rule_files": ["rules.yml"],
            "scrape_configs": jobs,
        }
        (folder / "prometheus.yml").write_text(json.dumps(settings))  # which is YAML as well

    def command(self) -> Sequence[str]:
        """See above."""
        return [
            self._program,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    def answers(self) -> bool:
        """See above."""
        try:
            return self._ask("/-/ready")[0] == 200
        except OSError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression comes to right now: each with `metric` and `value`."""
        status, body = self._ask("/api/v1/query?" + urlencode({"query": expression}))
        assert status == 200, (expression, body)
        found: list[dict[str, Any]] = json.loads(body)["data"]["result"]
        return found

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        alerts = json.loads(self._ask("/api/v1/alerts")[1])["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def _ask(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()


@contextmanager
def prometheus(targets: Mapping[str, int], rules: str) -> Iterator[Prometheus]:
    """A running Prometheus with these targets and rules."""
    with _folder("prom-") as folder, _running(Prometheus(folder, targets, rules)) as server:
        yield server


@contextmanager
def postgres(**settings: object) -> Iterator[Postgres]:
    """A running PostgreSQL with these settings, e.g. `max_connections=100`."""
    with _folder("pg-") as folder, _running(Postgres(folder, settings)) as server:
        yield server


@contextmanager
def redis(**settings: object) -> Iterator[Redis]:
    """A running Redis with these settings."""
    with _folder("redis-") as folder, _running(Redis(folder, settings)) as server:
        yield server


@contextmanager
def _running(server: S) -> Iterator[S]:
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    # Not below pytest's folders: those are root's, and a socket's path has to be short.
    folder = Path(tempfile.mkdtemp(prefix=f"ballast-{prefix}"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _descendants(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [pid for child in map(int, children) for pid in (child, *_descendants(child))]


def _postgres_bin() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_version)
    if found:
        return found[-1].parent
    return Path(support.require_engine("postgres")).parent


def _version(program: Path) -> int:
    name = program.parts[-3]
    return int(name) if name.isdigit() else 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
