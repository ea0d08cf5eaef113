"""Which objects a patch is for."""

import re
from collections.abc import Callable, Iterator

from ..documents import Mapping, get
from .resource import Resource

_FIELDS: dict[str, Callable[[Resource], list[str]]] = {
    "group": lambda resource: [resource.group],
    "version": lambda resource: [resource.version],
    "kind": lambda resource: [resource.kind],
    "name": lambda resource: list(resource.names),
    "namespace": lambda resource: [resource.namespace or ""],
}
_TERM = re.compile(r"\s*(!?)\s*([\w./-]+)\s*(?:(==|=|!=)\s*([\w.-]*))?\s*")


class UnknownSelectorError(Exception):
    """A selector that isn't understood; the message shows it."""


def selected(target: Mapping, resources: list[Resource]) -> Iterator[Resource]:
    """The objects that a target names. Kind, name and their like are regular expressions."""
    for resource in resources:
        if all(
            any(re.fullmatch(str(target[field]), value) for value in read(resource))
            for field, read in _FIELDS.items()
            if target.get(field)
        ) and _has(target, resource):
            yield resource


def _has(target: Mapping, resource: Resource) -> bool:
    return all(
        _matches(str(target[field]), get(resource.document, "metadata", part) or {})
        for field, part in (("labelSelector", "labels"), ("annotationSelector", "annotations"))
        if target.get(field)
    )


def _matches(selector: str, values: dict[str, str]) -> bool:
    terms = [_TERM.fullmatch(term) for term in selector.split(",")]
    if None in terms:
        raise UnknownSelectorError(selector)
    for term in terms:
        assert term is not None  # noqa: S101 - as seen above
        negated, name, operator, value = term.groups()
        if operator is None:
            holds = (name in values) != bool(negated)
        else:
            holds = (str(values.get(name)) == value) == (operator != "!=")
        if not holds:
            return False
    return True
