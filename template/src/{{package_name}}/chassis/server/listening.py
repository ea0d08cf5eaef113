"""Whether the service can listen where its settings say, told in one line before Gunicorn tries.

Gunicorn by itself tries for five seconds, with two errors each time that name no setting, and ends
with status 1.
"""

import errno
import os
import socket
from collections.abc import Callable, Mapping

_TRIES = 5
_PAUSE_SECONDS = 1.0
_INHERITED = ("GUNICORN_FD", "LISTEN_FDS")
"""Sockets that are open already: of systemd, or of the master that this one replaces."""


def refusal(
    addresses: Mapping[str, str],
    pause: Callable[[float], object],
    environment: Mapping[str, str] = os.environ,
) -> str | None:
    """Why one of the addresses, by setting, can't be listened on, and what to do; or nothing.

    One that is in use may be so by a predecessor that is about to end, so it is asked for as long
    as Gunicorn would. Sockets of files and those that are inherited aren't looked at.
    """
    if any(name in environment for name in _INHERITED):
        return None
    for setting, address in addresses.items():
        for attempt in range(_TRIES):
            error = _try(address)
            if error is None or error.errno != errno.EADDRINUSE:
                break
            if attempt < _TRIES - 1:
                pause(_PAUSE_SECONDS)
        if error is not None:
            taken = "stop what uses it, or " if error.errno == errno.EADDRINUSE else ""
            why = error.strerror or error
            return f"{setting}={address!r} can't be used ({why}): {taken}choose another one"
    return None


def _try(address: str) -> OSError | None:
    """Bind to `host:port` as Gunicorn does, and let go of it."""
    if address.startswith("unix:"):
        return None
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            return error
    return None
