"""Items about what liveness and readiness ask."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..dockerfile import Instruction
from ..documents import get
from ..item import Finding, Item, failed, noted, passed, skipped
from ..project import Project, Source
from ..source import Function, function_at, functions, names_in, own_nodes, route_paths
from ..target import KubernetesTarget, Target
from .server import settings_of

GROUP = "Health"

_LIVE_PATHS = ("/health/live", "/livez")
_READY_PATHS = ("/health/ready", "/readyz")
_LIVE_ROUTE = re.compile(r"/(health/)?(live|livez|liveness|alive|healthz|health|ping)/?$")
_HTTP = {"httpx", "httpx2", "requests", "aiohttp", "urllib", "urlopen", "urllib3", "upstreams",
         "Upstream", "upstream", "AsyncClient", "ClientSession"}  # fmt: skip
_OF_DEPENDENCY = re.compile(
    r"Database|Redis|SQLAlchemy|Upstream|Http|HTTP|Connection|Timeout|OSError|Circuit|Socket"
)


def _liveness(project: Project) -> Iterator[Finding]:
    file = project.dockerfile
    if file is not None:
        yield from _image_check(file.final.last("HEALTHCHECK"), file.final.place)
    for target in project.clusters:
        yield from _live_probe(target)
    for source in project.sources:
        yield from _live_code(source, project)


def _image_check(check: Instruction | None, place: Any) -> Iterator[Finding]:
    if check is None or check.rest.upper().startswith("NONE"):
        yield failed("the image has no HEALTHCHECK", check.place if check else place)
    elif re.search(r"\bready|\breadiness|/health\b(?!/live)(?!check)", check.rest):
        yield failed("HEALTHCHECK asks for readiness, and so for dependencies", check.place)
    else:
        yield passed(
            "healthcheck.py asks for liveness" if "healthcheck.py" in check.rest else check.rest
        )


def _live_probe(target: KubernetesTarget) -> Iterator[Finding]:
    if target.container is None:
        return
    probe = get(target.container.values, "livenessProbe")
    place = target.container.place("livenessProbe")
    if probe is None:
        text = "there is no liveness probe: what hangs is never restarted"
        yield failed(text, target.container.place(), target.name)
        return
    path = get(probe, "httpGet", "path")
    command = " ".join(str(word) for word in get(probe, "exec", "command") or [])
    if path is not None and str(path).rstrip("/") not in _LIVE_PATHS:
        text = f"the liveness probe asks {path}: a restart mends no dependency"
        place = target.container.place("livenessProbe", "httpGet", "path")
        yield failed(text, place, target.name)
    elif "ready" in command:
        yield failed("the liveness probe asks for readiness", place, target.name)
    elif path is None and not command:
        text = "the liveness probe only connects: an event loop that hangs still does"
        yield noted(text, place, target.name)
    else:
        yield passed(f"{target.name}: {path or command}", target.name)


def _live_code(source: Source, project: Project) -> Iterator[Finding]:
    probes = f"src/{project.package}/chassis/health/probes.py"
    registry = f"src/{project.package}/chassis/health/__init__.py"
    for function in functions(source.nodes):
        own = source.name in (probes, registry) and function.name == "live"
        routed = any(_LIVE_ROUTE.search(path) for path in route_paths(function))
        if (own or routed) and (what := _dependency(function, own=own)) is not None:
            text = f"{function.name} answers for liveness, and {what}"
            yield failed(text, source.place(function))
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler) and "BROKEN" in names_in(node):
            caught = ast.unparse(node.type) if node.type is not None else "anything"
            text = f"LivenessState.BROKEN is published for {caught}: a restart mends no dependency"
            certain = _OF_DEPENDENCY.search(caught)
            yield (failed if certain else noted)(text, source.place(node))


def _dependency(function: Function, *, own: bool) -> str | None:
    """What a function waits for or asks; None for one that answers by itself."""
    for node in own_nodes(function):
        if isinstance(node, ast.Await):
            return f"waits for {ast.unparse(node.value)[:60]}"
        if own and isinstance(node, ast.Attribute) and node.attr in ("_health", "_checks", "ask"):
            return f"looks at {ast.unparse(node)}"
    defaults = [*function.args.defaults, *function.args.kw_defaults]
    for default in [one for one in defaults if one is not None]:
        if "Depends" in names_in(default):
            return f"depends on {ast.unparse(default)}"
    for argument in function.args.args:
        if argument.annotation is not None and re.search(
            r"Database|Session|Redis|Connection", ast.unparse(argument.annotation)
        ):
            return f"depends on {ast.unparse(argument.annotation)}"
    return None


def _checks(project: Project) -> Iterator[tuple[Target, Mapping[str, Any], list[Any]]]:
    """Each environment with the answers and the checks that the application has there."""
    for target, found, _ in settings_of(project):
        service = found.service or {}
        if service.get("app") and service.get("settings"):
            yield target, service["settings"]["answers"], service["app"]["checks"]


def _readiness(project: Project) -> Iterator[Finding]:
    for target in project.clusters:
        yield from _ready_probe(target)
    known = False
    for where, answers, checks in _checks(project):
        known = True
        critical = [one["name"] for one in checks if one["critical"]]
        if answers["database"] != "none" and "database" not in critical:
            text = "the database is no critical check: pods without it go on getting requests"
            yield failed(text, project.evaluated(where).place("wsgi_app"), where.name)
        for one in checks:
            if one["critical"] and not one["probed"]:
                yield failed(f"{one['name']} is critical, but readiness doesn't ask it",
                             target=where.name)  # fmt: skip
        yield passed(
            f"critical: {', '.join(critical)}" if critical else "has no dependency", where.name
        )
    if not known:
        yield skipped("the checks aren't known")


def _ready_probe(target: KubernetesTarget) -> Iterator[Finding]:
    if target.container is None:
        return
    probe = get(target.container.values, "readinessProbe")
    if probe is None:
        text = "there is no readiness probe: pods get requests before they are ready"
        yield failed(text, target.container.place(), target.name)
        return
    path = get(probe, "httpGet", "path")
    if str(path).rstrip("/") not in _READY_PATHS:
        place = target.container.place("readinessProbe", "httpGet", "path")
        yield failed(f"the readiness probe asks {path}, not /health/ready", place, target.name)


def _external(project: Project) -> Iterator[Finding]:
    seen: set[str] = set()
    for target, _, checks in _checks(project):
        for one in checks:
            if not (one["critical"] or one["probed"]) or one["name"] in seen:
                continue
            seen.add(one["name"])
            if (found := _function(project, one)) is None:
                continue
            source, function = found
            if used := sorted(_HTTP & set(names_in(function))):
                text = f"the check {one['name']!r} calls another service ({', '.join(used)})"
                yield failed(text, source.place(function), target.name)
    if seen:
        yield passed(f"asks {', '.join(sorted(seen))}: no services of others")
    else:
        yield passed("readiness asks nobody")


def _function(project: Project, check: Mapping[str, Any]) -> tuple[Source, Function] | None:
    """The code of a check."""
    if check["file"] is None:
        return None
    name = project.files.name(Path(check["file"]))
    source = next((one for one in project.sources if one.name == name), None)
    function = function_at(source.nodes, check["line"]) if source else None
    return (source, function) if source and function else None


ITEMS = (
    Item(
        id="liveness",
        group=GROUP,
        title="Liveness asks no dependency",
        why="A liveness probe that fails restarts the container. When the database is away, every "
        "pod restarts over and over, and mends nothing.",
        mend="Ask /health/live. What else can fail belongs into readiness "
        "(service.health.register), or behind a breaker.",
        check=_liveness,
    ),
    Item(
        id="readiness",
        group=GROUP,
        title="Readiness asks everything critical",
        why="A pod that can't reach its own database answers each request with an error, and the "
        "Service goes on sending them.",
        mend="Ask /health/ready; register what the service can't do without as critical.",
        check=_readiness,
    ),
    Item(
        id="external-services",
        group=GROUP,
        title="No service of others stands in readiness",
        why="When the payment gateway is away, all pods turn not-ready at the same moment, and "
        "what would work without it is gone as well.",
        mend="Put it behind a breaker (service.upstream): its state shows in /health. If the "
        "service is your own and this one can't do without it, allow it in a comment.",
        check=_external,
    ),
)
