"""Items about limits of CPU and memory."""

from collections.abc import Iterator

from ..documents import get
from ..item import Finding, Item, failed, passed, skipped
from ..project import Project
from ..target import ComposeTarget, compose_limits

GROUP = "Resources"


def _limits(project: Project) -> Iterator[Finding]:
    for target in project.targets:
        if not target.containers:
            yield skipped("no containers are described")
            continue
        faults = []
        for container in target.containers:
            if isinstance(target, ComposeTarget):
                cpu, memory = compose_limits(container.values)
                place = container.place()
            else:
                limits = get(container.values, "resources", "limits") or {}
                cpu, memory = limits.get("cpu"), limits.get("memory")
                place = container.place("resources", "limits")
            missing = [name for name, value in (("CPU", cpu), ("memory", memory)) if value is None]
            if missing:
                text = f"{container} has no limit of {' and '.join(missing)}"
                faults.append(failed(text, place, target.name))
        yield from faults
        if not faults:
            yield passed(f"{target.name}: {len(target.containers)} containers", target.name)


ITEMS = (
    Item(
        id="limits",
        group=GROUP,
        title="Every container has limits of CPU and memory",
        why="A container without a limit takes what its neighbours need, and the kernel's choice "
        "of whom to kill is nobody's plan. The worker count is read from these limits.",
        mend="resources.limits with cpu and memory; in Compose cpus and mem_limit.",
        check=_limits,
    ),
)
