"""Items about a stop: that its durations fit into each other, and that its order is right."""

import ast
import re
from collections.abc import Iterator

from ...capacity.budget import GRACE_HEADROOM_SECONDS, GRACE_MARGIN_SECONDS
from ..documents import get
from ..item import Finding, Item, failed, noted, passed, skipped
from ..place import Place
from ..project import Project, Source
from ..quantities import seconds
from ..source import after_yield, assigned_name, calls, lifespans
from ..target import KubernetesTarget, Target
from .server import is_uvicorn, settings_of

GROUP = "Shutdown"

RIGHT_GRACEFUL = 30

_HOOKS = ("when_ready", "on_reload", "pre_fork", "post_fork", "child_exit")
_FLAG = re.compile(
    r"(^|_)(not_?)?(ready|readiness|accepting|draining|shutting_?down|healthy)(_|$)", re.IGNORECASE
)
_REFUSING = "REFUSING_TRAFFIC"


def _grace(project: Project) -> Iterator[Finding]:
    for target, found, settings in settings_of(project):
        graceful = float(settings["graceful_timeout"])
        before = _pre_stop(target)
        if target.grace_seconds is None:
            yield skipped("the platform's grace period isn't known")
            continue
        needed = graceful + GRACE_MARGIN_SECONDS + before
        platform = target.grace_seconds
        sum_ = (
            f"{graceful:g} + {GRACE_MARGIN_SECONDS}{f' + {before:g} of preStop' if before else ''}"
        )
        if needed <= platform:
            yield passed(f"graceful {sum_} within the platform's {platform:g} s", target.name)
            continue
        foreign = project.foreign is not None
        place = found.place("graceful_timeout") if foreign else target.grace_place
        fits = platform >= GRACE_MARGIN_SECONDS + RIGHT_GRACEFUL
        right = (
            f"right is graceful_timeout = {RIGHT_GRACEFUL}, or "
            if foreign and fits
            else ("right is ")
        )
        enough = needed + GRACE_HEADROOM_SECONDS
        text = (
            f"graceful_timeout = {graceful:g}: {sum_} = {needed:g} s, but the platform kills after "
            f"{platform:g}; {right}a termination grace above {needed:g}, for example {enough:g}"
        )
        yield failed(text, place, target.name)


def _pre_stop(target: Target) -> float:
    """What a preStop hook sleeps, in seconds: it counts against the grace period."""
    if not isinstance(target, KubernetesTarget) or target.container is None:
        return 0
    hook = get(target.container.values, "lifecycle", "preStop")
    slept = get(hook, "sleep", "seconds")
    if slept is None:
        command = " ".join(str(word) for word in get(hook, "exec", "command") or [])
        match = re.search(r"sleep (\S+)", command)
        slept = match[1].strip("'\"") if match else 0
    return seconds(slept) or 0


def _budget(project: Project) -> Iterator[Finding]:
    for target, found, settings in settings_of(project):
        told = (found.service or {}).get("settings")
        if not told:
            yield skipped("only a generated service says how long its parts may take")
            continue
        budget, graceful = told["budget"], float(settings["graceful_timeout"])
        parts = {name: budget[name] for name in ("drain", "linger", "request", "close")}
        needed = sum(parts.values())
        sum_ = " + ".join(f"{name} {part:g}" for name, part in parts.items())
        if needed <= graceful:
            yield passed(f"{sum_} within graceful {graceful:g} s", target.name)
        else:
            text = (
                f"{sum_} = {needed:g} s, but Gunicorn kills after graceful_timeout = {graceful:g}"
            )
            yield failed(text, found.place("graceful_timeout"), target.name)


def _order(project: Project) -> Iterator[Finding]:
    if project.package is None:
        yield skipped("the code isn't known")
        return
    for target, found, settings in settings_of(project):
        own = f"{project.package}.chassis.server.worker.Worker"
        name = str(settings["worker_class"])
        # One that isn't Uvicorn's at all is the fault of another item.
        if own not in (found.worker_mro or []) and is_uvicorn(name, found.worker_mro):
            text = f"{name} doesn't drain: it closes the listener first"
            yield failed(text, found.place("worker_class"), target.name)
    yield from _hooks(project)
    faults = list(_flips(project))
    yield from faults
    if not faults:
        yield passed("not ready, drain, serve what is there, close")


def _hooks(project: Project) -> Iterator[Finding]:
    text = project.files.read(project.gunicorn)
    used = {
        node.attr
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "master"
    }
    for hook in _HOOKS:
        if hook not in used:
            name = project.files.name(project.gunicorn)
            said = f"the hook {hook} isn't the chassis': a stop isn't announced to the workers"
            yield failed(said, Place(name, 1))


def _flips(project: Project) -> Iterator[Finding]:
    """Readiness that is changed in a lifespan after `yield`, when nobody asks any more."""
    for source in project.sources:
        for function in lifespans(source.nodes):
            for statement in after_yield(function):
                if (what := _flip(statement)) is not None:
                    text = f"{what} after `yield` of {function.name}: nobody can connect by then"
                    yield failed(text, source.place(statement))
            yield from _sleeps(source, function)


def _flip(statement: ast.stmt) -> str | None:
    for node in ast.walk(statement):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if _FLAG.search(name := assigned_name(target)):
                    return f"{name} is set"
        elif isinstance(node, ast.Attribute) and node.attr == _REFUSING:
            return f"{_REFUSING} is published"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = node.func.attr
            if called.startswith(("set_", "mark_")) and _FLAG.search(called):
                return f"{called}() is called"
    return None


def _sleeps(source: Source, function: ast.AsyncFunctionDef) -> Iterator[Finding]:
    for statement in after_yield(function):
        for call in calls(ast.walk(statement)):
            if ast.unparse(call.func) in ("asyncio.sleep", "anyio.sleep", "time.sleep"):
                text = f"{function.name} sleeps after `yield`: the listener is closed by then"
                yield noted(text, source.place(call))


ITEMS = (
    Item(
        id="grace",
        group=GROUP,
        title="The platform waits longer than Gunicorn does",
        why="The platform kills the whole container when its patience ends. If Gunicorn's is "
        "longer, requests in flight die with it, and so does the master before it has reaped.",
        mend="graceful_timeout + 10 within terminationGracePeriodSeconds (stop_grace_period); tell "
        "the service too: TERMINATION_GRACE_SECONDS.",
        check=_grace,
    ),
    Item(
        id="drain-budget",
        group=GROUP,
        title="Drain, linger, request and close fit into graceful_timeout",
        why="Gunicorn kills a worker that isn't done by then, with what it still serves.",
        mend="Raise GRACEFUL_TIMEOUT_SECONDS (and the platform's period with it), or lower "
        "DRAIN_SECONDS or REQUEST_TIMEOUT_SECONDS.",
        check=_budget,
    ),
    Item(
        id="shutdown-order",
        group=GROUP,
        title="A stop says not-ready first, drains, and cleans up last",
        why="When the lifespan's part after `yield` runs, Uvicorn has closed the listener already: "
        "the probe can't connect, and new connections are reset. Measured: 64 of 5,356 requests.",
        mend="Leave it to the chassis: it turns not-ready on SIGTERM, while it still accepts. "
        "After `yield` only close resources; keep the chassis' worker class and hooks.",
        check=_order,
    ),
)
