"""Items about the project as a whole: it can be read, and the service would start."""

from collections.abc import Iterator

from ..documents import Mapping, get, items, place_of
from ..item import Finding, Item, failed, noted, passed, skipped
from ..kustomize.references import references
from ..project import Project
from ..target import KubernetesTarget

GROUP = "Project"


def _settings(project: Project) -> Iterator[Finding]:
    for target in project.targets:
        found = project.evaluated(target)
        name = target.name or None
        service = found.service or {}
        if found.error is not None and not target.is_complete:
            yield skipped("a ConfigMap is missing, and so settings are")
        elif found.error is not None:
            yield failed(f"it would not start: {found.error}", found.place("settings"), name)
        elif service.get("app_error"):
            text = f"the application can't be imported: {service['app_error']}"
            yield failed(text, found.place("wsgi_app"), name)
        else:
            assumed = ", ".join(sorted(found.assumed))
            yield passed(f"it starts, given {assumed} in secrets" if assumed else "it starts", name)


def _manifests(project: Project) -> Iterator[Finding]:
    if not project.clusters:
        yield skipped("there are no manifests")
    for target in project.clusters:
        for problem in target.built.broken:
            yield failed(problem.text, problem.place, target.name)
        for problem in target.built.unsupported:
            yield noted(problem.text, problem.place, target.name)
        if target.container is None:
            yield failed("no Deployment has a container named `service`", target=target.name)
        yield from _unresolved(target)
        yield passed(f"{target.name}: {len(target.built.resources)} objects", target.name)


def _unresolved(target: KubernetesTarget) -> Iterator[Finding]:
    """What is named but made by nobody; Secrets come from elsewhere."""
    names = {(one.kind, one.name) for one in target.built.resources}
    for resource in target.built.resources:
        for mapping, key, kind in references(resource):
            named = mapping.get(key)
            if kind not in ("ConfigMap", "ServiceAccount", "Deployment") or not named:
                continue
            if (kind, named) not in names and not mapping.get("optional") and named != "default":
                place = place_of(mapping, key)
                yield failed(f"{resource} names {kind} {named}, which nothing makes", place,
                             target.name)  # fmt: skip
    for container in target.containers:
        pod = get(container.root, *container.path[:-2])
        volumes = {str(one.get("name")) for one in items(pod, "volumes")}
        for index, mount in enumerate(items(container.values, "volumeMounts")):
            if isinstance(mount, Mapping) and str(mount.get("name")) not in volumes:
                place = container.place("volumeMounts", index)
                yield failed(f"{container} mounts {mount.get('name')}, which is no volume", place,
                             target.name)  # fmt: skip


ITEMS = (
    Item(
        id="settings",
        group=GROUP,
        title="The service starts with the settings of each environment",
        why="A setting that is refused stops every pod of a rollout, and a set of durations that "
        "doesn't add up loses requests at each stop.",
        mend="Set what the sentence names, in the overlay's settings.env, deploy/compose/"
        "service.env or wherever it stands.",
        check=_settings,
    ),
    Item(
        id="manifests",
        group=GROUP,
        title="The manifests can be built, and all that they name is there",
        why="What can't be built can't be rolled out, and a pod that names what nobody makes "
        "never starts.",
        mend="Look at the line: a file, an object or a field there is missing or misspelt. What is "
        "only noted isn't understood by this tool: look at `kubectl kustomize` yourself.",
        check=_manifests,
    ),
)
