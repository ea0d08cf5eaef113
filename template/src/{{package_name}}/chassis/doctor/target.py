"""Where the service is deployed to: what each environment gives its containers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import compose, documents, quantities
from .documents import Key, get, items, place_of
from .evaluation import Conditions
from .image_name import ImageName
from .kustomize import BuildResult, Resource, build
from .kustomize.build import kustomization_in
from .kustomize.transformers import containers
from .place import Files, Place

CONTAINER = "service"
"""What the base calls the container of the service."""

KUBERNETES_GRACE_SECONDS = 30.0
COMPOSE_GRACE_SECONDS = 10.0
"""What platforms wait where nothing is said."""

Variables = dict[str, tuple[str, Place]]


@dataclass(frozen=True, slots=True)
class Container:
    """A container of any object or service of a target."""

    owner: str
    """What it belongs to, in words: `Deployment payment-api`."""
    name: str
    values: documents.Mapping
    root: documents.Mapping
    path: tuple[Key, ...]

    def place(self, *path: Key) -> Place:
        """Where something below it stands."""
        return place_of(self.root, *self.path, *path)

    @property
    def image(self) -> str:
        """Its image's name."""
        return str(self.values.get("image", ""))

    def __str__(self) -> str:
        return f"{self.owner}, {self.name}" if self.name else self.owner


@dataclass(kw_only=True)
class Target:
    """One environment. What isn't known is None, and the answers stand in for it."""

    name: str
    environment: Variables = field(default_factory=dict)
    """The variables in plain sight of the service's container."""
    is_complete: bool = True
    """Whether all that the environment is made of was found."""
    from_secrets: Variables = field(default_factory=dict)
    """Variables that come out of a Secret, by name: the value is that of the Secret."""
    cpu: float | None = None
    memory_mib: int | None = None
    limits_place: Place | None = None
    grace_seconds: float | None = None
    grace_place: Place | None = None
    container: Container | None = None
    """The service's own."""
    containers: list[Container] = field(default_factory=list)
    """All of them."""

    @property
    def conditions(self) -> Conditions:
        """What Gunicorn's configuration is evaluated under."""
        environment = {name: value for name, (value, _) in self.environment.items()}
        return Conditions(environment=environment, cpu=self.cpu, memory_mib=self.memory_mib)


@dataclass(kw_only=True)
class KubernetesTarget(Target):
    """An overlay."""

    built: BuildResult
    workload: Resource | None = None
    """What makes the service's pods."""

    @property
    def pod(self) -> documents.Mapping | None:
        """The specification of the service's pods."""
        template = self.workload.pod_template if self.workload else None
        found = get(template, "spec")
        return found if isinstance(found, documents.Mapping) else None

    def of_kind(self, kind: str) -> list[Resource]:
        """The objects of a kind."""
        return [one for one in self.built.resources if one.kind == kind]


@dataclass(kw_only=True)
class ComposeTarget(Target):
    """The Compose file; `replicas` are the services that run the service itself."""

    file: documents.Mapping
    replicas: list[Container] = field(default_factory=list)


def overlays(root: Path) -> list[Path]:
    """The folders that are deployed: the overlays, or the base where there is none."""
    folder = root / "deploy" / "kubernetes"
    found = sorted(one for one in (folder / "overlays").glob("*") if kustomization_in(one))
    base = folder / "base"
    return found or ([base] if kustomization_in(base) else [])


def kubernetes(folder: Path, files: Files) -> KubernetesTarget:
    """Build an overlay and find the service in it."""
    built = build(folder, files)
    target = KubernetesTarget(name=folder.name, built=built)
    for resource in built.resources:
        for values, path in containers(resource):
            name = str(values.get("name", ""))
            one = Container(str(resource), name, values, resource.document, path)
            target.containers.append(one)
            serves = resource.kind in ("Deployment", "StatefulSet", "DaemonSet")
            if serves and name == CONTAINER and target.container is None:
                target.container, target.workload = one, resource
    if target.container is not None:
        _read_pod(target, target.container)
    return target


