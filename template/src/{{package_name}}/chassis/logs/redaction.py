"""Secrets never reach a log line (SPEC row E4): the values of an entry.

Values of known names are hidden at any depth, ``SecretStr`` shows as pydantic shows it, and every
text is scrubbed (:mod:`.secret_text`). The same walk makes an entry safe to write: a copy of plain
lists, dicts and scalars, bounded in depth and size, so that one call can't log a whole data set.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from structlog.typing import EventDict, WrappedLogger

from .secret_text import MASK, is_secret, scrub

MAX_DEPTH = 8
MAX_ITEMS = 1000  # of one entry, over all its containers
MAX_KEY = 256  # characters

_SAFE = frozenset({"timestamp", "level", "logger", "module", "function", "line", "pid"})
_SCALARS = frozenset({type(None), bool, int, float})
_NATIVE = (bool, int, float, datetime.date, datetime.time, uuid.UUID)  # orjson writes these
_READABLE = (str, decimal.Decimal, pathlib.PurePath)  # str() says more than repr()
_LISTS = (list, tuple, set, frozenset)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: the same event, or a copy of it without its secrets."""
    walk: Walk | None = None
    changed: dict[str, object] = {}
    for key, value in event.items():
        if key in _SAFE or value is None:
            continue
        if is_secret(key):
            changed[key] = _hidden(value)
        elif value.__class__ is str:
            text = scrub(value)
            if text is not value:
                changed[key] = text
        elif value.__class__ not in _SCALARS:
            walk = walk or Walk()
            changed[key] = walk.value(value)
    return {**event, **changed} if changed else event


def safe_repr(value: object) -> str:
    """``repr(value)``, whatever the value's class thinks of it."""
    try:
        return repr(value)
    except Exception:
        return f"<unprintable {type(value).__name__}>"


def _hidden(value: object) -> object:
    """Whether there is a secret may be told: it is what one looks for when a login fails."""
    return value if value is None or isinstance(value, bool) else MASK


class Walk:
    """One pass over the values of one entry; it counts what it has seen."""

    def __init__(self) -> None:
        self._left = MAX_ITEMS

    def value(self, value: object, depth: int = 0) -> object:
        """A plain copy of ``value`` without secrets."""
        try:
            return self._scalar(value, depth)
        except Exception:  # a container that changed under our hands, or a hostile object
            return safe_repr(type(value))

    def _scalar(self, value: Any, depth: int) -> object:
        if isinstance(value, enum.Enum):
            return self.value(value.value, depth)
        if value is None or isinstance(value, _NATIVE):
            return value
        if isinstance(value, _READABLE):
            return scrub(str(value))
        if hasattr(value, "get_secret_value"):
            return MASK
        return self._container(value, depth)

    def _container(self, value: Any, depth: int) -> object:
        fields = _fields(value)
        if fields is None and not isinstance(value, _LISTS):
            return scrub(safe_repr(value))
        if depth == MAX_DEPTH:
            return "..."
        if fields is not None:
            return self.mapping(fields, depth + 1)
        if len(value) == 2 and isinstance(value, list | tuple) and is_secret(_name(value[0])):
            return [self.value(value[0], depth + 1), _hidden(value[1])]  # a header of an ASGI scope
        items = [self.value(item, depth + 1) for item in self._some(value)]
        if len(value) > len(items):
            items.append(f"... ({len(value)} items)")
        return items

    def mapping(self, fields: Mapping[Any, object], depth: int = 0) -> dict[str, object]:
        """A plain copy of ``fields`` without secrets."""
        clean: dict[str, object] = {}
        for key, value in self._some(fields.items()):
            name = _name(key)
            clean[name] = _hidden(value) if is_secret(name) else self.value(value, depth)
        if len(fields) > len(clean):
            clean["..."] = f"{len(fields)} items"
        return clean

    def _some(self, items: Iterable[Any]) -> Iterable[Any]:
        for item in islice(items, max(0, self._left)):
            self._left -= 1
            yield item


def _name(key: object) -> str:
    name = key.decode("latin-1") if isinstance(key, bytes) else str(key)
    return name[:MAX_KEY]


def _fields(value: Any) -> Mapping[Any, object] | None:
    """What is named in ``value``, if it is a kind of record."""
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(type(value), "model_fields"):  # a pydantic model
        return dict(vars(value))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    return None
