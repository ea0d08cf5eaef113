"""What the service is once its configuration is evaluated: settings, checks, and how it answers.

In the evaluating process only (`gunicorn_file`). Importing the application opens nothing: that is
the chassis' own rule. One request is sent through it, in memory, to see what becomes of its id and
what the log's lines look like.
"""

import asyncio
import dataclasses
import importlib
import logging
import os
from typing import Any

from pydantic import HttpUrl, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from ...answers import Answers
from ...capacity import cgroup
from ...health import HealthRegistry
from ...logs.pipeline import pipeline
from ...service import Service
from ...settings import ChassisSettings, SettingsError, load_settings

REQUEST_ID = "doctor-0123456789"
"""The id of the request that is sent."""


def before(request: dict[str, Any]) -> list[str]:
    """Pretend the container's limits, and set what only a Secret knows. Returns those names."""
    limits = cgroup.Limits(cpu=request["cpu"], memory_mib=request["memory_mib"])
    cgroup.read_limits = lambda *_args: limits
    cgroup.read_affinity = lambda: None
    return _assume(importlib.import_module(f"{request['package']}.settings").Settings)


def _assume(settings: type[ChassisSettings]) -> list[str]:
    """Give a value to what is missing, as long as that is all that is wrong."""
    assumed: list[str] = []
    line = _refusal(settings)
    while line is not None:
        for name in _missing(settings, line):
            os.environ[name] = _value(name, settings.model_fields[name.lower()], settings.answers)
            next_line = _refusal(settings)
            if next_line is None or name not in next_line:
                assumed.append(name)
                line = next_line
                break
            del os.environ[name]  # of several that would do it is another one
        else:
            break
    return assumed


def _refusal(settings: type[ChassisSettings]) -> str | None:
    try:
        load_settings(settings)
    except SettingsError as error:
        return str(error)
    return None


def _missing(settings: type[ChassisSettings], line: str) -> list[str]:
    """The settings that a refusal misses and that may well be in the Secret, secret ones first.

    Where one of several will do, which one is found out when nothing else is missing any more.
    """
    given = {name.upper() for name in os.environ}
    fields = sorted(settings.model_fields.items(), key=lambda pair: not is_secret(pair[1]))
    names = [name.upper() for name, _ in fields if name.upper() not in given]
    missing = [name for name in names if f"{name} is missing" in line]
    one_of = [name for name in names if name in line] if "set exactly one of" in line else []
    return missing or one_of


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting's type says that it is secret."""
    return any(kind.__name__ in repr(field.annotation) for kind in (SecretStr, SecretBytes))


def _value(name: str, field: FieldInfo, answers: Answers) -> str:
    """One that its type lets pass, most likely."""
    kind = repr(field.annotation)
    if name == "DATABASE_URL":
        return f"{answers.database}://doctor@localhost/doctor"
    if name == "REDIS_URL":
        return "redis://localhost:6379/0"
    if HttpUrl.__name__ in kind or name.endswith("_URL"):
        return "https://localhost"
    if "int" in kind or "float" in kind:
        bounds = [getattr(one, "ge", None) for one in field.metadata]
        return str(next((bound for bound in bounds if bound is not None), 1))
    return "true" if "bool" in kind else "0" * 64


def after(namespace: dict[str, Any]) -> dict[str, Any]:
    """What there is to tell once the configuration has been evaluated."""
    told: dict[str, Any] = {"settings": None, "app": None, "app_error": None}
    settings = namespace.get("settings")
    if isinstance(settings, ChassisSettings):
        told["settings"] = _settings(settings, namespace.get("workers"))
    try:
        module, _, name = str(namespace.get("wsgi_app", "")).partition(":")
        told["app"] = _app(getattr(importlib.import_module(module), name or "application"))
    except BaseException as error:  # it is the user's code
        told["app_error"] = f"{type(error).__name__}: {error}"
    pipeline.sink.flush()
    return told


def _settings(settings: ChassisSettings, workers: object) -> dict[str, Any]:
    fields = type(settings).model_fields
    told: dict[str, Any] = {
        "answers": dataclasses.asdict(settings.answers),
        "budget": dataclasses.asdict(settings.budget),
        "secret_names": [name for name, field in fields.items() if is_secret(field)],
        "log_format": settings.log_format,
        "management": settings.management_bind_address,
        "probes_enabled": settings.probes_enabled,
        "traffic_probes_enabled": settings.traffic_probes_enabled,
        "pool": None,
    }
    size = getattr(settings, "pool_size", None)
    if callable(size) and isinstance(workers, int):
        told["pool"] = dataclasses.asdict(size(workers))
        told["max_connections"] = getattr(settings, "database_max_connections", None)
    return told


def _app(app: Any) -> dict[str, Any]:
    if not isinstance(app, Service):
        return {"is_service": False, "checks": [], "request_id": _ask(app)}
    app.configure()
    told = {"is_service": True, "checks": _checks(app.health), "request_id": _ask(app)}
    # A library's line, and what somebody prints: they have to look like all others.
    logging.getLogger("doctor.library").warning("a line of a library")
    print("a line that is printed")
    return told


def _checks(health: HealthRegistry) -> list[dict[str, Any]]:
    found = []
    for name in health.names:
        function = health._checks[name]._check
        code = getattr(function, "__code__", None)
        found.append(
            {
                "name": name,
                "critical": name in health.critical,
                "probed": name in health.probed,
                "timeout": health.timeout_of(name),
                "file": code.co_filename if code else None,
                "line": code.co_firstlineno if code else None,
            }
        )
    return found


def _ask(app: Any) -> str | None:
    """Send a request for nothing in particular; the id that the answer has."""
    headers: dict[bytes, bytes] = {}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers.update(message["headers"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/doctor-looks-for-nothing",
        "raw_path": b"/doctor-looks-for-nothing",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"x-request-id", REQUEST_ID.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }

    async def once() -> None:
        await asyncio.wait_for(app(scope, receive, send), 10)

    asyncio.run(once())
    found = headers.get(b"x-request-id")
    return found.decode("latin-1") if found is not None else None
