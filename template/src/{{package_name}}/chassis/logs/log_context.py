"""Fields that are bound to a request or a task, and stand on all its further log entries."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextvars import ContextVar

from .. import context

# What the pipeline takes for instructions. Among somebody's fields they are names like any other.
_INSTRUCTIONS = frozenset({"event", "exc_info", "stack_info", "stacklevel", "_origin", "_record"})

_outside: ContextVar[Mapping[str, object] | None] = ContextVar("bound_outside", default=None)
_binding = threading.RLock()  # signal handlers log, too


def bind(fields: Mapping[str, object]) -> None:
    """Add `fields` to those of the request that is being served, else to those of this task.

    A request's are shared by every task and thread that serves it, and the access line has them. A
    task's are passed on to the tasks that it starts from then on, and don't come back from them.
    """
    request = context.current.get()
    if request is None:
        _outside.set({**(_outside.get() or {}), **plain(fields)})
        return
    # A new dict each time: another thread may be logging the one that there is.
    with _binding:
        request.bound = {**(request.bound or {}), **plain(fields)}


def clear() -> None:
    """Take back what was bound to this request, and to this task."""
    _outside.set(None)
    request = context.current.get()
    if request is not None:
        request.bound = None


def over(default: Mapping[str, object]) -> dict[str, object]:
    """What a log entry is to have besides its own: `default`, and what is bound over it.

    Without a default, what is bound to the request is left to :mod:`.entries`.
    """
    fields = {**default, **(_outside.get() or {})}
    request = context.current.get()
    if fields and request is not None and request.bound:
        fields.update(request.bound)
    return fields


def plain(fields: Mapping[str, object]) -> dict[str, object]:
    """A copy of `fields` with names that mean nothing to the pipeline."""
    return {
        f"field_{name}" if name in _INSTRUCTIONS else str(name): value
        for name, value in fields.items()
    }
