# ruff: noqa: ASYNC110, ASYNC220 - nothing but this process and its client is there to wait for
"""One worker without its master: what `instructions` counts, and what profilers are put on.

    .venv/bin/python one_worker.py (service | service:unguarded | bare:app) <requests> [options]

Run with the Python of a generated service, in its folder. A client in a process of its own asks
over eight connections in lock-step (`--connections`), and nothing runs beside that: no master, no
timers. Under Valgrind the requests after the first ones are counted. Unguarded, a service goes
without the middleware around its application: no limits, ids, metrics and access lines. `--frozen`
keeps the garbage collector from what a rival has made when it starts, as the service's master does
for the service. `--path=/new-header` asks for replies each of which has a header of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import os
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop  # type: ignore[import-not-found]
from uvicorn.config import Config  # type: ignore[import-not-found]
from uvicorn.server import ServerState  # type: ignore[import-not-found]

RIVALS = Path(__file__).parents[1] / "rivals"
NEW_HEADER = "/new-header"
DATE = b"Sun, 22 Nov 2026 12:00:00 GMT"
WARM_UP = 400
"""Requests until the interpreter has adapted its code, and caches are filled."""

CLIENT = """
import socket, sys
port, clients, count = map(int, sys.argv[1:4])
connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(clients)]
path = sys.argv[4].encode()
request = b"GET %s HTTP/1.1\\r\\nHost: localhost:8000\\r\\nAccept: */*\\r\\n\\r\\n" % path
for _ in range(count // clients):
    for connection in connections:
        connection.sendall(request)
    for connection in connections:
        reply = connection.recv(65536)
        while not reply.endswith(b"}"):
            reply += connection.recv(65536)
        assert reply.startswith(b"HTTP/1.1 200"), reply
"""


def service_config(path: str, *, guarded: bool) -> tuple[Any, Any]:
    """The rendered service as its worker serves it, with metrics of several processes."""
    package = next(Path.cwd().glob("src/*/chassis")).parent.name
    load = importlib.import_module
    settings = load(f"{package}.settings").Settings
    load(f"{package}.chassis.server.master").load(settings)
    load(f"{package}.chassis.metrics").become(0)
    service = load(f"{package}.main").app
    if path == NEW_HEADER:
        service.include_router(load("new_header").router)
    worker = load(f"{package}.chassis.server.worker")
    if not guarded:
        middleware = load(f"{package}.chassis.http.middleware").RequestMiddleware
        middleware.__call__ = lambda self, *given: self.app(*given)
    gc.collect()
    gc.freeze()
    return worker.Worker._traffic_config(None, service), service


def bare_config(name: str, path: str, *, frozen: bool) -> Any:
    """An application of `rivals/` as Uvicorn's worker serves it; see `rivals/gunicorn.conf.py`."""
    module, _, attribute = name.partition(":")
    app = getattr(importlib.import_module(module), attribute)
    if path == NEW_HEADER:
        app.include_router(importlib.import_module("new_header").router)
    if frozen:
        gc.collect()
        gc.freeze()
    return Config(
        app=app,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )


async def ask(port: int, connections: int, count: int, path: str) -> None:
    """Let the client ask so often, and wait until it has all replies."""
    arguments = [*map(str, (port, connections, count)), path]
    await finished(subprocess.Popen([sys.executable, "-c", CLIENT, *arguments]))


async def finished(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process, without a thread."""
    while process.poll() is None:
        await asyncio.sleep(0.2)
    if process.returncode:
        sys.exit(process.returncode)


def instrument(state: str) -> subprocess.Popen[bytes]:
    """Tell Callgrind to begin or end counting; nothing where it isn't there."""
    if "VGDB_PREFIX" in os.environ:
        command = ["vgdb", f"--vgdb-prefix={os.environ['VGDB_PREFIX']}", f"--pid={os.getpid()}"]
        return subprocess.Popen([*command, "instrumentation", state], stdout=subprocess.DEVNULL)
    return subprocess.Popen(["true"])


async def main(asked: argparse.Namespace) -> None:
    """Warm up, then count."""
    sys.path.insert(0, str(RIVALS))
    async with AsyncExitStack() as stack:
        if asked.side.startswith("service"):
            config, service = service_config(asked.path, guarded=asked.side == "service")
            await stack.enter_async_context(service.running())
        else:
            config = bare_config(asked.side, asked.path, frozen=asked.frozen)
        config.load()
        state = ServerState()
        state.default_headers = [(b"date", DATE), *config.encoded_headers]

        def make_protocol() -> Any:
            return config.http_protocol_class(config=config, server_state=state, app_state={})

        server = await asyncio.get_running_loop().create_server(make_protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await ask(port, asked.connections, WARM_UP, asked.path)
        await finished(instrument("on"))
        await ask(port, asked.connections, asked.requests, asked.path)
        await finished(instrument("off"))
        server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("side")
    parser.add_argument("requests", type=int)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--frozen", action="store_true")
    parser.add_argument("--path", default="/")
    uvloop.run(main(parser.parse_args()))
