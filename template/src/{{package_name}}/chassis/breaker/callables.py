"""What can be told of a callable before it is called."""

import functools
import inspect
from collections.abc import Callable
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from typing import Any


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling `fn` gives a coroutine. Raises TypeError for a generator function.

    For functions and methods in a tenth of the time that `inspect.iscoroutinefunction` takes.
    """
    try:
        flags: int = fn.__code__.co_flags
    except AttributeError:
        return _is_async_object(fn)
    if flags & (CO_GENERATOR | CO_ASYNC_GENERATOR):
        raise TypeError(
            f"{fn!r} is a generator function, which has done nothing yet when the call returns: "
            "use a `with` block inside of it"
        )
    return bool(flags & CO_COROUTINE)


def _is_async_object(fn: Callable[..., Any]) -> bool:
    if isinstance(fn, functools.partial):
        return is_async(fn.func)
    method = getattr(type(fn), "__call__", None)  # noqa: B004 - the method, not whether there is one
    return inspect.isfunction(method) and is_async(method)


def takes_nothing(fn: Callable[..., Any]) -> bool:
    """Whether `fn` has no parameters at all."""
    try:
        return not inspect.signature(fn).parameters
    except (TypeError, ValueError):  # built in
        return False
