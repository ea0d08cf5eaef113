"""A real HAProxy in front of several replicas, which never sends a request twice."""

from __future__ import annotations

import csv
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import support
from boot.harness import Service, eventually

Mode = Literal["tcp", "http"]

CONFIGURATION = """\
global
    maxconn 4000
    nbthread 1
    stats socket {control} mode 600

defaults
    mode {mode}
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout check 2s
    retries 0
    no option redispatch

frontend entry
    bind 127.0.0.1:{port}
    default_backend replicas

backend replicas
    balance roundrobin
    option httpchk GET /health/ready
    default-server check inter 500ms fall 1 rise 1
{servers}
"""


class Balancer:
    """A running HAProxy."""

    def __init__(self, port: int, control: Path) -> None:
        self.port = port
        self._control = control

    def up(self) -> int:
        """How many replicas it believes to be in service."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._control))
            connection.sendall(b"show stat\n")
            table = connection.makefile().read()
        rows = csv.DictReader(table.removeprefix("# ").splitlines())
        return sum(row["status"].startswith("UP") and "replica" in row["svname"] for row in rows)

    def wait_up(self, count: int) -> None:
        """Wait until it believes exactly so many replicas to be in service."""
        eventually(lambda: self.up() == count, 15, what=f"{count} replicas in service", every=0.1)


@contextmanager
def balancer(
    mode: Mode, port: int, replicas: Sequence[Service], folder: Path
) -> Iterator[Balancer]:
    """Run HAProxy on ``port`` until the block ends.

    Without retries and redispatch a request that a replica drops is lost to the client, as it is
    behind every balancer that may not repeat a POST. Health is asked on the management port.
    """
    servers = "\n".join(
        f"    server replica{number} 127.0.0.1:{replica.port} port {replica.management_port}"
        for number, replica in enumerate(replicas)
    )
    control = folder / f"haproxy-{mode}.sock"
    configuration = folder / f"haproxy-{mode}.cfg"
    configuration.write_text(
        CONFIGURATION.format(mode=mode, port=port, servers=servers, control=control)
    )
    # It stands where only root's PATH looks.
    program = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    program = program or support.require_engine("haproxy")
    with (folder / f"haproxy-{mode}.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-db", "-f", str(configuration)], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        running = Balancer(port, control)
        running.wait_up(len(replicas))
        yield running
    finally:
        process.kill()
        process.wait()
