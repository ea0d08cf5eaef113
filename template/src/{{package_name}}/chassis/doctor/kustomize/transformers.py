"""What a kustomization does to all its objects: namespace, names, labels, replicas, images."""

from typing import Any

from ..documents import Key, Mapping, get, items
from ..image_name import ImageName
from .resource import CLUSTER_SCOPED, TEMPLATES, Resource, child

_KEEP_THEIR_NAME = {"Namespace", "CustomResourceDefinition", "APIService"}

_SELECTORS: dict[str, tuple[tuple[str, ...], bool]] = {
    "Deployment": (("spec", "selector", "matchLabels"), True),
    "StatefulSet": (("spec", "selector", "matchLabels"), True),
    "DaemonSet": (("spec", "selector", "matchLabels"), True),
    "ReplicaSet": (("spec", "selector", "matchLabels"), True),
    "Service": (("spec", "selector"), True),
    "NetworkPolicy": (("spec", "podSelector", "matchLabels"), False),
    "PodDisruptionBudget": (("spec", "selector", "matchLabels"), False),
}
"""Where a kind selects pods, and whether that is made where it is missing."""


def transform(kustomization: Mapping, resources: list[Resource]) -> None:
    """Apply those that the kustomization has, in kustomize's order. Patches come before."""
    if namespace := kustomization.get("namespace"):
        for resource in resources:
            _namespace(resource, str(namespace), kustomization)
    prefix, suffix = (str(kustomization.get(key) or "") for key in ("namePrefix", "nameSuffix"))
    for resource in resources:
        if (prefix or suffix) and resource.kind not in _KEEP_THEIR_NAME:
            resource.rename(f"{prefix}{resource.name}{suffix}")
    for entry in items(kustomization, "labels"):
        for resource in resources:
            _labels(resource, entry)
    if common := kustomization.get("commonLabels"):
        entry = Mapping(common.place)
        entry.put("pairs", common, common.place)
        entry.put("includeSelectors", True, common.place)
        for resource in resources:
            _labels(resource, entry)
    if common := kustomization.get("commonAnnotations"):
        for resource in resources:
            _fill(child(resource.metadata, "annotations", common.place), common)
            for template in _templates(resource):
                metadata = child(template, "metadata", common.place)
                _fill(child(metadata, "annotations", common.place), common)
    _replicas(kustomization, resources)
    _images(kustomization, resources)


def _namespace(resource: Resource, namespace: str, kustomization: Mapping) -> None:
    place = kustomization.places["namespace"]
    if resource.kind == "Namespace":
        resource.rename(namespace)
    elif resource.kind not in CLUSTER_SCOPED:
        resource.metadata.put("namespace", namespace, place)
    for subject in resource.document.get("subjects") or []:
        if subject.get("kind") == "ServiceAccount":
            subject["namespace"] = namespace


def _templates(resource: Resource) -> list[Mapping]:
    """What its pods are made of, and its jobs if it makes those first."""
    found = [resource.pod_template, get(resource.document, "spec", "jobTemplate")]
    return [one for one in found if isinstance(one, Mapping)]


def _fill(mapping: Mapping, pairs: Mapping) -> None:
    for key, value in pairs.items():
        mapping.put(key, value, pairs.places.get(key, pairs.place))


def _labels(resource: Resource, entry: Mapping) -> None:
    pairs = entry.get("pairs")
    if not isinstance(pairs, Mapping):
        return
    _fill(child(resource.metadata, "labels", pairs.place), pairs)
    selectors = bool(entry.get("includeSelectors"))
    if selectors or entry.get("includeTemplates"):
        for template in _templates(resource):
            metadata = child(template, "metadata", pairs.place)
            _fill(child(metadata, "labels", pairs.place), pairs)
    if not selectors:
        return
    if resource.kind in _SELECTORS:
        path, make = _SELECTORS[resource.kind]
        mapping: Mapping | None = resource.document
        for key in path:
            if mapping is not None and (make or key in mapping):
                mapping = child(mapping, key, pairs.place)
            else:
                mapping = None
        if mapping is not None:
            _fill(mapping, pairs)
    if resource.pod_template is not None:
        for spread in items(resource.pod_template, "spec", "topologySpreadConstraints"):
            found = get(spread, "labelSelector", "matchLabels")
            if isinstance(found, Mapping):
                _fill(found, pairs)


def _replicas(kustomization: Mapping, resources: list[Resource]) -> None:
    for entry in items(kustomization, "replicas"):
        for resource in resources:
            counted = resource.kind in ("Deployment", "StatefulSet", "ReplicaSet")
            if counted and entry.get("name") in resource.names:
                place = entry.places.get("count", entry.place)
                child(resource.document, "spec", place).put("replicas", entry.get("count"), place)


def _images(kustomization: Mapping, resources: list[Resource]) -> None:
    for entry in items(kustomization, "images"):
        for resource in resources:
            for container, _ in containers(resource):
                _image(container, entry)


def containers(resource: Resource) -> list[tuple[Mapping, tuple[Key, ...]]]:
    """The containers of an object's pods, initial ones included, and the path of each."""
    path = (*TEMPLATES.get(resource.kind, ()), "spec")
    found: list[tuple[Mapping, tuple[Key, ...]]] = []
    if resource.kind not in TEMPLATES:
        return found
    for key in ("initContainers", "containers"):
        for index, one in enumerate(items(resource.document, *path, key)):
            if isinstance(one, Mapping):
                found.append((one, (*path, key, index)))
    return found


def _image(container: Mapping, entry: Mapping) -> None:
    image: Any = container.get("image")
    if not isinstance(image, str):
        return
    name = ImageName.parse(image)
    if name.repository != str(entry.get("name")):
        return
    repository = entry.get("newName") or name.repository
    tag, digest = entry.get("newTag"), entry.get("digest")
    if digest:
        new = f"{repository}{f':{tag}' if tag else ''}@{digest}"
    elif tag is not None:
        new = f"{repository}:{tag}"
    else:
        new = image.replace(name.repository, str(repository), 1)
    place = next(
        (entry.places[key] for key in ("digest", "newTag", "newName") if key in entry), entry.place
    )
    container.put("image", new, place)
