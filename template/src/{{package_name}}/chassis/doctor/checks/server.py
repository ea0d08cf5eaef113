"""Items about Gunicorn: its workers, how many, and when they are replaced.

These also examine a configuration from elsewhere (`--gunicorn`).
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from ...capacity.sizing import memory_for, reserve, workers_for_cpu
from ..evaluation import Evaluated
from ..item import Finding, Item, failed, noted, passed, skipped
from ..project import Project
from ..target import Target

GROUP = "Server"

DEFAULTS: dict[str, Any] = {
    "workers": 1,
    "worker_class": "sync",
    "worker_connections": 1000,
    "max_requests": 0,
    "max_requests_jitter": 0,
    "timeout": 30,
    "graceful_timeout": 30,
}
"""Gunicorn's own, for what a file doesn't say: https://docs.gunicorn.org/en/stable/settings.html"""

LEAST_TIMEOUT = 30
RIGHT_TIMEOUT = 120
REQUESTS = (1000, 5000)
JITTER = (100, 500)
CONNECTIONS = (1000, 2000)
RIGHT_REQUESTS, RIGHT_JITTER = 2000, 200


def settings_of(
    project: Project,
) -> Iterator[tuple[Target, Evaluated, dict[str, Any]]]:
    """Each environment with what Gunicorn is set to there; those that don't start are left out."""
    for target in project.targets:
        found = project.evaluated(target)
        if found.error is None:
            yield target, found, {**DEFAULTS, **found.settings}


def _worker_class(project: Project) -> Iterator[Finding]:
    for target, found, settings in settings_of(project):
        name, place = str(settings["worker_class"]), found.place("worker_class")
        shown = f"worker_class = {name}"
        if "worker_class" not in found.settings and project.foreign:
            text = (
                "worker_class isn't set: workers are sync, unless the command line says otherwise"
            )
            yield noted(text, place, target.name)
        elif name.startswith("uvicorn.workers"):
            new = "uvicorn_worker.UvicornWorker, of the package uvicorn-worker"
            text = f"{shown} is deprecated: the class is now {new}"
            yield noted(text, place, target.name)
        elif is_uvicorn(name, found.worker_mro):
            yield passed(name, target.name)
        elif found.worker_mro is None and name not in _OWN_WORKERS:
            yield noted(f"{shown} can't be imported here, so it isn't known", place, target.name)
        else:
            text = f"{shown} isn't an ASGI worker of Uvicorn's: FastAPI doesn't run on it"
            yield failed(text, place, target.name)


_OWN_WORKERS = {"sync", "eventlet", "gevent", "gevent_pywsgi", "tornado", "gthread", "asgi"}
"""The short names that Gunicorn has for its own."""


def is_uvicorn(name: str, mro: list[str] | None) -> bool:
    """Whether a worker class is, or is made of, the one for Uvicorn."""
    return name.startswith("uvicorn_worker.") or any(
        one.startswith(("uvicorn_worker.", "uvicorn.workers.")) for one in mro or []
    )


class Room(NamedTuple):
    """How many workers a container can carry, and why."""

    cpu: float
    memory_mib: int
    per_worker_mib: int
    cpu_bound: int
    memory_bound: int

    @property
    def workers(self) -> int:
        """How many that makes; one there always is."""
        return max(1, min(self.cpu_bound, self.memory_bound))

    def __str__(self) -> str:
        fed, held = self.cpu_bound, self.memory_bound
        return f"{self.cpu:g} CPU feed {fed}, {self.memory_mib} MiB hold {held}"


def room_for(project: Project, target: Target, found: Evaluated) -> Room:
    """What the container of an environment can carry, by its limits or else the answers."""
    workload: Literal["io", "cpu"] = "io"
    cpu, memory, each = target.cpu, target.memory_mib, 150
    if project.foreign is not None:
        workload, each = project.foreign.workload, project.foreign.memory_per_worker_mib
    elif found.service and found.service["settings"]:
        answers = found.service["settings"]["answers"]
        workload, each = answers["workload"], answers["memory_per_worker_mib"]
        cpu = answers["cpu_limit"] if cpu is None else cpu
        memory = answers["memory_limit_mib"] if memory is None else memory
    cpu, memory = cpu or 1.0, memory or 1024
    held = (memory - reserve(memory)) // each
    return Room(cpu, memory, each, workers_for_cpu(cpu, workload), held)


def _workers(project: Project) -> Iterator[Finding]:
    for target, found, settings in settings_of(project):
        workers, room = settings["workers"], room_for(project, target, found)
        variable = target.environment.get("WEB_CONCURRENCY")
        place = variable[1] if variable else found.place("workers")
        if not isinstance(workers, int) or workers < 1:
            yield failed(f"workers = {workers} is no number of workers", place, target.name)
        elif workers > room.workers:
            needed = memory_for(workers, room.per_worker_mib)
            text = (
                f"workers = {workers}, right is {room.workers}: {room}"
                f"{f' ({workers} would need {needed} MiB)' if workers > room.memory_bound else ''}"
                f"{_counts_cores(project, target, workers)}"
            )
            yield failed(text, place, target.name)
        elif workers < room.workers and (project.foreign or variable):
            yield noted(f"workers = {workers}, and {room.workers} would fit: {room}", place,
                        target.name)  # fmt: skip
        else:
            yield passed(f"{workers}: {room}", target.name)


