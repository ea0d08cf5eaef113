"""The item about the database's connections."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..documents import get
from ..item import Finding, Item, failed, passed, skipped
from ..place import Place
from ..project import Project
from ..target import ComposeTarget, KubernetesTarget, Target
from .server import room_for, settings_of

GROUP = "Resources"

RESERVED_CONNECTIONS = 10
"""What is left to others; as in the chassis' database part, which not every service has."""

_MAX_CONNECTIONS = re.compile(r"max_connections\s*=\s*([0-9]+)")


def _pool(project: Project) -> Iterator[Finding]:
    for target, found, settings in settings_of(project):
        told = (found.service or {}).get("settings") or {}
        pool = told.get("pool")
        if not pool or told["answers"]["database"] != "postgresql":
            yield skipped("no database that counts connections")
            continue
        # Workers too many are the fault of another item: here they are as many as should be.
        workers = min(int(settings["workers"]), room_for(project, target, found).workers)
        limit, answered = told["max_connections"], told["answers"]["replicas_max"]
        size = _size(pool, workers, limit, answered)
        sharers, shown, place = _sharers(target, workers, answered)
        needed = size * sharers + RESERVED_CONNECTIONS
        sum_ = f"{size} x {shown} + {RESERVED_CONNECTIONS} = {needed}"
        if needed > limit or size < 1:
            text = f"{sum_} connections in the middle of a rollout, but the database takes {limit}"
            variable = target.environment.get("DATABASE_POOL_SIZE")
            at = variable[1] if variable else place or found.place("workers")
            yield failed(text, at, target.name)
        else:
            yield passed(f"{sum_} of {limit}", target.name)
        yield from _server(target, limit)


def _size(pool: Mapping[str, Any], workers: int, limit: int, replicas_max: int) -> int:
    """The connections of a worker, as the running service shares them out (SPEC I3)."""
    override = pool["considered"].get("override")
    sharers = workers * (2 * replicas_max + 1)
    return int((limit - RESERVED_CONNECTIONS) // sharers if override is None else override)


def _sharers(target: Target, workers: int, replicas_max: int) -> tuple[int, str, Place | None]:
    """How many workers there are at most at once, the sum in words, and where it stands."""
    if isinstance(target, ComposeTarget):
        count = max(1, len(target.replicas))
        return workers * count, f"{workers} workers x {count}", None
    replicas, surge, place = replicas_max, 1, None
    if isinstance(target, KubernetesTarget) and target.workload is not None:
        document = target.workload.document
        if (told := get(document, "spec", "replicas")) is not None:
            replicas, place = int(told), document["spec"].places["replicas"]
        for scaler in target.of_kind("HorizontalPodAutoscaler"):
            if get(scaler.document, "spec", "scaleTargetRef", "name") == target.workload.name:
                replicas = int(get(scaler.document, "spec", "maxReplicas") or replicas)
                place = scaler.document["spec"].places.get("maxReplicas")
        surge = _count(get(document, "spec", "strategy", "rollingUpdate", "maxSurge"), replicas)
    return (
        workers * (2 * replicas + surge),
        f"{workers} workers x (2 x {replicas} + {surge})",
        place,
    )


def _count(surge: Any, replicas: int) -> int:
    """A number of pods, or a percentage of them, rounded up; a quarter where nothing is said."""
    text = str("25%" if surge is None else surge)
    if text.endswith("%"):
        return math.ceil(replicas * float(text[:-1]) / 100)
    return int(text)


def _server(target: Target, limit: int) -> Iterator[Finding]:
    """The server that Compose starts, if it takes fewer connections than the service believes."""
    for container in target.containers if isinstance(target, ComposeTarget) else []:
        command = container.values.get("command")
        words = " ".join(map(str, command)) if isinstance(command, list) else str(command or "")
        if (match := _MAX_CONNECTIONS.search(words)) and int(match[1]) < limit:
            text = f"PostgreSQL takes {match[1]} connections, but the service counts on {limit}"
            yield failed(text, container.place("command"), target.name)


ITEMS = (
    Item(
        id="pool-budget",
        group=GROUP,
        title="The database takes all connections, in the middle of a rollout too",
        why="Old pods drain beside new ones, so there are twice as many. A database that is full "
        "refuses the ones that matter: 5 workers x 3 replicas x 20 = 300 break a default 100.",
        mend="Leave DATABASE_POOL_SIZE to the chassis; raise the database's max_connections and "
        "DATABASE_MAX_CONNECTIONS, or lower replicas or workers.",
        check=_pool,
    ),
)
