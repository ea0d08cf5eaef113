"""The management port: health, metrics and diagnosis, on a listener of its own.

Every worker listens on it and whoever accepts answers for all. It stands apart from the traffic
port so that the public never sees details, and so that probes still get through when the traffic
port is at its limits (SPEC C7).
"""

import asyncio

import anyio.to_thread
import orjson
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..health.replies import NO_STORE, HealthReplies, JSONReply
from ..http import problems
from ..logs import log_levels
from ..metrics import exposition
from ..metrics.metric_json import export_json
from ..models import model_board
from ..service import Service
from . import dump, info


class Management:
    """The endpoints, one method each."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._probes = service.probes
        answers = service.settings.answers
        self._replies = HealthReplies(
            {
                "version": service.version,
                "serviceId": answers.service_name,
                "description": answers.description,
            }
        )
        self._scrapes = anyio.CapacityLimiter(1)

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/health", self.health),
            Route("/metrics", self.metrics),
            Route("/metrics.json", self.metrics_json),
            Route("/info", self.info),
            Route("/loggers", self.loggers),
            Route("/loggers/{name}", self.logger, methods=["GET", "PUT"]),
            Route("/threaddump", self.thread_dump),
        ]
        if self._service.settings.probes_enabled:
            routes += [
                Route("/health/live", self.live),
                Route("/health/ready", self.ready),
                Route("/health/startup", self.startup),
            ]
        routes.append(Route("/health/{group}", self.group))
        app = Starlette(routes=routes)
        problems.install(app)
        return app

    async def live(self, request: Request) -> Response:
        """Whether the platform should restart the service."""
        return self._replies.reply(request, self._probes.live())

    async def ready(self, request: Request) -> Response:
        """Whether the platform should send traffic."""
        return self._replies.reply(request, await self._probes.ready())

    async def startup(self, request: Request) -> Response:
        """Whether start-up is done."""
        return self._replies.reply(request, self._probes.startup())

    async def group(self, request: Request) -> Response:
        """The checks of one of the user's groups."""
        answer = await self._probes.group(request.path_params["group"])
        if answer is None:
            raise HTTPException(404, "There is no health group of that name.")
        return self._replies.reply(request, answer)

    async def health(self, request: Request) -> Response:
        """Everything at a glance."""
        overview, system = await asyncio.gather(
            self._probes.overview(), self._service.health.system()
        )
        document = overview.body() | {
            "breakers": exposition.breaker_states(),
            "models": model_board.current.bodies(),
            "workers": info.workers(),
            "system": system,
            "version": self._service.version,
            **info.uptime(),
        }
        return self._replies.reply(request, overview.answer, document)

    async def metrics(self, _: Request) -> Response:
        """All metrics for Prometheus."""
        # Reading the files of many workers takes long enough to be felt by requests.
        text = await anyio.to_thread.run_sync(exposition.render, limiter=self._scrapes)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST} | NO_STORE)

    async def metrics_json(self, _: Request) -> Response:
        """All metrics for people and scripts."""
        return JSONReply(await anyio.to_thread.run_sync(export_json, limiter=self._scrapes))

    async def info(self, _: Request) -> Response:
        """What is running here."""
        return JSONReply(info.describe(self._service))

    async def loggers(self, _: Request) -> Response:
        """The levels of all loggers."""
        return JSONReply({"loggers": log_levels.current.all()})

    async def logger(self, request: Request) -> Response:
        """One logger's level; PUT `{"level": "DEBUG"}` sets it in all workers, null resets it."""
        name = request.path_params["name"]
        if request.method == "PUT":
            level = _level(await request.body())
            try:
                log_levels.current.set(name, level)
            except ValueError as error:
                raise HTTPException(422, str(error)) from None
        known = log_levels.current.one(name)
        if known is None:
            raise HTTPException(404, "There is no logger of that name.")
        return JSONReply(known)

    async def thread_dump(self, _: Request) -> Response:
        """The stacks and tasks of the worker that answers."""
        text = f"{dump.stacks()}\nTasks:\n{dump.tasks(asyncio.get_running_loop())}"
        return PlainTextResponse(text, headers=NO_STORE)


def _level(body: bytes) -> str | None:
    try:
        level = orjson.loads(body)["level"]
    except (ValueError, TypeError, KeyError):
        level = ...
    if level is None or isinstance(level, str):
        return level
    raise HTTPException(422, 'The body must be JSON such as {"level": "DEBUG"}.')
