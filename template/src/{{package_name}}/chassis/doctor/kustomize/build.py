"""A kustomization, built: its resources, what it generates, its components, patches and the rest.

The order is kustomize's own: resources, generators, components, patches, then what is done to all.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import documents
from ..documents import Mapping, Sequence, items
from ..place import Files, Place, UnusableError
from . import generators, json_patch, references, strategic_merge
from .resource import Resource
from .selector import UnknownSelectorError, selected
from .transformers import transform

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")

_UNDERSTOOD = {
    "apiVersion", "kind", "metadata", "bases", "resources", "components", "namespace",
    "namePrefix", "nameSuffix", "labels", "commonLabels", "commonAnnotations", "images", "replicas",
    "patches", "patchesStrategicMerge", "patchesJson6902", "configMapGenerator", "secretGenerator",
    "generatorOptions", "sortOptions", "buildMetadata",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a kustomization, where, and whether kustomize would refuse it."""

    text: str
    place: Place


@dataclass(slots=True)
class BuildResult:
    """The objects; `unsupported` isn't understood here, `broken` is refused by kustomize too."""

    resources: list[Resource] = field(default_factory=list)
    unsupported: list[Problem] = field(default_factory=list)
    broken: list[Problem] = field(default_factory=list)


def kustomization_in(folder: Path) -> Path | None:
    """The kustomization of a folder, if there is one."""
    return next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)


def build(folder: Path, files: Files) -> BuildResult:
    """Build a folder. UnusableError when there is no kustomization, or no YAML in it."""
    builder = _Builder(files)
    resources = builder.folder(folder, [])
    builder.result.resources = resources
    for resource in resources:
        if resource.needs_hash:
            resource.rename(f"{resource.name}-{generators.hashed(resource)}")
    references.resolve(resources)
    return builder.result


