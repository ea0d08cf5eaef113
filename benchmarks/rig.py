"""What every measure is built on: services, rivals, load, and turns.

A measure is a module with `TITLE`, and `measure(rig) -> Result`. It renders and installs what it
needs (:meth:`Rig.project`), starts it and its rivals under the same server with the same packages
(:meth:`Rig.service`, :meth:`Rig.rival`), and lets the sides take turns (:meth:`Rig.interleave`), so
that whatever else the machine does meets all of them. Everything is bounded and on loopback.
"""

from __future__ import annotations

import math
import os
import re
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
from boot.harness import Ports, ask, children, eventually
from uv import find_uv_bin

REPOSITORY = Path(__file__).resolve().parent.parent

T = TypeVar("T")

RIVALS = Path(__file__).parent / "rivals"
INSIDE = Path(__file__).parent / "inside"
LABS = Path(__file__).parent / "labs"
PYTHON = "3.13"
"""The default of the answer `python_version`; another one is taken where this isn't installed."""

_TICKS = os.sysconf("SC_CLK_TCK")
_MICROSECONDS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


@dataclass(frozen=True)
class Load:
    """What wrk saw: replies a second, and latencies in milliseconds."""

    requests: int
    seconds: float
    good: float
    """Replies a second with a status below 400."""
    refused: float
    """Other replies a second."""
    errors: int
    """Connections that failed, broke or timed out."""
    p50: float
    p99: float


@dataclass
class Server:
    """A Gunicorn master with its workers that answers on `port`."""

    project: Path
    port: int
    management_port: int | None
    process: subprocess.Popen[bytes]
    output: Path
    """The file that its standard output goes to."""
    started_in: float
    """Seconds from `exec` to the first reply, a service's to the first that says it is ready."""

    @property
    def pid(self) -> int:
        """The pid of the master."""
        return self.process.pid

    @property
    def managed_by(self) -> int:
        """The port of a service's management listener; RuntimeError for a rival's."""
        if self.management_port is None:
            raise RuntimeError("a rival has no management port")
        return self.management_port

    def accepting(self) -> int:
        """How many of a service's workers have said that they accept: it is ready with one."""
        return self.output.read_bytes().count(b'"message":"accepting"')

    def workers(self) -> list[int]:
        """The pids of the workers, oldest first."""
        return children(self.pid)

    def cpu_seconds(self) -> float:
        """What the live workers have used so far."""
        return sum(map(cpu_seconds, self.workers()))

    def pss_kib(self) -> list[int]:
        """The proportional memory of each worker: its own, and its share of what others share."""
        return [pss_kib(pid) for pid in self.workers()]


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
    def service(
        self, project: Path, *, workers: int = 1, path: str = "/health/ready", **settings: str
    ) -> Iterator[Server]:
        """A rendered service that is ready, with its access log in a file.

        Its workers aren't recycled, because under this load each would be several times a second;
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
        with (
            _given_back(ports),
            self._running(command, project, environment, management_port, path) as (run, took, log),
        ):
            yield Server(project, port, management_port, run, log, took)

    @contextmanager
    def rival(
        self,
        project: Path,
        app: str,
        *,
        workers: int = 1,
        preload: bool = False,
        path: str = "/",
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
        with (
            _given_back(ports),
            self._running(command, RIVALS, environment, port, path) as (run, took, log),
        ):
            yield Server(project, port, None, run, log, took)

    @contextmanager
    def _running(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        port: int,
        path: str,
    ) -> Iterator[tuple[subprocess.Popen[bytes], float, Path]]:
        """A process in a session of its own, from its first reply of 200 on."""
        self._made += 1
        output = self.folder / f"output-{self._made}.log"
        errors = output.with_suffix(".err")
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with output.open("wb") as out, errors.open("wb") as err:
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

        def answers() -> bool:
            if process.poll() is not None:
                said = output.read_text()[-2000:] + errors.read_text()[-2000:]
                raise RuntimeError(f"{command} ended with {process.returncode}\n{said}")
            return ask(port, path, timeout=10).status == 200

        try:
            eventually(answers, 60, what=f"a reply of {command}", every=0.005)
            yield process, time.perf_counter() - began, output
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            output.unlink()  # an access log of a few hundred thousand lines

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
    ) -> Load:
        """Ask without a pause, each client on a connection of its own; `script` is wrk's, in Lua.

        A second of it comes before, and isn't counted.
        """
        port = server.management_port if on_management else server.port
        url = f"http://127.0.0.1:{port}{path}"
        self._wrk(url, clients, 1.0, script)
        return self._wrk(url, clients, seconds or self.seconds, script)

    def _wrk(self, url: str, clients: int, seconds: float, script: str) -> Load:
        command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--latency"]
        command += ["--timeout=20s"]
        if script:
            file = self.folder / "wrk.lua"
            file.write_text(script)
            command.append(f"--script={file}")
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


def parse_wrk(text: str) -> Load:
    """What wrk printed. Raises RuntimeError when it is something else."""
    total = re.search(r"(\d+) requests in (\S+?)(m|s|ms|us),", text)
    latencies = dict(re.findall(r"(\d+)% +(\S+)", text))
    if total is None or not {"50", "99"} <= set(latencies):
        raise RuntimeError(f"wrk said something else:\n{text}")
    requests = int(total[1])
    seconds = float(total[2]) * _MICROSECONDS[total[3]] / 1e6
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    refused = int(other[1]) if other else 0
    broken = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return Load(
        requests=requests,
        seconds=seconds,
        good=(requests - refused) / seconds,
        refused=refused / seconds,
        errors=sum(map(int, broken.groups())) if broken else 0,
        p50=_milliseconds(latencies["50"]),
        p99=_milliseconds(latencies["99"]),
    )


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise RuntimeError(f"not a time of wrk's: {text!r}")
    return float(found[1]) * _MICROSECONDS[found[2]] / 1e3


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


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, of the kernel's time too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def pss_kib(pid: int) -> int:
    """The proportional set size of a process (proc_pid_smaps(5))."""
    found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    if found is None:
        raise RuntimeError(f"the kernel doesn't tell the memory of {pid}")
    return int(found[1])


@contextmanager
def _given_back(ports: Ports) -> Iterator[None]:
    try:
        yield
    finally:
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
