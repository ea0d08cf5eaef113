"""Connections that the kernel has made and nobody has accepted yet.

They wait in the listener's queue (listen(2)), and the kernel resets them when the last copy of the
listener closes, with the requests that they may carry by then. A busy worker always leaves some
there, and a proxy that asks no probe sends until the listener is closed.
"""

import os
import socket
from collections.abc import Callable


def take_waiting(listener: int, close: Callable[[], object]) -> list[socket.socket]:
    """Close the listener of this file descriptor by `close`, and return what waited in its queue.

    Between the last look into the queue and the end of the listener lie microseconds rather than a
    turn of the event loop. The connections are the caller's, and don't block.
    """
    waiting: list[socket.socket] = []
    with socket.socket(fileno=os.dup(listener)) as copy:
        copy.setblocking(False)
        close()
        while True:
            try:
                connection, _ = copy.accept()
            except (ConnectionAbortedError, InterruptedError):
                continue  # it has hung up in the meantime
            except OSError:  # mostly: none is left
                return waiting
            connection.setblocking(False)
            waiting.append(connection)
