"""One object of a build, and the names that it has had on its way."""

from dataclasses import dataclass, field

from ..documents import Mapping, copy, get
from ..place import Place

CLUSTER_SCOPED = {
    "APIService", "CSIDriver", "CSINode", "ClusterRole", "ClusterRoleBinding",
    "CustomResourceDefinition", "FlowSchema", "IngressClass", "MutatingWebhookConfiguration",
    "Namespace", "Node", "PersistentVolume", "PriorityClass", "PriorityLevelConfiguration",
    "RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration", "VolumeAttachment",
}  # fmt: skip

TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where the kinds that make pods have the template of them."""


@dataclass(slots=True, eq=False)
class Resource:
    """An object; `names` are all that others may know it by, the first one first."""

    document: Mapping
    names: list[str] = field(default_factory=list)
    needs_hash: bool = False

    def __post_init__(self) -> None:
        self.names = self.names or [self.name]

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.document.get("kind", ""))

    @property
    def group(self) -> str:
        """The group of its API; empty for the core's."""
        version = str(self.document.get("apiVersion", ""))
        return version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version of its API."""
        return str(self.document.get("apiVersion", "")).rpartition("/")[2]

    @property
    def name(self) -> str:
        """Its name as it is now."""
        return str(get(self.document, "metadata", "name") or "")

    @property
    def namespace(self) -> str | None:
        """Its namespace as it is now."""
        found = get(self.document, "metadata", "namespace")
        return None if found is None else str(found)

    @property
    def place(self) -> Place:
        """Where it begins."""
        return self.document.place

    def rename(self, name: str) -> None:
        """Give it another name; it is still found by the ones before."""
        metadata = self.metadata
        metadata.put("name", name, metadata.places.get("name", self.place))
        self.names.append(name)

    @property
    def metadata(self) -> Mapping:
        """Its metadata, made if need be."""
        return child(self.document, "metadata", self.place)

    @property
    def pod_template(self) -> Mapping | None:
        """What its pods are made of."""
        path = TEMPLATES.get(self.kind)
        found = get(self.document, *path) if path else None
        return found if isinstance(found, Mapping) else None

    def copy(self) -> "Resource":
        """One that can be changed without changing this one."""
        return Resource(copy(self.document), list(self.names), self.needs_hash)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def child(mapping: Mapping, key: str, place: Place) -> Mapping:
    """The mapping below a key, made if it isn't there."""
    found = mapping.get(key)
    if not isinstance(found, Mapping):
        found = Mapping(place)
        mapping.put(key, found, place)
    return found
