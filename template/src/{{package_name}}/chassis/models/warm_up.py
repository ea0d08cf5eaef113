"""Loading a model and making its first predictions, which are slower than all that follow.

A runtime allocates its arenas, picks its kernels and faults its pages in on the first calls. Users
shouldn't be the ones who wait for that. Runs in a thread of its own, never on the event loop.
"""

import functools
import inspect
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from .model_entry import Attempt, Registration, Warmed

_ERROR_CHARACTERS = 300


class ModelChangedError(RuntimeError):
    """What was being loaded was replaced meanwhile: it may be half of the one and of the other."""


def load_and_warm(
    registered: Registration, attempt: Attempt, runs: int, loaded: Callable[[], None]
) -> Warmed:
    """Load the model, call `loaded`, and predict on the sample `runs` times.

    What the loader or the prediction raises passes through. ModelChangedError when the fingerprint
    was another one after loading than before.
    """
    began = time.perf_counter()
    fingerprint = registered.fingerprint
    if fingerprint is not None:
        attempt.fingerprint = fingerprint()
    model = registered.model() if registered.is_loader else registered.model
    if fingerprint is not None and fingerprint() != attempt.fingerprint:
        raise ModelChangedError("it changed while it was being loaded")
    loaded()
    predict = _predictor(registered, model)
    made = runs if predict is not None else 0
    for _ in range(made):
        predict(model, registered.sample)  # type: ignore[misc]
    return Warmed(model, made, time.perf_counter() - began)


def _predictor(registered: Registration, model: Any) -> Callable[[Any, Any], object] | None:
    """The way to predict; None when there is nothing to predict on, and loading is all there is."""
    if registered.predict is not None:
        return registered.predict
    if registered.sample is None:
        return None
    if callable(getattr(model, "predict", None)):
        return lambda model, sample: model.predict(sample)
    if callable(model):
        return lambda model, sample: model(sample)
    raise TypeError(
        f"{type(model).__name__} has no `predict` and can't be called: "
        "register it with predict=lambda model, sample: ..."
    )


def is_loader(model: object, declared: bool | None = None) -> bool:
    """Tell a loader from a model.

    A loader is a function, method, `functools.partial` or class that can be called without
    arguments. Anything else is the model itself, objects that can be called and functions that
    need an argument included. `declared` settles what the rule would get wrong. Raises TypeError
    for a declared loader that can't be called, for a coroutine function (loaders run in threads),
    and for a builtin that doesn't tell its arguments.
    """
    if declared is None:
        kind = inspect.isroutine(model) or inspect.isclass(model)
        declared = (kind or isinstance(model, functools.partial)) and _needs_nothing(model)
    if declared and not callable(model):
        raise TypeError(f"a loader has to be callable, and {type(model).__name__} isn't")
    if declared:
        refuse_coroutine(model, "a loader")
    return declared


def refuse_coroutine(function: object, what: str) -> None:
    """Raise TypeError for an `async def`, which would come back unawaited from a thread."""
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{what} runs in a thread: give a plain function, not `async def`")


def _needs_nothing(function: Any) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:
        raise TypeError(
            f"{function!r} doesn't say what arguments it takes: register it with "
            "loader=True when it makes the model, loader=False when it is the model"
        ) from None
    return True


def fingerprint_of(path: Path) -> Callable[[], Hashable]:
    """A cheap look at a file, for `register(fingerprint=...)`: it changes when the file does.

    Inode, size and modification time in nanoseconds, of where a link leads; None while the file
    is missing. It notices a file that is renamed into place, which is how to replace one, as
    well as one that is written over.
    """

    def look() -> Hashable:
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    return look


def explain(error: BaseException) -> str:
    """An exception on one line, cut short."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:_ERROR_CHARACTERS] if text else type(error).__name__
