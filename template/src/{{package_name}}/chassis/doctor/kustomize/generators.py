"""ConfigMaps and Secrets that a kustomization makes from texts and files."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from ..documents import Mapping, items
from ..place import Files, Place
from .resource import Resource

Entry = tuple[str, str, Place]


def entries(generator: Mapping, folder: Path, files: Files) -> Iterator[Entry]:
    """The keys and values that a generator names, each with its line."""
    literals = items(generator, "literals")
    for index, literal in enumerate(literals):
        name, _, value = str(literal).partition("=")
        yield name, _unquoted(value), literals.places[index]  # type: ignore[attr-defined]
    sources = [*items(generator, "envs"), *filter(None, [generator.get("env")])]
    for source in sources:
        path = folder / str(source)
        yield from env_file(files.read(path), files.name(path))
    for source in items(generator, "files"):
        name, equals, given = str(source).partition("=")
        path = folder / (given if equals else name)
        yield (name if equals else path.name), files.read(path), Place(files.name(path), 1)


def env_file(text: str, name: str) -> Iterator[Entry]:
    """The lines `KEY=value` of a text; comments and empty lines are left out."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            key, _, value = line.strip().partition("=")
            yield key, value, Place(name, number)


def make(kind: str, generator: Mapping, found: list[Entry]) -> Resource:
    """The object that a generator makes."""
    place = generator.place
    document = Mapping(place)
    document.put("apiVersion", "v1", place)
    document.put("kind", kind, place)
    metadata = Mapping(place)
    metadata.put("name", str(generator.get("name", "")), place)
    document.put("metadata", metadata, place)
    if kind == "Secret":
        document.put("type", generator.get("type", "Opaque"), place)
    add(document, kind, found)
    return Resource(document)


def add(document: Mapping, kind: str, found: list[Entry]) -> None:
    """Put entries into the data of a ConfigMap or a Secret."""
    data = document.get("data")
    if not isinstance(data, Mapping):
        data = Mapping(document.place)
        document.put("data", data, document.place)
    for name, value, place in found:
        secret = kind == "Secret"
        data.put(name, base64.b64encode(value.encode()).decode() if secret else value, place)


def hashed(resource: Resource) -> str:
    """The end of the name of a generated object: a hash of its content, as kustomize makes it.

    https://github.com/kubernetes-sigs/kustomize/blob/master/api/hasher/hasher.go, which leaves the
    name empty.
    """
    document = resource.document
    content = {"data": document.get("data", ""), "kind": resource.kind, "name": ""}
    if resource.kind == "Secret":
        content["type"] = document.get("type", "")
    if "binaryData" in document:
        content["binaryData"] = document["binaryData"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for char in "<>&\u2028\u2029":  # as Go writes JSON
        text = text.replace(char, f"\\u{ord(char):04x}")
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return digest.translate(str.maketrans("013ae", "ghkmt"))


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
