"""What every measure is built on: services, rivals, load, and turns.

A measure is a module with `TITLE`, and `measure(rig) -> Result`. It renders and installs what it
needs (:meth:`Rig.project`), starts it and its rivals under the same server with the same packages
(:meth:`Rig.service`, :meth:`Rig.rival`), and lets the sides take turns (:meth:`Rig.interleave`), so
that whatever else the machine does meets all of them. Everything is bounded and on loopback.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import support
from boot.harness import Ports, ask, eventually
from boot.overload import OURS, THEIRS
from uv import find_uv_bin

from .server import Server
from .surroundings import on
from .wrk import Load, parse_wrk

T = TypeVar("T")

RIVALS = Path(__file__).parent / "rivals"
INSIDE = Path(__file__).parent / "inside"
LABS = Path(__file__).parent / "labs"
PYTHON = "3.13"
"""The default of the answer `python_version`; another one is taken where this isn't installed."""

SIDES = {
    "service": "",
    "bare FastAPI": "bare:app",
    "bare FastAPI, no router": "bare:direct",
    "raw ASGI": "floor:app",
    "tutorial recipe": "tutorial:app",
}
"""By name, the application of `rivals/`."""

GREETING = '{"service":"payment-api","message":"Hello from your new service."}'
"""What all of them answer at `/`."""

_OPEN_LOOP = Path(__file__).parent / "open_loop.py"


@dataclass(frozen=True)
class Offered:
    """What came of requests at a given rate; latencies in milliseconds, from when one was due."""

    reached: float
    """Replies a second."""
    p50: float
    p99: float
    late: float
    """How late the generator itself was, 99th percentile."""


