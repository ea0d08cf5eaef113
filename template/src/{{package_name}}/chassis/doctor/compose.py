"""A Compose file with its variables put in, and `compose.override.yaml` merged.

https://docs.docker.com/reference/compose-file/
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import documents
from .documents import Mapping, Sequence
from .kustomize.generators import env_file
from .place import Files, Place

_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml",
              "docker-compose.override.yml")  # fmt: skip
_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|\{(?P<braced>\w+)(?:(?P<op>:?[-+?])(?P<word>[^}]*))?\}|(?P<bare>\w+))"
)


def load(root: Path, files: Files) -> Mapping | None:
    """The project's file as Compose sees it; None where there is none."""
    path = _first(root, _FILES)
    if path is None:
        return None
    variables = {}
    if (root / ".env").is_file():
        found = env_file(files.read(root / ".env"), ".env")
        variables = {name: value for name, value, _ in found}
    merged = _read(path, files)
    if (override := _first(root, _OVERRIDES)) is not None:
        _merge(merged, _read(override, files))
    _interpolate(merged, variables)
    return merged


def _first(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if (root / name).is_file()), None)


def _read(path: Path, files: Files) -> Mapping:
    found = documents.read(path, files)
    return found[0] if found and isinstance(found[0], Mapping) else Mapping(Place(path.name, 1))


def services(file: Mapping) -> dict[str, Mapping]:
    """The services by name."""
    found = file.get("services")
    return {name: one for name, one in (found or {}).items() if isinstance(one, Mapping)}


def environment(service: Mapping, root: Path, files: Files) -> dict[str, tuple[str, Place]]:
    """The variables of a service, with the line of each; its own come after its files'."""
    variables: dict[str, tuple[str, Place]] = {}
    sources = service.get("env_file") or []
    for source in [sources] if isinstance(sources, str | Mapping) else sources:
        path = root / str(source["path"] if isinstance(source, Mapping) else source)
        optional = isinstance(source, Mapping) and source.get("required") is False
        if path.exists() or not optional:
            for name, value, place in env_file(files.read(path), files.name(path)):
                variables[name] = (value, place)
    own = service.get("environment")
    if isinstance(own, Mapping):
        for name, value in own.items():
            variables[name] = ("" if value is None else _text(value), own.places[name])
    elif isinstance(own, Sequence):
        for entry, place in zip(own, own.places, strict=True):
            name, equals, value = str(entry).partition("=")
            if equals:
                variables[name] = (value, place)
    return variables


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _merge(base: Mapping, override: Mapping) -> None:
    for key, value in override.items():
        place, old = override.places[key], base.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            _merge(old, value)
        elif isinstance(old, Sequence) and isinstance(value, Sequence) and key not in _REPLACED:
            for index, one in enumerate(value):
                old.put(len(old), one, value.places[index])
        else:
            base.put(key, value, place)


_REPLACED = {"command", "entrypoint", "test"}


def _interpolate(value: Any, variables: dict[str, str]) -> None:
    pairs: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, Mapping):
        pairs = iter(list(value.items()))
    elif isinstance(value, Sequence):
        pairs = enumerate(list(value))
    for key, inner in pairs:
        if isinstance(inner, str):
            value[key] = _substitute(inner, variables)
        else:
            _interpolate(inner, variables)


def _substitute(text: str, variables: dict[str, str]) -> str:
    def put(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name, op, word = match["braced"] or match["bare"], match["op"] or "", match["word"] or ""
        value = variables.get(name)
        given = value is not None and (value != "" or not op.startswith(":"))
        if op.endswith("-"):
            return (value or "") if given else _substitute(word, variables)
        if op.endswith("+"):
            return _substitute(word, variables) if given else ""
        return value or ""

    return _VARIABLE.sub(put, text)
