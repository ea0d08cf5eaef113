"""Items about what the service tells: log lines, metrics, request ids."""

import ast
import json
from collections.abc import Iterator
from typing import Any

from ..documents import items, mapping_at
from ..evaluation import Evaluated
from ..item import Finding, Item, failed, passed, skipped
from ..probe.service import REQUEST_ID
from ..project import Project
from ..source import calls
from ..target import KubernetesTarget, Target
from .server import settings_of

GROUP = "Observability"

_FIELDS = ("timestamp", "level", "logger", "message", "pid")
_OWN_HANDLERS = {"logging.basicConfig", "logging.config.dictConfig", "logging.config.fileConfig"}
_ANNOTATION = "prometheus.io/"


def _log_entries(found: Evaluated) -> tuple[list[dict[str, Any]], list[str]]:
    """The lines of the log, those that are JSON and those that aren't."""
    entries, others = [], []
    for line in found.log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if isinstance(entry, dict):
            entries.append(entry)
        elif line.strip():
            others.append(line)
    return entries, others


def _json_logs(project: Project) -> Iterator[Finding]:
    asked = False
    for target, found, settings in settings_of(project):
        if not (found.service or {}).get("app"):
            continue
        asked = True
        entries, others = _log_entries(found)
        wrong = next((one for one in entries if not set(_FIELDS) <= set(one)), None)
        variable = target.environment.get("LOG_FORMAT")
        if others:
            place = variable[1] if variable else found.place("logconfig_dict")
            yield failed(f"a line isn't JSON: {others[0].strip()[:60]}", place, target.name)
        elif wrong is not None:
            missing = ", ".join(sorted(set(_FIELDS) - set(wrong)))
            yield failed(f"a line has no {missing}", found.place("logconfig_dict"), target.name)
        elif settings.get("accesslog"):
            text = (
                f"accesslog = {settings['accesslog']!r} writes plain lines beside the service's own"
            )
            yield failed(text, found.place("accesslog"), target.name)
        elif not settings.get("logconfig_dict"):
            text = "logconfig_dict isn't the chassis', so Gunicorn writes plain lines"
            yield failed(text, found.place("logconfig_dict"), target.name)
        else:
            yield passed("of the service, of libraries, and what is printed", target.name)
    for source in project.sources:
        for call in calls(source.nodes):
            if ast.unparse(call.func) in _OWN_HANDLERS:
                text = f"{ast.unparse(call.func)} brings a second, plain format"
                yield failed(text, source.place(call))
    if not asked:
        yield skipped("the service's log isn't known")


def _metrics(project: Project) -> Iterator[Finding]:
    for target, found, _ in settings_of(project):
        told = (found.service or {}).get("settings")
        if not told:
            yield skipped("where metrics are isn't known")
        elif not told["management"]:
            variable = target.environment.get("MANAGEMENT_BIND_ADDRESS")
            text = "MANAGEMENT_BIND_ADDRESS is empty, so there are no metrics"
            yield failed(text, variable[1] if variable else found.place("bind"), target.name)
        elif told["management"] not in (found.settings.get("bind") or []):
            text = f"bind doesn't have the management address {told['management']}"
            yield failed(text, found.place("bind"), target.name)
        else:
            port = str(told["management"]).rpartition(":")[2]
            faults = list(_ports(target, port))
            yield from faults
            if not faults:
                yield passed(f"/metrics on port {port}", target.name)


def _ports(target: Target, port: str) -> Iterator[Finding]:
    """Where the platform looks for metrics, if that isn't where they are."""
    if not isinstance(target, KubernetesTarget) or target.container is None:
        return
    names = {
        str(one.get("name")): str(one.get("containerPort"))
        for one in items(target.container.values, "ports")
    }
    if names and port not in names.values():
        place = target.container.place("ports")
        yield failed(f"the container has no port {port}", place, target.name)
    template = target.workload.pod_template if target.workload else None
    annotations = mapping_at(template, "metadata", "annotations")
    told = annotations.get(f"{_ANNOTATION}port")
    if told is not None and str(told) != port:
        place = annotations.places[f"{_ANNOTATION}port"]
        yield failed(
            f"Prometheus is sent to port {told}, metrics are on {port}", place, target.name
        )
    path = annotations.get(f"{_ANNOTATION}path", "/metrics")
    if path != "/metrics":
        place = annotations.places[f"{_ANNOTATION}path"]
        yield failed(f"Prometheus is sent to {path}, not /metrics", place, target.name)


def _request_id(project: Project) -> Iterator[Finding]:
    asked = False
    for target, found, _ in settings_of(project):
        app = (found.service or {}).get("app")
        if not app:
            continue
        asked = True
        entries, _others = _log_entries(found)
        logged = any(one.get("request_id") == REQUEST_ID for one in entries if "status_code" in one)
        place = found.place("wsgi_app")
        if app["request_id"] != REQUEST_ID:
            told = app["request_id"] or "none"
            text = f"a request with X-Request-ID {REQUEST_ID} is answered with {told}"
            yield failed(text, place, target.name)
        elif not logged:
            # Where the log's lines aren't JSON, that is what has to be mended.
            plain = any(REQUEST_ID in line for line in _others)
            if not plain:
                yield failed("the access line doesn't have the request's id", place, target.name)
        else:
            yield passed("in the answer and in the log", target.name)
    if not asked:
        yield skipped("the application isn't known")


ITEMS = (
    Item(
        id="json-logs",
        group=GROUP,
        title="Every log line is a JSON object",
        why="One plain line among them, and a traceback is twenty entries that nobody can find.",
        mend="Leave LOG_FORMAT=json in every deployment, use get_logger of the chassis, and add no "
        "handlers.",
        check=_json_logs,
    ),
    Item(
        id="metrics",
        group=GROUP,
        title="/metrics is served, and where Prometheus looks",
        why="Alerts and the autoscaler's graphs are blind without them, and an alert that gets no "
        "data doesn't fire.",
        mend="Keep MANAGEMENT_BIND_ADDRESS, its port in the container, and the scraping component "
        "in agreement.",
        check=_metrics,
    ),
    Item(
        id="request-id",
        group=GROUP,
        title="A request's id is in its answer and in its log lines",
        why="It is how a customer's complaint finds the lines that belong to it.",
        mend="Keep the application that create_app makes: its outermost layer sees to it.",
        check=_request_id,
    ),
)