class _Builder:
    def __init__(self, files: Files) -> None:
        self.files = files
        self.result = BuildResult()

    def folder(self, folder: Path, resources: list[Resource]) -> list[Resource]:
        """Build a folder onto what is there already: nothing, or for a component its user's."""
        path = kustomization_in(folder)
        if path is None:
            raise UnusableError(f"{self.files.name(folder)}: there is no kustomization.yaml in it")
        found = documents.read(path, self.files)
        if len(found) != 1 or not isinstance(found[0], Mapping):
            raise UnusableError(f"{self.files.name(path)}: this is no kustomization")
        kustomization: Mapping = found[0]
        for key in kustomization:
            if key not in _UNDERSTOOD:
                self._unsupported(f"`{key}` isn't understood here", kustomization, key)
        for key in ("resources", "bases"):
            for entry, place in _entries(kustomization, key):
                resources.extend(self._resources(folder, str(entry), place))
        self._generate(kustomization, folder, resources)
        for entry, place in _entries(kustomization, "components"):
            if self._is_there(folder / str(entry), str(entry), place):
                resources = self.folder(folder / str(entry), resources)
        resources = self._patch(kustomization, folder, resources)
        transform(kustomization, resources)
        return resources

    def _unsupported(self, text: str, mapping: Mapping, *path: documents.Key) -> None:
        self.result.unsupported.append(Problem(text, documents.place_of(mapping, *path)))

    def _is_there(self, path: Path, entry: str, place: Place) -> bool:
        if "://" in entry or entry.startswith(("git@", "github.com/")):
            text = f"{entry} is fetched from elsewhere, which isn't done here"
            self.result.unsupported.append(Problem(text, place))
            return False
        if not path.exists():
            self.result.broken.append(Problem(f"{entry} doesn't exist", place))
            return False
        return True

    def _resources(self, folder: Path, entry: str, place: Place) -> Iterator[Resource]:
        path = folder / entry
        if not self._is_there(path, entry, place):
            return
        if path.is_dir():
            yield from self.folder(path, [])
            return
        for document in documents.read(path, self.files):
            if not isinstance(document, Mapping) or "kind" not in document:
                self.result.broken.append(Problem(f"{entry} is no manifest", place))
            elif str(document["kind"]).endswith("List") and "items" in document:
                yield from (Resource(one) for one in items(document, "items"))
            else:
                yield Resource(document)

    def _generate(self, kustomization: Mapping, folder: Path, resources: list[Resource]) -> None:
        options = kustomization.get("generatorOptions") or {}
        for kind in ("ConfigMap", "Secret"):
            field_name = f"{kind[0].lower()}{kind[1:]}Generator"
            for generator in items(kustomization, field_name):
                own = {**options, **(generator.get("options") or {})}
                found = list(generators.entries(generator, folder, self.files))
                self._add_generated(kind, generator, found, resources, own)

    def _add_generated(
        self,
        kind: str,
        generator: Mapping,
        found: list[generators.Entry],
        resources: list[Resource],
        options: dict[str, Any],
    ) -> None:
        behavior, name = generator.get("behavior", "create"), str(generator.get("name"))
        known = next((one for one in resources if one.kind == kind and name in one.names), None)
        if behavior in ("merge", "replace"):
            if known is None:
                text = f"there is no {kind} {name} to {behavior}"
                self.result.broken.append(Problem(text, generator.place))
                return
            if behavior == "replace":
                known.document.pop("data", None)
            generators.add(known.document, kind, found)
            made = known
        else:
            made = generators.make(kind, generator, found)
            made.needs_hash = not options.get("disableNameSuffixHash")
            resources.append(made)
        for part in ("labels", "annotations"):
            if isinstance(pairs := options.get(part), Mapping):
                target = made.metadata.get(part)
                if not isinstance(target, Mapping):
                    target = Mapping(pairs.place)
                    made.metadata.put(part, target, pairs.place)
                for key, value in pairs.items():
                    target.put(key, value, pairs.places[key])
        if options.get("immutable"):
            made.document.put("immutable", True, generator.place)

    def _patch(
        self, kustomization: Mapping, folder: Path, resources: list[Resource]
    ) -> list[Resource]:
        for entry, place in _entries(kustomization, "patchesStrategicMerge"):
            text = str(entry)
            inline = "\n" in text
            wrapped = Mapping(place)
            wrapped.put("patch" if inline else "path", text, place)
            resources = self._apply(wrapped, folder, resources)
        for key in ("patches", "patchesJson6902"):
            for entry, place in _entries(kustomization, key):
                if isinstance(entry, Mapping):
                    resources = self._apply(entry, folder, resources)
                else:
                    self.result.broken.append(Problem("a patch has `path` or `patch`", place))
        return resources

    def _apply(self, entry: Mapping, folder: Path, resources: list[Resource]) -> list[Resource]:
        patches = self._patches(entry, folder)
        for option in entry.get("options") or {}:
            self._unsupported(
                f"a patch's option `{option}` isn't understood here", entry, "options"
            )
        for patch in patches:
            try:
                targets = self._targets(entry, patch, resources)
                if isinstance(patch, Sequence):
                    for target in targets:
                        json_patch.apply(target, patch)
                elif isinstance(patch, Mapping) and strategic_merge.deletes(patch):
                    resources = [one for one in resources if one not in targets]
                elif isinstance(patch, Mapping):
                    for target in targets:
                        strategic_merge.apply(target, patch)
            except UnknownSelectorError as error:
                self._unsupported(f"the selector {error} isn't understood here", entry, "target")
            except json_patch.PatchError as error:
                self.result.broken.append(Problem(f"the patch doesn't fit: {error}", patch.place))
        return resources

    def _patches(self, entry: Mapping, folder: Path) -> list[Any]:
        if "path" in entry:
            path = folder / str(entry["path"])
            place = entry.places["path"]
            if not self._is_there(path, str(entry["path"]), place):
                return []
            return _whole(documents.read(path, self.files))
        place = entry.places.get("patch", entry.place)
        # The text begins on the line below `patch: |-`.
        text = str(entry.get("patch", ""))
        return _whole(documents.parse(text, place.path, place.line + 1))

    def _targets(self, entry: Mapping, patch: Any, resources: list[Resource]) -> list[Resource]:
        if isinstance(target := entry.get("target"), Mapping):
            found = list(selected(target, resources))
            if not found:
                # kustomize says nothing either; but whoever wrote it meant something.
                self._unsupported("the patch's target is nowhere: it does nothing", entry, "target")
            return found
        metadata = documents.get(patch, "metadata") or {}
        found = [
            one
            for one in resources
            if one.kind == documents.get(patch, "kind")
            and metadata.get("name") in one.names
            and metadata.get("namespace") in (None, one.namespace)
        ]
        if not found:
            what = f"{documents.get(patch, 'kind')} {metadata.get('name')}"
            text = f"the patch is for {what}, which doesn't exist"
            self.result.broken.append(Problem(text, patch.place))
        return found


def _entries(kustomization: Mapping, key: str) -> Iterator[tuple[Any, Place]]:
    found = kustomization.get(key)
    if isinstance(found, Sequence):
        yield from zip(found, found.places, strict=True)


def _whole(found: list[Any]) -> list[Any]:
    """A file of operations is one patch; one of manifests is a patch each."""
    return [one for one in found if isinstance(one, Mapping | Sequence)]