def _read_pod(target: KubernetesTarget, container: Container) -> None:
    limits = get(container.values, "resources", "limits") or {}
    target.cpu = quantities.quantity(limits.get("cpu", ""))
    target.memory_mib = quantities.mebibytes(limits.get("memory", ""))
    target.limits_place = container.place("resources", "limits")
    grace = get(target.pod, "terminationGracePeriodSeconds")
    target.grace_seconds = float(grace) if grace is not None else KUBERNETES_GRACE_SECONDS
    if target.workload is not None:
        path = (*container.path[:-2], "terminationGracePeriodSeconds")
        target.grace_place = place_of(target.workload.document, *path)
    _read_environment(target, container)


def _read_environment(target: KubernetesTarget, container: Container) -> None:
    for index, source in enumerate(items(container.values, "envFrom")):
        prefix = str(source.get("prefix") or "")
        if (name := get(source, "configMapRef", "name")) is not None:
            found = _config_map(target, str(name))
            if found is None and not get(source, "configMapRef", "optional"):
                target.is_complete = False
            for key, entry in (found or {}).items():
                target.environment[prefix + key] = entry
        if (name := get(source, "secretRef", "name")) is not None:
            target.from_secrets[f"{prefix}*"] = (str(name), container.place("envFrom", index))
    for index, variable in enumerate(items(container.values, "env")):
        name, place = str(variable.get("name")), container.place("env", index)
        if "value" in variable:
            target.environment[name] = (str(variable["value"]), place)
        if (key := get(variable, "valueFrom", "configMapKeyRef")) is not None:
            entries = _config_map(target, str(key.get("name"))) or {}
            if (referred := entries.get(str(key.get("key")))) is not None:
                target.environment[name] = referred
        if (key := get(variable, "valueFrom", "secretKeyRef")) is not None:
            target.from_secrets[name] = (str(key.get("name")), place)


def _config_map(target: KubernetesTarget, name: str) -> Variables | None:
    """The entries of a ConfigMap; None where there is none of that name."""
    for one in target.of_kind("ConfigMap"):
        if one.name == name:
            data = documents.mapping_at(one.document, "data")
            return {key: (str(value), data.places[key]) for key, value in data.items()}
    return None


def composed(root: Path, files: Files, service_name: str) -> ComposeTarget | None:
    """Read the Compose file and find the service in it; None without a file."""
    file = compose.load(root, files)
    if file is None:
        return None
    target = ComposeTarget(name="compose", file=file)
    for name, values in compose.services(file).items():
        one = Container(f"service {name}", "", values, file, ("services", name))
        target.containers.append(one)
        if is_own_image(one.image, service_name) and "command" not in values:
            target.replicas.append(one)
    if target.replicas:
        target.container = target.replicas[0]
        _read_service(target, target.container, root, files)
    return target


def _read_service(target: ComposeTarget, one: Container, root: Path, files: Files) -> None:
    cpu, memory = compose_limits(one.values)
    target.cpu = quantities.quantity(cpu) if cpu is not None else None
    target.memory_mib = quantities.compose_mebibytes(memory) if memory is not None else None
    target.limits_place = one.place("cpus")
    grace = quantities.seconds(one.values.get("stop_grace_period", ""))
    target.grace_seconds = COMPOSE_GRACE_SECONDS if grace is None else grace
    target.grace_place = one.place("stop_grace_period")
    target.environment = compose.environment(one.values, root, files)


def compose_limits(service: Mapping[str, object]) -> tuple[object, object]:
    """The limits of CPU and memory of a service; None for what is unlimited."""
    limits = get(service, "deploy", "resources", "limits") or {}
    return service.get("cpus", limits.get("cpus")), service.get("mem_limit", limits.get("memory"))


def is_own_image(image: str, service_name: str) -> bool:
    """Whether an image is the service's, as `make image` names it."""
    return ImageName.parse(image).short == service_name


def walk_targets(root: Path, files: Files, service_name: str, more: list[Path]) -> Iterator[Target]:
    """Every environment that the project is deployed to; `more` are overlays elsewhere."""
    for folder in [*overlays(root), *more]:
        yield kubernetes(folder, files)
    if (found := composed(root, files, service_name)) is not None:
        yield found
