"""The places where one object names another, so that a new name reaches all of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..documents import Mapping, get
from .resource import Resource

Reference = tuple[Mapping, str, str]
"""The mapping, the key in it that has the name, and the kind that is named."""


def references(resource: Resource) -> Iterator[Reference]:
    """Every reference of an object to another one, by name."""
    template = resource.pod_template
    pod = template.get("spec") if template is not None else None
    if isinstance(pod, Mapping):
        yield from _of_pod(pod)
    spec = resource.document.get("spec")
    if resource.kind == "HorizontalPodAutoscaler":
        target = get(spec, "scaleTargetRef")
        if isinstance(target, Mapping):
            yield target, "name", str(target.get("kind"))
    elif resource.kind == "Ingress":
        yield from _walk(spec, _of_ingress)
    elif resource.kind == "StatefulSet" and isinstance(spec, Mapping):
        yield spec, "serviceName", "Service"
    elif resource.kind in ("RoleBinding", "ClusterRoleBinding"):
        role = resource.document.get("roleRef")
        if isinstance(role, Mapping):
            yield role, "name", str(role.get("kind"))
        for subject in resource.document.get("subjects") or []:
            yield subject, "name", str(subject.get("kind"))


def resolve(resources: Iterable[Resource]) -> None:
    """Put the names that objects have now where others know them by an older one."""
    found = list(resources)
    for resource in found:
        for mapping, key, kind in references(resource):
            named = next(
                (one for one in found if one.kind == kind and mapping.get(key) in one.names), None
            )
            if named is not None:
                mapping[key] = named.name


def _of_pod(pod: Mapping) -> Iterator[Reference]:
    for key in ("serviceAccountName", "serviceAccount"):
        if key in pod:
            yield pod, key, "ServiceAccount"
    yield from _walk(pod, _of_container_or_volume)


def _of_container_or_volume(mapping: Mapping) -> Iterator[Reference]:
    for key, kind in (
        ("configMapRef", "ConfigMap"),
        ("configMapKeyRef", "ConfigMap"),
        ("configMap", "ConfigMap"),
        ("secretRef", "Secret"),
        ("secretKeyRef", "Secret"),
    ):
        if isinstance(inner := mapping.get(key), Mapping):
            yield inner, "name", kind
    if isinstance(secret := mapping.get("secret"), Mapping):
        # A volume says `secretName`, a part of a projected one `name`.
        yield secret, "secretName" if "secretName" in secret else "name", "Secret"
    if isinstance(claim := mapping.get("persistentVolumeClaim"), Mapping):
        yield claim, "claimName", "PersistentVolumeClaim"
    for secret in mapping.get("imagePullSecrets") or []:
        yield secret, "name", "Secret"


def _of_ingress(mapping: Mapping) -> Iterator[Reference]:
    for key, kind in (("service", "Service"), ("tls", "")):
        if kind and isinstance(inner := mapping.get(key), Mapping):
            yield inner, "name", kind


def _walk(value: Any, look: Callable[[Mapping], Iterator[Reference]]) -> Iterator[Reference]:
    if isinstance(value, Mapping):
        yield from look(value)
        for inner in value.values():
            yield from _walk(inner, look)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, look)
