"""Faults of Gunicorn's configuration, and of the stop."""

from collections.abc import Iterator

from doctor.edits import (
    CONFIG,
    DEPLOYMENT,
    KUSTOMIZATION,
    OVERRIDE,
    SETTINGS,
    WIRING,
    Edit,
    append,
    at,
    container,
    deployment,
    replace,
    wiring,
)

FLIP = """
@asynccontextmanager
async def open_flag() -> AsyncIterator[None]:
    state = type("State", (), {})()
    state.ready = True
    yield
    state.ready = False
"""


def of_the_server() -> Iterator[Edit]:
    """Workers: how many, which, and for how long."""
    own = 'worker_class = "payment_api.chassis.server.worker.Worker"'
    sync = replace(CONFIG, own, 'worker_class = "sync"')
    yield Edit("sync workers", sync, "worker-class", CONFIG)
    workers = "workers = master.sizing(settings).workers"
    for name, value in (
        ("17 workers", "17"),
        ("the host's cores", "__import__('multiprocessing').cpu_count() * 2 + 1"),
    ):
        yield Edit(name, replace(CONFIG, workers, f"workers = {value}"), "workers", CONFIG)
    concurrency = append("deploy/compose/service.env", "WEB_CONCURRENCY=17\n")
    file = "deploy/compose/service.env"
    yield Edit("WEB_CONCURRENCY", concurrency, "workers", file, base="defaults")
    for name, old, new in (
        ("no recycling", "max_requests = settings.max_requests\n", "max_requests = 0\n"),
        ("no jitter", "jitter = settings.max_requests_jitter", "jitter = 0"),
        ("all the time", "max_requests = settings.max_requests\n", "max_requests = 50\n"),
    ):
        yield Edit(name, replace(CONFIG, old, new), "recycling", CONFIG)
    never = append(SETTINGS, "MAX_REQUESTS=0\n")
    yield Edit("no recycling in an overlay", never, "recycling", SETTINGS)
    few = replace(CONFIG, "= settings.worker_connections", "= 10")
    yield Edit("few connections", few, "worker-connections", CONFIG)
    many = append(SETTINGS, "WORKER_CONNECTIONS=100000\n")
    yield Edit("many connections", many, "worker-connections", SETTINGS)
    short = replace(CONFIG, "timeout = settings.worker_timeout_seconds", "timeout = 10")
    yield Edit("a short timeout", short, "timeout", CONFIG)
    off = append(SETTINGS, "WORKER_TIMEOUT_SECONDS=5\n")
    yield Edit("a short timeout in an overlay", off, "timeout", SETTINGS)
    late = replace(CONFIG, "preload_app = True", "preload_app = False")
    yield Edit("no preloading", late, "preload", CONFIG)


def of_the_stop() -> Iterator[Edit]:
    """Durations that don't fit, and an order that loses requests."""
    grace = deployment("template:\n  spec:\n    terminationGracePeriodSeconds: 30\n")
    yield Edit("a short grace period", grace, "grace", KUSTOMIZATION)
    default = deployment("template:\n  spec:\n    terminationGracePeriodSeconds: null\n")
    yield Edit("no grace period", default, "grace", DEPLOYMENT)
    hook = container("lifecycle:\n  preStop:\n    exec:\n      command: [sleep, '20']\n")
    yield Edit("a long preStop", hook, "grace", DEPLOYMENT)
    in_compose = at(OVERRIDE, "services:\n  app-1:\n    stop_grace_period: 10s\n")
    yield Edit("a short grace period in Compose", in_compose, "grace", OVERRIDE)
    graceful = "graceful_timeout = settings.graceful_timeout_seconds"
    long = replace(CONFIG, graceful, "graceful_timeout = 60")
    yield Edit("a long graceful_timeout", long, "grace", None)
    less = replace(CONFIG, graceful, "graceful_timeout = 20")
    yield Edit("a short graceful_timeout", less, "drain-budget", CONFIG)
    worker = replace(
        CONFIG, '"payment_api.chassis.server.worker.Worker"', '"uvicorn_worker.UvicornWorker"'
    )
    yield Edit("Uvicorn's own worker", worker, "shutdown-order", CONFIG)
    unannounced = replace(CONFIG, "when_ready = master.when_ready\n", "")
    yield Edit("no when_ready", unannounced, "shutdown-order", CONFIG)
    imports = (
        "from collections.abc import AsyncIterator\nfrom contextlib import asynccontextmanager\n"
    )
    flip = wiring(imports, '    service.resource("flag", open_flag)\n', above=FLIP)
    yield Edit("a flag after yield", flip, "shutdown-order", WIRING)
    published = FLIP.replace(
        "state.ready = False",
        'availability.current.publish(availability.ReadinessState.REFUSING_TRAFFIC, source="me")',
    )
    imports += "from .chassis import availability\n"
    change = wiring(imports, '    service.resource("flag", open_flag)\n', above=published)
    yield Edit("refusing after yield", change, "shutdown-order", WIRING)
