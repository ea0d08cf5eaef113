"""Asks the service beside it whether it lives, or is ready: the container's `HEALTHCHECK`.

A program of its own, `python -IS healthcheck.py [live|ready]`, on the standard library alone: it
is run over and over in containers that may have little CPU and no shell, and importing the chassis
would take longer than asking. It exits with 0 for a 200, and with 1 and one line for anything else.
https://docs.docker.com/reference/dockerfile/#healthcheck

It finds the service by `MANAGEMENT_BIND_ADDRESS` or `BIND_ADDRESS` of its environment, which is the
service's own, and by their defaults; it reads no secret files.
"""

import os
import socket
import sys
from collections.abc import Mapping

TIMEOUT_SECONDS = 5.0
"""Longer than the slowest health check, and shorter than Docker's patience (10 s)."""

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


def target(question: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the address to ask and the path to ask for.

    The traffic port's bare probes stand in where there is no management port.
    """
    management = environment.get("MANAGEMENT_BIND_ADDRESS", "0.0.0.0:9000")
    if management:
        return management, f"/health/{question}"
    return environment.get("BIND_ADDRESS", "0.0.0.0:8000"), f"/{question}z"


def connect(address: str) -> socket.socket:
    """Connect to ``host:port``, ``[::1]:port`` or ``unix:/path``; raises OSError."""
    if address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(TIMEOUT_SECONDS)
        try:
            connection.connect(address.removeprefix("unix:"))
        except OSError:
            connection.close()
            raise
        return connection
    host, _, port = address.rpartition(":")
    host = _LOOPBACK.get(host, host).strip("[]")
    return socket.create_connection((host, int(port)), TIMEOUT_SECONDS)


def ask(address: str, path: str) -> tuple[int, str]:
    """Return the status and the body of the reply; raises OSError or ValueError without one."""
    with connect(address) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        reply = b"".join(iter(lambda: connection.recv(65536), b"")).decode("utf-8", "replace")
    head, _, body = reply.partition("\r\n\r\n")
    return int(head.split(" ", 2)[1]), body


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Ask once and return the exit code; what was answered is printed, for `docker inspect`."""
    question = arguments[0] if arguments else "live"
    address, path = target(question, environment)
    try:
        status, body = ask(address, path)
    except (OSError, ValueError, IndexError) as error:
        sys.stdout.write(f"{address}{path}: {error!r}\n")
        return 1
    sys.stdout.write(f"{status} {body}\n")
    return 0 if status == 200 else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], os.environ))
