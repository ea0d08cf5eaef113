"""What every thread and every task of this process is doing, as text for a person at 2 a.m."""

import asyncio
import faulthandler
import io
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType

_dump_file: list[io.FileIO] = []


def stacks() -> str:
    """The stacks of all threads."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = [
        f"Thread {names.get(ident, ident)}\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    ]
    return "\n".join(parts)


def tasks(loop: asyncio.AbstractEventLoop) -> str:
    """The tasks of an event loop and where each of them waits."""
    parts = []
    for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name()):
        text = io.StringIO()
        task.print_stack(file=text)
        parts.append(text.getvalue())
    return "\n".join(parts)


def arm(path: Path, loop: asyncio.AbstractEventLoop) -> None:
    """Leave a dump in `path` when this process crashes, or gets Gunicorn's SIGABRT for the hung.

    The thread stacks are written by faulthandler, which works even while C code never returns to
    the interpreter. The tasks need the interpreter: they are added if it still answers.
    """
    file = io.FileIO(path, "w")
    _dump_file[:] = [file]

    def on_abort(signum: int, frame: FrameType | None) -> None:
        file.write(b"\nTasks:\n" + tasks(loop).encode(errors="backslashreplace"))
        os._exit(128 + signum)

    # In this order: faulthandler passes the signal on to the handler that it found.
    signal.signal(signal.SIGABRT, on_abort)
    faulthandler.enable(file=file, all_threads=True)


def collect(path: Path) -> str:
    """Take the dump of a worker that is gone; empty when it left none. For the master."""
    try:
        text = path.read_text(encoding="utf-8", errors="backslashreplace")
        path.unlink()
    except FileNotFoundError:
        return ""
    return text