def _counts_cores(project: Project, target: Target, workers: int) -> str:
    """Whether it is the host's cores that it counts: on a host of few there are fewer."""
    small = dataclasses.replace(target.conditions, host_cpus=math.ceil(target.cpu or 1))
    fewer = project.under(small).settings.get("workers", workers)
    if fewer == workers:
        return ""
    host = target.conditions.host_cpus
    return f"; it counts the host's cores, of which there may be {host}, and not the limit"


def _recycling(project: Project) -> Iterator[Finding]:
    right = f"right is max_requests = {RIGHT_REQUESTS} with max_requests_jitter = {RIGHT_JITTER}"
    for target, found, settings in settings_of(project):
        requests, jitter = settings["max_requests"], settings["max_requests_jitter"]
        if not REQUESTS[0] <= requests <= REQUESTS[1]:
            variable, name = target.environment.get("MAX_REQUESTS"), "max_requests"
            reason = (
                "no worker is ever replaced, so what leaks adds up"
                if requests == 0
                else f"{REQUESTS[0]} to {REQUESTS[1]} is neither all the time nor never"
            )
            text = f"max_requests = {requests}: {reason}; {right}"
        elif not JITTER[0] <= jitter <= JITTER[1]:
            variable, name = target.environment.get("MAX_REQUESTS_JITTER"), "max_requests_jitter"
            reason = (
                "all workers are replaced at the same time"
                if jitter < JITTER[0]
                else ("so much chance makes the number above meaningless")
            )
            text = f"max_requests_jitter = {jitter}: {reason}; {right}"
        else:
            yield passed(f"replaced after {requests} requests and up to {jitter} more", target.name)
            continue
        yield failed(text, variable[1] if variable else found.place(name), target.name)


def _connections(project: Project) -> Iterator[Finding]:
    for target, found, settings in settings_of(project):
        value = settings["worker_connections"]
        if CONNECTIONS[0] <= value <= CONNECTIONS[1]:
            yield passed(f"{value} a worker", target.name)
            continue
        variable = target.environment.get("WORKER_CONNECTIONS")
        place = variable[1] if variable else found.place("worker_connections")
        text = f"worker_connections = {value}, right is {CONNECTIONS[0]} to {CONNECTIONS[1]}"
        yield failed(text, place, target.name)


def _timeout(project: Project) -> Iterator[Finding]:
    for target, found, settings in settings_of(project):
        value = settings["timeout"]
        if value >= LEAST_TIMEOUT:
            yield passed(f"killed after {value} s without a heartbeat", target.name)
            continue
        variable = target.environment.get("WORKER_TIMEOUT_SECONDS")
        place = variable[1] if variable else found.place("timeout")
        reason = (
            "a worker that hangs is never noticed"
            if value == 0
            else "a worker that is only busy is killed, with all its requests"
        )
        text = f"timeout = {value}: {reason}; right is {RIGHT_TIMEOUT}, at least {LEAST_TIMEOUT}"
        yield failed(text, place, target.name)


def _preload(project: Project) -> Iterator[Finding]:
    for target, found, settings in settings_of(project):
        if settings.get("preload_app"):
            yield passed("the application is loaded before the fork", target.name)
        elif project.foreign:
            text = "preload_app is off: each worker has all of the application's memory to itself"
            yield noted(text, found.place("preload_app"), target.name)
        else:
            text = "preload_app is off: the master has no application to prepare before it forks"
            yield failed(text, found.place("preload_app"), target.name)
    if not project.targets:
        yield skipped("no environment")


ITEMS = (
    Item(
        id="worker-class",
        group=GROUP,
        title="Gunicorn runs Uvicorn's workers",
        why="A sync worker serves one request at a time and can't run an ASGI application; "
        "uvicorn.workers is deprecated and will go.",
        mend='worker_class = "uvicorn_worker.UvicornWorker" (package uvicorn-worker), or the '
        "chassis' own Worker, which loses no request when it stops.",
        check=_worker_class,
    ),
    Item(
        id="workers",
        group=GROUP,
        title="The number of workers fits CPU and memory",
        why="A worker too many waits for CPU, and where the memory doesn't hold them the kernel "
        "kills one after the other.",
        mend="Leave it to the chassis, which reads the container's limits; or workers = max(1, "
        "min(floor(2 x CPU + 1), (memory - a quarter) // 150 MiB)).",
        check=_workers,
    ),
    Item(
        id="recycling",
        group=GROUP,
        title="Workers are replaced now and then, and not all at once",
        why="Every long-lived Python process leaks a little. Without jitter all workers reach the "
        "number together, and for a second nobody serves.",
        mend="max_requests = 2000 and max_requests_jitter = 200 (MAX_REQUESTS, "
        "MAX_REQUESTS_JITTER).",
        check=_recycling,
    ),
    Item(
        id="worker-connections",
        group=GROUP,
        title="A worker takes 1000 to 2000 connections",
        why="Fewer refuses what the worker could serve; more is memory that nobody has counted.",
        mend="worker_connections = 1000 (WORKER_CONNECTIONS).",
        check=_connections,
    ),
    Item(
        id="timeout",
        group=GROUP,
        title="A worker is given 30 s or more before it is killed for hanging",
        why="It is a heartbeat, not a request's deadline: too short and a collection of garbage or "
        "a slow disk kills every request of the worker.",
        mend="timeout = 120 (WORKER_TIMEOUT_SECONDS); bound requests by REQUEST_TIMEOUT_SECONDS.",
        check=_timeout,
    ),
    Item(
        id="preload",
        group=GROUP,
        title="The application is loaded before the fork",
        why="Workers then share its memory, a fault in it stops the boot rather than each worker, "
        "and a replacement starts at once.",
        mend="preload_app = True, with nothing opened at import.",
        check=_preload,
    ),
)
