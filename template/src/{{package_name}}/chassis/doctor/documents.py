"""YAML whose every value knows the line that it came from.

Mappings and lists are dict and list, with the places beside. A patch carries its places along with
its values, so that what was merged from many files still names the one that decided.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from .place import Files, Place, UnusableError

Key = str | int


class Mapping(dict[str, Any]):
    """A mapping; `places` says where each of its keys stands, `place` where it begins."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: dict[str, Place] = {}

    def put(self, key: str, value: Any, place: Place) -> None:
        """Set a key that stands at `place`."""
        self[key] = value
        self.places[key] = place


class Sequence(list[Any]):
    """A list; `places` runs alongside."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: list[Place] = []

    def put(self, index: int, value: Any, place: Place) -> None:
        """Insert an element that stands at `place`."""
        self.insert(index, value)
        self.places.insert(index, place)

    def drop(self, index: int) -> None:
        """Take an element out."""
        del self[index], self.places[index]


def copy(value: Any) -> Any:
    """A copy that shares nothing with the original but places."""
    if isinstance(value, Mapping):
        mapping = Mapping(value.place)
        for key, inner in value.items():
            mapping.put(key, copy(inner), value.places.get(key, value.place))
        return mapping
    if isinstance(value, Sequence):
        sequence = Sequence(value.place)
        for index, inner in enumerate(value):
            sequence.put(index, copy(inner), value.places[index])
        return sequence
    return value


def get(value: Any, *path: Key) -> Any:
    """What stands at a path; None where it ends early."""
    for key in path:
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def mapping_at(value: Any, *path: Key) -> Mapping:
    """The mapping at a path; an empty one where there is none."""
    found = get(value, *path)
    return found if isinstance(found, Mapping) else Mapping(Place("", 0))


def items(value: Any, *path: Key) -> list[Any]:
    """The list at a path; empty where there is none."""
    found = get(value, *path)
    return found if isinstance(found, list) else []


def place_of(value: Mapping, *path: Key) -> Place:
    """Where a path stands, or else the deepest part of it that is there."""
    place, inner = value.place, value
    for key in path:
        found: Any = None
        if isinstance(inner, Mapping) and isinstance(key, str) and key in inner:
            place, found = inner.places.get(key, inner.place), inner[key]
        elif isinstance(inner, Sequence) and isinstance(key, int) and key < len(inner):
            place, found = inner.places[key], inner[key]
        else:
            break
        inner = found
    return place


def read(path: Path, files: Files) -> list[Any]:
    """The documents of a file; empty ones are left out. UnusableError for what is no YAML."""
    return parse(files.read(path), files.name(path))


def parse(text: str, name: str, first_line: int = 1) -> list[Any]:
    """The documents of a text that begins at a line of the file `name`."""
    try:
        found = list(_documents(text, name, first_line))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = first_line + (mark.line if mark else 0)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UnusableError(f"{name}:{line}: this isn't YAML: {problem}") from None
    return [document for document in found if document is not None]


def _documents(text: str, name: str, first_line: int) -> Iterator[Any]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            yield _value(loader, loader.get_node(), name, first_line)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes and Compose read it: no dates, and `8000:8080` is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(0|[1-9][0-9]*|0o?[0-7]+|0x[0-9a-fA-F]+)$"),
    list("-+0123456789"),
)


def _value(loader: _Loader, node: Any, name: str, first_line: int) -> Any:
    place = Place(name, first_line + node.start_mark.line)
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)  # `<<`
        mapping = Mapping(place)
        for key, inner in node.value:
            # Where a key is merged and given, the given one comes last.
            mapping.put(
                str(loader.construct_object(key, deep=True)),
                _value(loader, inner, name, first_line),
                Place(name, first_line + key.start_mark.line),
            )
        return mapping
    if isinstance(node, yaml.SequenceNode):
        sequence = Sequence(place)
        for inner in node.value:
            sequence.put(
                len(sequence),
                _value(loader, inner, name, first_line),
                Place(name, first_line + inner.start_mark.line),
            )
        return sequence
    return loader.construct_object(node, deep=True)