class Rig:
    """One run of the benchmarks.

    `quick` is for trying out whether a measure works: few and short rounds, that nobody should
    quote. `folder` is for what is made on the way.
    """

    def __init__(self, folder: Path, *, quick: bool = False) -> None:
        self.quick = quick
        self.rounds = 2 if quick else 9
        self.seconds = 1.0 if quick else 5.0
        self.folder = folder
        self._projects: dict[str, Path] = {}
        self._made = 0
        self._servers_on = self._loads_on = sorted(os.sched_getaffinity(0))
        os.environ.setdefault("UV_PYTHON", _python())

    # -- what is measured -------------------------------------------------------------------

    def template(self) -> Path:
        """A tagged clone of the template as it stands, uncommitted edits included."""
        folder = self.folder / "template"
        return folder if folder.exists() else support.clone_template(folder)

    def project(self, **answers: object) -> Path:
        """A service with these answers, rendered and installed once in a run.

        Compiled, as in an image; the first start would take longer otherwise, and more memory.
        """
        key = repr(sorted(answers.items()))
        if key not in self._projects:
            folder = self.folder / f"project-{len(self._projects)}"
            support.render(self.template(), folder, answers)
            support.run(["uv", "sync", "--quiet", "--compile-bytecode"], folder)
            python = folder / ".venv/bin/python"
            support.run([python, "-m", "compileall", "-q", "src", str(RIVALS)], folder)
            self._projects[key] = folder
        return self._projects[key]

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Within, loads have a processor of their own, and servers run on the others.

        Where there is but one, they share it.
        """
        before = self._servers_on, self._loads_on
        self._servers_on, self._loads_on = THEIRS, OURS
        try:
            yield
        finally:
            self._servers_on, self._loads_on = before

    @contextmanager
    def side(
        self, project: Path, name: str, *, workers: int = 1, preload: bool = False
    ) -> Iterator[Server]:
        """One of `SIDES`, with the packages of a rendered service."""
        app = SIDES[name]
        running = (
            self.rival(project, app, workers=workers, preload=preload)
            if app
            else self.service(project, workers=workers)
        )
        with running as server:
            yield server

    @contextmanager
    def service(self, project: Path, *, workers: int = 1, **settings: str) -> Iterator[Server]:
        """A rendered service all of whose workers accept, with its access log in a file.

        They aren't recycled, because under this load each would be several times a second;
        `MAX_REQUESTS` says otherwise.
        """
        ports = Ports()
        port, management_port = ports.take(), ports.take()
        environment = {
            "BIND_ADDRESS": f"127.0.0.1:{port}",
            "MANAGEMENT_BIND_ADDRESS": f"127.0.0.1:{management_port}",
            "WEB_CONCURRENCY": str(workers),
            "LOG_FORMAT": "json",
            "MAX_REQUESTS": "0",
            **settings,
        }
        command = [str(project / ".venv/bin/gunicorn")]
        server = self._start(command, project, project, environment, port, management_port)
        with _ended(server, ports):
            yield _ready(server, workers)

    @contextmanager
    def rival(
        self,
        project: Path,
        app: str,
        *,
        workers: int = 1,
        preload: bool = False,
        **environment: str,
    ) -> Iterator[Server]:
        """An application of `rivals/`, such as `bare:app`, by the packages of a rendered service.

        Under Gunicorn and Uvicorn's worker, uvloop and httptools as the service, without an access
        log.
        """
        ports = Ports()
        port = ports.take()
        command = [
            *(str(project / ".venv/bin/gunicorn"), "--config", str(RIVALS / "gunicorn.conf.py")),
            *("--bind", f"127.0.0.1:{port}", "--workers", str(workers)),
            *(["--preload"] if preload else []),
            app,
        ]
        server = self._start(command, project, RIVALS, environment, port, None)
        with _ended(server, ports):
            yield _ready(server, workers)

    def _start(
        self,
        command: Sequence[str],
        project: Path,
        folder: Path,
        environment: Mapping[str, str],
        port: int,
        management_port: int | None,
    ) -> Server:
        """A process in a session of its own."""
        self._made += 1
        output = self.folder / f"output-{self._made}.log"
        errors = output.with_suffix(".err")
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with output.open("wb") as out, errors.open("wb") as err, on(self._servers_on):
            began = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={"LANG": "C.UTF-8", **kept, **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return Server(project, port, management_port, process, output, errors, began)

    # -- load -------------------------------------------------------------------------------

    def load(
        self,
        server: Server,
        path: str = "/",
        *,
        clients: int = 32,
        seconds: float | None = None,
        script: str = "",
        on_management: bool = False,
        refusals: bool = False,
        warm: Callable[[], object] = lambda: None,
    ) -> Load:
        """Ask without a pause, each client on a connection of its own; `script` is wrk's, in Lua.

        A second of it comes before, and isn't counted; `warm` is called between the two. Raises
        RuntimeError when something wasn't served (a refusal is no error where `refusals` may be),
        or, at `/`, isn't what all sides answer.
        """
        if path == "/":
            _greets(server)
        port = server.managed_by if on_management else server.port
        url = f"http://127.0.0.1:{port}{path}"
        self._wrk(url, clients, 1.0, script)
        warm()
        load = self._wrk(url, clients, seconds or self.seconds, script)
        if load.errors or not load.requests or (load.refused and not refusals):
            raise RuntimeError(f"{path} wasn't served each time: {load}\n{server.said()}")
        return load

    def offer(self, server: Server, rate: float, seed: int) -> Offered:
        """Ask so many times a second at `/`, whatever becomes of it; see `open_loop.py`.

        Raises RuntimeError when a reply isn't what all sides answer.
        """
        _greets(server)
        arguments = [str(server.port), str(rate), str(self.seconds), str(seed), GREETING]
        with on(self._loads_on):
            done = subprocess.run(
                [sys.executable, str(_OPEN_LOOP), *arguments],
                capture_output=True,
                text=True,
                timeout=self.seconds + 60,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        return Offered(**json.loads(done.stdout))

    def _wrk(self, url: str, clients: int, seconds: float, script: str) -> Load:
        command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--latency"]
        command += ["--timeout=20s"]
        if script:
            file = self.folder / "wrk.lua"
            file.write_text(script)
            command.append(f"--script={file}")
        with on(self._loads_on):
            done = subprocess.run(
                [*command, url], capture_output=True, text=True, check=True, timeout=seconds + 60
            )
        return parse_wrk(done.stdout)

    def wait_for(self, what: Callable[[], object]) -> None:
        """Wait until it is so."""
        eventually(what, 60, what="what the measure waits for")

    # -- turns ------------------------------------------------------------------------------

    def interleave(
        self, sides: Mapping[str, Callable[[], T]], rounds: int | None = None
    ) -> dict[str, list[T]]:
        """Let the sides take turns, A B, B A, A B, and so on; what each found, round by round."""
        found: dict[str, list[T]] = {name: [] for name in sides}
        for turn in range(rounds or self.rounds):
            names = list(sides)[:: 1 if turn % 2 == 0 else -1]
            for name in names:
                found[name].append(sides[name]())
        return found


def inside(project: Path, script: str, *arguments: str, timeout: float = 600) -> str:
    """Run a script of `inside/` with a service's Python, in its folder, and return what it printed.

    Raises RuntimeError with what it said when it fails.
    """
    done = subprocess.run(
        [str(project / ".venv/bin/python"), str(INSIDE / script), *arguments],
        cwd=project,
        env=support.clean_environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{script} ended with {done.returncode}\n{done.stderr[-4000:]}")
    return done.stdout


def percentile(values: Sequence[float], ratio: float) -> float:
    """The smallest value that so many of them don't exceed."""
    return sorted(values)[math.ceil(len(values) * ratio) - 1]


def _ready(server: Server, workers: int) -> Server:
    """Wait for the first reply of 200, which is the start's, and until all workers accept."""
    managed = server.management_port is not None
    port, path = (server.managed_by, "/health/ready") if managed else (server.port, "/")

    def answers() -> bool:
        if server.process.poll() is not None:
            code = server.process.returncode
            raise RuntimeError(f"{server.process.args!r} ended with {code}\n{server.said()}")
        return ask(port, path, timeout=10).status == 200

    what = f"a reply of {server.process.args!r}"
    eventually(answers, 60, what=what, every=0.005)
    server.started_in = time.perf_counter() - server.began
    eventually(lambda: server.accepting() == workers, 60, what=f"{workers} workers that accept")
    return server


def _greets(server: Server) -> None:
    reply = ask(server.port, "/")
    if (reply.status, reply.body.decode()) != (200, GREETING):
        raise RuntimeError(f"not what all sides answer: {reply}")


@contextmanager
def _ended(server: Server, ports: Ports) -> Iterator[None]:
    """End it after the block, however that ends."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.process.wait()
        server.output.unlink()  # an access log of a few hundred thousand lines
        ports.give_back()


def _python() -> str:
    """The Python for the services: the one that they have by default, or else this one."""
    found = subprocess.run(
        [find_uv_bin(), "python", "find", "--no-python-downloads", PYTHON],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() if found.returncode == 0 else sys.executable
