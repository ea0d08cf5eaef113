"""`make demo`: scaffold the default service, start it, show what it says, stop it without loss.

With `--check` it does so in a folder of its own, ends by itself, and fails if anything is wrong.
Only the standard library is used here; copier and uv come from the repository's `.venv`.
"""

import argparse
import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, NoReturn
from uuid import uuid4

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
READY_WITHIN = 30.0
ORDER = {"amount": 1999, "currency": "EUR", "reference": "order 4711"}
COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ


class DemoError(Exception):
    """Something is wrong; the message says what, and what to do about it."""


def fail(message: str) -> NoReturn:
    """End the demo with a message."""
    raise DemoError(message)


def paint(text: str, code: int) -> str:
    """Colour text on a terminal."""
    return f"\033[{code}m{text}\033[0m" if COLOURS else text


def say(text: str) -> None:
    """Announce a step."""
    print(f"{paint('==>', 36)} {paint(text, 1)}", flush=True)


def good(text: str) -> None:
    """Report something that has been watched being true."""
    print(f"    {paint('ok', 32)}  {text}", flush=True)


def ensure(condition: bool, text: str, details: object = "") -> None:
    """Report `text` if it is true, end the demo if it isn't."""
    if not condition:
        fail(f"not so: {text}\n{details}".rstrip())
    good(text)


