"""The application object: FastAPI with what the chassis brings along.

Everything here is declared at import, before the fork, and opened in the worker, by the lifespan:
no thread, socket or pool may exist before the fork. Settings too are read when the worker starts,
so that a reload (SIGHUP) brings new ones.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Scope

from . import availability, logs, roster, settings
from .availability import LivenessState, ReadinessState
from .background import BackgroundTasks
from .health import HealthRegistry, health_board
from .health.health_metrics import HealthRecorder
from .health.probes import Probes
from .health.traffic_probes import PATHS, traffic_probes
from .http import docs, problems
from .http.bottleneck import Bottlenecks
from .http.inflight import InFlight
from .http.middleware import RequestMiddleware
from .http.turnstile import Turnstile
from .models import ModelRegistry, model_board
from .outbound import Headers, Upstream, UpstreamOptions, Url
from .resources import Opener, Resources
from .settings import ChassisSettings

if TYPE_CHECKING:
    from typing import Unpack

_SOURCE = "chassis"
_LOOK_SECONDS = 0.05

_log = logs.get_logger("chassis.service")


class Service(FastAPI):
    """A FastAPI application with health checks, resources and background tasks."""

    def __init__(self, settings_class: type[ChassisSettings]) -> None:
        answers = settings_class.answers
        super().__init__(
            title=answers.service_name,
            description=answers.description,
            version=_version(answers.service_name),
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            lifespan=_lifespan,
            responses=problems.RESPONSES,
            telemetry={
                "tracing": answers.tracing,
                "operation_spans": False,
                "metrics": False,
                "logs": False,
                "auto_configure": False,
                "exclude": _is_probe,
            },
        )
        self._settings_class = settings_class
        self._openers: list[tuple[str, Opener]] = []
        self.health = HealthRegistry(alive=_is_alive, accepting=_is_accepting)
        """Checks of what this service depends on."""
        self.health.observe(HealthRecorder(health_board.current, self.health.healthy_ratio))
        self.models = ModelRegistry()
        """What this service predicts with."""
        self.models.observe(model_board.current.publish)
        self.upstreams: dict[str, Upstream] = {}
        """The HTTP services that this one calls, by name."""
        self.background = BackgroundTasks()
        """Work that outlives a request."""
        self.in_flight = InFlight()
        """The requests that this worker is serving."""
        self.bottlenecks = Bottlenecks()
        """What is asked before a request is let in whether there is room for it."""
        self.probes = Probes(
            roster.current, availability.current, self.health, health_board.current
        )
        self._turnstile: Turnstile | None = None
        self.closing_seconds = 0.0
        """What a stop leaves for closing resources; the server lowers it when time is short."""
        problems.install(self)

    @property
    def settings(self) -> ChassisSettings:
        """The settings in force. Read on first use where no Gunicorn master has read them."""
        if not settings.are_set():
            settings.use(settings.load_settings(self._settings_class))
        return settings.current()

    def resource(self, name: str, opener: Opener) -> None:
        """Open an async context manager in each worker; its value is `service.state.<name>`.

        Resources open in the order of these calls and close in the reverse order. One that can't
        open stops the worker, and with it the service: open lazily what may be away at the start.
        """
        self._openers.append((name, opener))

    def upstream(
        self,
        name: str,
        url: Url,
        *,
        headers: Headers | None = None,
        **options: "Unpack[UpstreamOptions]",
    ) -> Upstream:
        """Declare an HTTP service that this one calls; each worker opens its own connections.

        `url` is a text, or a callable that is asked when the settings are read; so is `headers`,
        those of every call. The options bound the calls: see `UpstreamPolicy`. Raises ValueError
        for what makes no sense, and for a name that is declared already.
        """
        if name in self.upstreams:
            raise ValueError(f"upstream {name!r} is declared twice")
        made = self.upstreams[name] = Upstream(name, url, headers=headers, **options)
        self.resource(name, made.open)
        return made

    def build_middleware_stack(self) -> ASGIApp:
        """Put the chassis' own layers around all of the application. Called once in each worker."""
        app = super().build_middleware_stack()
        cors = None
        if self.settings.cors_allow_origins:
            app = cors = CORSMiddleware(
                app,
                allow_origins=self.settings.cors_allow_origins,
                allow_methods=["*"],
                allow_headers=["*"],
            )
        middleware = RequestMiddleware(
            app,
            settings=self.settings,
            in_flight=self.in_flight,
            probes=traffic_probes(self.probes, self.settings),
            routes=self.routes,
            cors=cors,
            bottlenecks=self.bottlenecks,
        )
        if cors is None:  # which has headers of its own for each reply
            proxies = self.settings.forwarded_allow_ips
            self._turnstile = Turnstile(middleware, trusted_proxies=proxies)
        return middleware

    def turn_away(self, scope: Scope) -> tuple[bytes, bytes] | None:
        """The reply to a request that there is no room for, as its connection asks for it."""
        return self._turnstile.turn_away(scope) if self._turnstile is not None else None

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made when it is first asked for."""
        document = super().openapi()
        problems.define(document)
        return document

    def trace_requests(self, wanted: bool) -> None:
        """Have FastAPI make spans of requests, or not even ask OpenTelemetry for each of them.

        To ask whether anybody listens costs more than a tenth of a request.
        """
        # FastAPI has no word for a change of mind, and settings come after the application is made.
        self._telemetry["tracing"] = wanted

    def configure(self) -> None:
        """Apply the settings to what was made before they were known."""
        self.health.timeout = self.settings.health_check_timeout_seconds
        self.health.cache = self.settings.health_cache_seconds
        self.closing_seconds = self.settings.close_seconds

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the resources, say that the service is up, and close everything in the end."""
        self.configure()
        self.in_flight.clear()
        availability.current.initialise(LivenessState.CORRECT, source=_SOURCE)
        resources = Resources()
        try:
            for name, opener in self._openers:
                setattr(self.state, name, await resources.open(name, opener))
            await self._warm_up()
            if self.settings.health_interval_seconds:
                self.background.start(self._ask_checks(), name="health checks", finish=False)
            yield
        finally:
            self.models.stop_auto_refresh()
            # Background tasks use the resources, so they end first.
            end = time.monotonic() + self.closing_seconds
            await self.background.stop(self.closing_seconds / 2)
            await resources.close(end - time.monotonic())

    async def _warm_up(self) -> None:
        """On a pod's first start beside the probes; a replacement accepts once it is warm."""
        if self.models.names():
            self.background.start(
                self.models.warm_up_in_background(), name="model warm-up", finish=False
            )
            self.models.start_auto_refresh()
        if roster.current.started:
            await self.models.until_warm()
        elif model_board.current.all_required_warm:
            self._start_complete()
        else:
            self.background.start(self._first_start(), name="first start", finish=False)

    async def _ask_checks(self) -> None:
        """Ask all checks from time to time, so that each worker has its say without being probed.

        No longer once the service terminates, when resources are about to go.
        """
        while roster.current.terminating_since is None:
            await self.health.ask()
            await asyncio.sleep(self.settings.health_interval_seconds)

    async def _first_start(self) -> None:
        while not model_board.current.all_required_warm:  # noqa: ASYNC110 - other processes' doing
            await asyncio.sleep(_LOOK_SECONDS)
        self._start_complete()

    def _start_complete(self) -> None:
        availability.current.initialise(ReadinessState.ACCEPTING_TRAFFIC, source=_SOURCE)
        roster.current.start_complete()


def _is_probe(scope: MutableMapping[str, Any]) -> bool:
    return scope["path"] in PATHS


def _is_alive() -> bool:
    return availability.current.liveness is LivenessState.CORRECT


def _is_accepting() -> bool:
    draining = roster.current.terminating_since is not None
    return not draining and availability.current.readiness is ReadinessState.ACCEPTING_TRAFFIC


@asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[None]:
    try:
        async with app.running():
            yield
    except Exception:
        _log.exception("start-up or closing failed")
        raise


Wire = Callable[[Service], None]


def create_app(
    settings_class: type[ChassisSettings], wire: Wire, *, features: Iterable[Wire] = ()
) -> Service:
    """Make the application; `wire` registers what this service consists of.

    `features` are the parts of the chassis that not every service has; they come first, so that
    what they open is there when the service's own resources open.
    """
    service = Service(settings_class)
    for install in (*features, wire):
        install(service)
    docs.install(service)  # last: routes are tried in their order
    return service


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "0"
