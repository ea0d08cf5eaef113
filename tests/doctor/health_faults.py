"""Faults of probes and checks, and of what the service tells."""

from collections.abc import Iterator

from doctor.edits import (
    CONFIG,
    DEPLOYMENT,
    DOCKERFILE,
    KUSTOMIZATION,
    PACKAGE,
    SETTINGS,
    WIRING,
    Edit,
    append,
    both,
    container,
    importing,
    replace,
    wiring,
)

CHECK_GATEWAY = """
async def gateway_answers() -> bool:
    async with httpx2.AsyncClient() as client:
        return (await client.get("https://gateway.example/")).is_success
"""


def of_health() -> Iterator[Edit]:
    """What the probes ask, and how patiently."""
    for path in ("/health/ready", "/health", "/payments"):
        asks = container(f"livenessProbe:\n  httpGet:\n    path: {path}\n")
        yield Edit(f"liveness asks {path}", asks, "liveness", KUSTOMIZATION)
    yield Edit("no liveness", container("livenessProbe: null\n"), "liveness", DEPLOYMENT)
    check = 'CMD ["python", "-IS", "/app/healthcheck.py"]'
    ready = replace(DOCKERFILE, check, check.replace('"]', '", "ready"]'))
    yield Edit("HEALTHCHECK asks for readiness", ready, "liveness", DOCKERFILE)
    probes = f"{PACKAGE}/chassis/health/probes.py"
    looks = replace(
        probes,
        "        if self._availability.liveness is",
        "        if not self._health.ready():\n            return Answer(DOWN)\n"
        "        if self._availability.liveness is",
    )
    yield Edit("liveness looks at the checks", looks, "liveness", probes)
    route = wiring(
        "from .chassis.database import CurrentDatabase",
        "    service.get('/healthz')(healthz)\n",
        above=(
            "router = APIRouter()\n\n\n@router.get('/healthz')\n"
            "async def healthz(database: CurrentDatabase) -> dict[str, bool]:\n"
            "    return {'ok': await database.answers()}\n"
        ),
    )
    change = importing(route, "from fastapi import APIRouter\n")
    yield Edit("a route asks the database", change, "liveness", WIRING)
    for name, text in (("no readiness", "readinessProbe: null\n"),):
        yield Edit(name, container(text), "readiness", DEPLOYMENT)
    live = container("readinessProbe:\n  httpGet:\n    path: /health/live\n")
    yield Edit("readiness asks for liveness", live, "readiness", KUSTOMIZATION)
    feature = f"{PACKAGE}/chassis/database/feature.py"
    lax = replace(feature, '"The database answers", timeout', '"It answers", False, timeout')
    yield Edit("a database that isn't critical", lax, "readiness", None)
    gateway = wiring(
        "import httpx2\n",
        '    service.health.register("gateway", gateway_answers, timeout=2.0)\n',
        above=CHECK_GATEWAY,
    )
    yield Edit("the gateway in readiness", gateway, "external-services", WIRING)
    slow = container("readinessProbe:\n  periodSeconds: 10\n")
    yield Edit("a slow readiness probe", slow, "drain-probe", KUSTOMIZATION)
    impatient = container("readinessProbe:\n  timeoutSeconds: 2\n")
    yield Edit("an impatient readiness probe", impatient, "drain-probe", KUSTOMIZATION)
    patient = wiring("", '    service.health.register("slow", lambda: True, timeout=9.0)\n')
    yield Edit("a check that outlasts the probe", patient, "drain-probe", DEPLOYMENT)
    yield Edit("no startup probe", container("startupProbe: null\n"), "startup-probe", DEPLOYMENT)
    short = container("startupProbe:\n  failureThreshold: 3\n")
    yield Edit("a short start", short, "startup-probe", KUSTOMIZATION)


def of_what_it_tells() -> Iterator[Edit]:
    """Logs, metrics and request ids."""
    console = append(SETTINGS, "LOG_FORMAT=console\n")
    yield Edit("readable logs in production", console, "json-logs", SETTINGS)
    lines = replace(CONFIG, "accesslog = None", 'accesslog = "-"')
    yield Edit("Gunicorn's access log", lines, "json-logs", CONFIG)
    unset = replace(CONFIG, "logconfig_dict = master.logging_config(settings)\n", "")
    yield Edit("Gunicorn's own logging", unset, "json-logs", CONFIG)
    basic = wiring("import logging\n", "    logging.basicConfig(level=logging.INFO)\n")
    yield Edit("basicConfig", basic, "json-logs", WIRING)
    nowhere = append(SETTINGS, "MANAGEMENT_BIND_ADDRESS=\n")
    yield Edit("no management port", nowhere, "metrics", SETTINGS)
    unbound = replace(CONFIG, "master.addresses(settings)", "master.addresses(settings)[:1]")
    yield Edit("a management port that isn't bound", unbound, "metrics", CONFIG)
    scrape = both(
        append(KUSTOMIZATION, "\ncomponents:\n  - ../../components/scrape-annotations\n"),
        replace(
            "deploy/kubernetes/components/scrape-annotations/kustomization.yaml", '"9000"', '"8000"'
        ),
    )
    path = "deploy/kubernetes/components/scrape-annotations/kustomization.yaml"
    yield Edit("Prometheus at another port", scrape, "metrics", path)
    service = f"{PACKAGE}/chassis/service.py"
    bare = replace(
        service,
        "        middleware = RequestMiddleware(",
        "        return app\n        middleware = RequestMiddleware(",
    )
    yield Edit("no request middleware", bare, "request-id", None)