def run(command: Sequence[str | Path], cwd: Path) -> None:
    """Run a tool; show its output only if it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment |= {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        shown = " ".join(map(str, command))
        fail(f"`{shown}` ended with {done.returncode}:\n{done.stdout}{done.stderr}".rstrip())


def scaffold(folder: Path) -> None:
    """Render the template as it stands here, with every default, and make it ready to start."""
    if (folder / "pyproject.toml").exists():
        say(f"{folder.name}/ is there already and is used as it is (delete it to start afresh)")
    else:
        say(f"Scaffolding the default service into {folder.name}/")
        copy = ["copy", "--quiet", "--defaults", "--vcs-ref=HEAD", str(REPOSITORY), str(folder)]
        run([TOOLS / "copier", *copy], REPOSITORY)
    say("Installing it")
    run([TOOLS / "uv", "sync", "--quiet"], folder)
    say("Making its database")
    run([TOOLS / "uv", "run", "--no-sync", "alembic", "upgrade", "heads"], folder)


def address(variable: str, port: int) -> tuple[str, int]:
    """The address to listen on: the environment's, or this port on this machine only."""
    host, _, chosen = os.environ.get(variable, f"127.0.0.1:{port}").rpartition(":")
    if not chosen.isdigit():
        fail(f"{variable} has to be host:port, for example 127.0.0.1:{port}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host or "127.0.0.1", int(chosen)))
        except OSError as error:
            fail(
                f"port {chosen} can't be used ({error.strerror}): stop what uses it, or choose "
                f"another one: {variable}=127.0.0.1:{port + 1} make demo"
            )
    return host or "127.0.0.1", int(chosen)


def free_address() -> tuple[str, int]:
    """An address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1", probe.getsockname()[1]


class Service:
    """The generated service, running; its lines are kept."""

    def __init__(
        self, folder: Path, traffic: tuple[str, int], management: tuple[str, int], log_format: str
    ) -> None:
        self.traffic = traffic
        self.management = management
        self.lines: list[str] = []
        self.unseen: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            [folder / ".venv/bin/gunicorn"],
            cwd=folder,
            env={
                **os.environ,
                "BIND_ADDRESS": "{}:{}".format(*traffic),
                "MANAGEMENT_BIND_ADDRESS": "{}:{}".format(*management),
                "LOG_FORMAT": log_format,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for this script, which passes it on
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line.rstrip("\n"))
            self.unseen.put(line.rstrip("\n"))

    def get(self, path: str, *, management: bool = False) -> tuple[int, dict[str, str], str]:
        """Send one request; the names of the headers are in lower case."""
        return self._send("GET", path, self.management if management else self.traffic)

    def pay(self, key: str) -> tuple[int, dict[str, str], str]:
        """Order a payment under this key."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return self._send("POST", "/payments", self.traffic, json.dumps(ORDER), headers)

    @staticmethod
    def _send(
        method: str,
        path: str,
        to: tuple[str, int],
        body: str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection(*to, timeout=10)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            given = {name.lower(): value for name, value in response.getheaders()}
            return response.status, given, response.read().decode("utf-8")
        finally:
            connection.close()

    def status(self, path: str, *, management: bool = False) -> int:
        """The status of one reply, 0 if there is none."""
        try:
            return self.get(path, management=management)[0]
        except (OSError, http.client.HTTPException):
            return 0

    def wait_until(self, true: Callable[[], bool], what: str, within: float) -> float:
        """Wait until it is true; return how many seconds that took."""
        began = time.monotonic()
        while not true():
            if self.process.poll() is not None:
                self.reader.join(5)
                fail(f"the service ended with {self.process.returncode} before {what}:\n{self}")
            if time.monotonic() - began > within:
                fail(f"{what} took longer than {within:g} s:\n{self}")
            time.sleep(0.05)
        return time.monotonic() - began

    def is_ready(self) -> bool:
        """Whether the ready probe says so."""
        return self.status("/health/ready", management=True) == 200

    def end(self) -> int:
        """Wait until the service is gone; return its exit code."""
        code = self.process.wait(60)
        self.reader.join(5)
        return code

    def __str__(self) -> str:
        return "\n".join(self.lines[-30:])


@contextmanager
def running(
    folder: Path, traffic: tuple[str, int], management: tuple[str, int], log_format: str
) -> Iterator[Service]:
    """Start the service, and leave nothing of it running."""
    service = Service(folder, traffic, management, log_format)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            os.killpg(service.process.pid, signal.SIGKILL)
            service.process.wait()


def show(service: Service) -> None:
    """Print where the service is, and a sample of what it says."""
    api, operations = ("http://{}:{}".format(*at) for at in (service.traffic, service.management))
    print(f"""
    {paint("API", 1)}          {api}/payments
    {paint("Probes", 1)}       {api}/livez  {api}/readyz
    {paint("Health", 1)}       {operations}/health
    {paint("Metrics", 1)}      {operations}/metrics
    {paint("Information", 1)}  {operations}/info
""")
    key = f"demo-{uuid4()}"
    status, _, payment = service.pay(key)
    say(f"POST /payments answers {status}")
    print(payment)
    status, headers, again = service.pay(key)
    if again == payment and "idempotency-replayed" in headers:
        say(f"Sent again with the same key it answers {status}, the same payment: it is made once")
    status, _, body = service.get("/health/ready", management=True)
    say(f"GET /health/ready answers {status}")
    print(body)
    say("Its log")


def follow(service: Service) -> int:
    """Print the log until Ctrl-C, then stop the service; a second Ctrl-C means now."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, lambda *_: service.process.send_signal(signal.SIGINT))
        service.process.send_signal(signal.SIGTERM)
        service.unseen.put(stopping)

    stopping = "... draining: not ready any more, still serving (Ctrl-C again: at once)"
    signal.signal(signal.SIGINT, stop)
    while service.reader.is_alive() or not service.unseen.empty():
        with suppress(queue.Empty):
            print(service.unseen.get(timeout=0.2), flush=True)
    return service.end()


def check(service: Service) -> None:
    """Watch everything be true that the README promises in a sentence."""
    key = str(uuid4())
    status, headers, payment = service.pay(key)
    ensure(status == 201 and "x-request-id" in headers, "a payment is taken", payment)
    status, headers, again = service.pay(key)
    ensure(again == payment and "idempotency-replayed" in headers, "once for each key", again)
    stored = json.loads(service.get("/payments")[2])["payments"]
    ensure(stored == [json.loads(payment)], "it is stored", stored)
    for path in ("/livez", "/readyz"):
        ensure(service.status(path) == 200, f"{path} says yes")
    for path in ("/health", "/health/live", "/health/ready", "/health/startup", "/info"):
        ensure(service.status(path, management=True) == 200, f"{path} says yes")
    metrics = service.get("/metrics", management=True)[2]
    ensure("http_request_duration_seconds_count" in metrics, "/metrics counts requests")

    say("SIGTERM")
    service.process.send_signal(signal.SIGTERM)
    service.wait_until(lambda: not service.is_ready(), "the ready probe said no", 5)
    ensure(service.pay(str(uuid4()))[0] == 201, "not ready, and still taking payments")
    ensure(service.end() == 0, "it ended with exit code 0", service)

    records = [parse(line) for line in service.lines]
    ensure(len(records) > 5, f"its {len(records)} log lines are JSON, with all their fields")
    told = {record["key"] for record in records if record["message"] == "event published"}
    ensure(len(told) == 2, "others were told of both payments", told)
    errors = [record for record in records if record["level"] in {"error", "critical"}]
    ensure(not errors, "none of them is an error", errors)


def parse(line: str) -> dict[str, Any]:
    """One line of the log, which has to be one JSON object with the fields that each line has."""
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        fail(f"a log line isn't JSON: {line}")
    missing = {"timestamp", "level", "logger", "message", "pid"} - set(record)
    if missing:
        fail(f"a log line lacks {', '.join(sorted(missing))}: {line}")
    return record


def demo() -> None:
    """Show the default service until Ctrl-C."""
    traffic, management = address("BIND_ADDRESS", 8000), address("MANAGEMENT_BIND_ADDRESS", 9000)
    folder = REPOSITORY / "demo"
    scaffold(folder)
    say("Starting it")
    log_format = os.environ.get("LOG_FORMAT", "console" if sys.stdout.isatty() else "json")
    with running(folder, traffic, management, log_format) as service:
        took = service.wait_until(service.is_ready, "it was ready", READY_WITHIN)
        say(f"Ready after {took:.1f} s; Ctrl-C stops it")
        show(service)
        code = follow(service)
    if code != 0:
        fail(f"the service ended with exit code {code}")
    say("Stopped, with exit code 0")


def demo_check() -> None:
    """Do what the demo does, by itself and in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="ballast-demo-") as parent:
        folder = Path(parent, "payment-api")
        scaffold(folder)
        say("Starting it")
        with running(folder, free_address(), free_address(), "json") as service:
            took = service.wait_until(service.is_ready, "it was ready", READY_WITHIN)
            good(f"ready after {took:.1f} s")
            check(service)
    say("Everything is as it should be")


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(description="Show the default service.")
    parser.add_argument("--check", action="store_true", help="check it and end")
    try:
        demo_check() if parser.parse_args().check else demo()
    except DemoError as error:
        print(f"{paint('demo:', 31)} {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
