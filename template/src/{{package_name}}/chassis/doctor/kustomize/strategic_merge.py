"""Patches that look like the object: Kubernetes' strategic merge.

Mappings are merged, null deletes, and lists are replaced, but for those whose elements have a key:
they are merged element by element.
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from typing import Any

from ..documents import Mapping, Sequence, copy
from .resource import Resource

_DIRECTIVE = "$patch"

_MERGE_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
_SETS = {"finalizers"}


def deletes(patch: Mapping) -> bool:
    """Whether a patch takes away what it is for."""
    return patch.get(_DIRECTIVE) == "delete"


def apply(resource: Resource, patch: Mapping) -> None:
    """Merge a patch into a resource; its name and kind stay as they are."""
    document = resource.document
    kept = {key: document.get(key) for key in ("apiVersion", "kind")}
    name, namespace = resource.name, resource.namespace
    _merge(document, patch, knows_lists=_is_known(resource))
    for key, value in kept.items():
        document[key] = value
    metadata = resource.metadata
    metadata["name"] = name
    if namespace is not None:
        metadata["namespace"] = namespace


def _is_known(resource: Resource) -> bool:
    """Kubernetes' own kinds say how their lists are merged; others' lists are replaced."""
    return "." not in resource.group or resource.group.endswith(".k8s.io")


def _merge(base: Mapping, patch: Mapping, *, knows_lists: bool) -> None:
    if patch.get(_DIRECTIVE) == "replace":
        base.clear()
    for key, value in patch.items():
        place = patch.places.get(key, patch.place)
        if key == _DIRECTIVE or key.startswith("$setElementOrder/"):
            continue
        if value is None or (isinstance(value, Mapping) and deletes(value)):
            base.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            _merge(base[key], value, knows_lists=knows_lists)
        elif isinstance(value, Sequence) and isinstance(base.get(key), Sequence) and knows_lists:
            base.put(key, _merge_lists(key, base[key], value), base.places[key])
        else:
            base.put(key, _stripped(value), place)


def _merge_lists(field: str, base: Sequence, patch: Sequence) -> Sequence:
    replaced = any(isinstance(one, Mapping) and one.get(_DIRECTIVE) == "replace" for one in patch)
    keys = _keys(field, base, patch)
    if field in _SETS:
        new = [(one, at) for one, at in zip(patch, patch.places, strict=True) if one not in base]
        for one, place in reversed(new):
            base.put(0, one, place)
        return base
    if replaced or keys is None:
        without = copy(patch)
        for index in reversed(range(len(without))):
            if isinstance(without[index], Mapping) and _DIRECTIVE in without[index]:
                without.drop(index)
        return _stripped(without)  # type: ignore[no-any-return]
    # The patch's elements come first, in its order, as kustomize has it.
    merged = Sequence(base.place)
    for index, one in enumerate(patch):
        found = next((at for at, old in enumerate(base) if _same(old, one, keys)), None)
        element, place = _stripped(one), patch.places[index]
        if found is not None:
            element, place = base[found], base.places[found]
            base.drop(found)
            _merge(element, one, knows_lists=True)
        if one.get(_DIRECTIVE) != "delete":
            merged.put(len(merged), element, place)
    for index, one in enumerate(base):
        merged.put(len(merged), one, base.places[index])
    return merged


def _keys(field: str, base: Sequence, patch: Sequence) -> tuple[str, ...] | None:
    if not all(isinstance(one, Mapping) for one in [*base, *patch]):
        return None
    if field == "ports":
        of_container = any("containerPort" in one for one in [*base, *patch])
        of_service = all("port" in one for one in base)
        return ("containerPort",) if of_container else ("port",) if of_service else None
    return _MERGE_KEYS.get(field)


def _same(old: Mapping, new: Mapping, keys: tuple[str, ...]) -> bool:
    return keys[0] in new and all(old.get(key) == new.get(key, old.get(key)) for key in keys)


def _stripped(value: Any) -> Any:
    """A copy without directives and nulls, which mean nothing where there is nothing to patch."""
    value = copy(value)
    if isinstance(value, Mapping):
        for key in [key for key, inner in value.items() if key == _DIRECTIVE or inner is None]:
            del value[key]
        for key in value:
            value[key] = _stripped(value[key])
    elif isinstance(value, Sequence):
        value[:] = [_stripped(one) for one in value]
    return value
