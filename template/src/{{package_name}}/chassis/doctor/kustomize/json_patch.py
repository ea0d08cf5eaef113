"""Patches by operation (RFC 6902)."""

from typing import Any

from ..documents import Mapping, Sequence, copy
from ..place import Place
from .resource import Resource


class PatchError(Exception):
    """An operation can't be done; the message says which and why."""


def apply(resource: Resource, operations: Sequence) -> None:
    """Do the operations in their order."""
    for index, operation in enumerate(operations):
        if not isinstance(operation, Mapping):
            raise PatchError("an operation is a mapping with `op` and `path`")
        _one(resource.document, operation, operations.places[index])


def _one(document: Mapping, operation: Mapping, place: Place) -> None:
    op, path = str(operation.get("op")), str(operation.get("path", ""))
    if op in ("add", "replace"):
        _set(document, path, copy(operation.get("value")), place, replace=op == "replace")
    elif op == "remove":
        _remove(document, path)
    elif op == "move":
        source = str(operation.get("from", ""))
        value = _find(document, source)
        _remove(document, source)
        _set(document, path, value, place, replace=False)
    elif op == "copy":
        value = copy(_find(document, str(operation.get("from", ""))))
        _set(document, path, value, place, replace=False)
    elif op == "test":
        if _find(document, path) != operation.get("value"):
            raise PatchError(f"the test of {path} fails")
    else:
        raise PatchError(f"there is no operation {op!r}")


def _parts(path: str) -> list[str]:
    if not path.startswith("/"):
        raise PatchError(f"the path {path!r} doesn't begin with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _find(document: Mapping, path: str) -> Any:
    value: Any = document
    for part in _parts(path):
        value = _step(value, part, path)
    return value


def _step(value: Any, part: str, path: str) -> Any:
    if isinstance(value, Mapping) and part in value:
        return value[part]
    if isinstance(value, Sequence) and part.isdecimal() and int(part) < len(value):
        return value[int(part)]
    raise PatchError(f"there is nothing at {path}")


def _parent(document: Mapping, path: str) -> tuple[Any, str]:
    *above, last = _parts(path)
    value: Any = document
    for part in above:
        value = _step(value, part, path)
    return value, last


def _set(document: Mapping, path: str, value: Any, place: Place, *, replace: bool) -> None:
    parent, last = _parent(document, path)
    if isinstance(parent, Mapping):
        if replace and last not in parent:
            raise PatchError(f"there is nothing at {path} to replace")
        parent.put(last, value, place)
    elif isinstance(parent, Sequence) and last == "-" and not replace:
        parent.put(len(parent), value, place)
    elif isinstance(parent, Sequence) and last.isdecimal() and int(last) <= len(parent) - replace:
        if replace:
            parent.drop(int(last))
        parent.put(int(last), value, place)
    else:
        raise PatchError(f"there is nothing at {path}")


def _remove(document: Mapping, path: str) -> None:
    parent, last = _parent(document, path)
    _step(parent, last, path)
    if isinstance(parent, Mapping):
        del parent[last]
    else:
        parent.drop(int(last))
