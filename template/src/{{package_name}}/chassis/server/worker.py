"""The Gunicorn worker class: one process, one event loop, both ports."""

import asyncio
import logging
import os
import signal
import sys
import threading
from typing import Any, ClassVar

from gunicorn.arbiter import Arbiter
from uvicorn.config import Config
from uvicorn_worker import UvicornWorker

from .. import logs, roster
from ..health import health_board
from ..http.websocket_protocol import WebSocketProtocol
from ..logs.pipeline import pipeline
from ..models import model_board
from ..service import Service
from . import dump, master
from .management import Management
from .management_server import ManagementServer
from .server import Server, protocol_class

_THREADS_SECONDS = 1.0
_RETRY_SECONDS = 2.0
_SAID_ALREADY = ("Traceback ", "ASGI callable returned without")
"""What Uvicorn says again, as plain text or as an error, after the service has logged it."""
_FAILED = 1
_GIVE_UP: int = Arbiter.WORKER_BOOT_ERROR

_log = logs.get_logger("chassis.worker")


class Worker(UvicornWorker):  # type: ignore[misc]
    """What Gunicorn starts after each fork. `slot` is set by the master before it."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "uvloop", "http": "httptools"}

    slot: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Uvicorn tells of each step of its life; this server's own lines say it better.
        uvicorn_log = logging.getLogger("uvicorn.error")
        uvicorn_log.setLevel(max(logging.WARNING, uvicorn_log.level))
        uvicorn_log.addFilter(lambda record: not record.getMessage().startswith(_SAID_ALREADY))

    def init_signals(self) -> None:
        """Leave signals to the server, which installs its handlers when it runs."""
        for signum in self.SIGNALS:
            signal.signal(signum, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, self._on_usr1)

    async def _serve(self) -> None:
        service: Service = self.wsgi
        roster.current.report(self.slot, pid=os.getpid())
        model_board.current.join(self.slot)
        health_board.current.join(self.slot)
        dump.arm(master.dump_path(self.slot), asyncio.get_running_loop())
        heartbeat = asyncio.create_task(self._beat(), name="heartbeat")
        # The sockets themselves: Gunicorn's wrappers would be closed twice.
        traffic, *others = [listener.sock for listener in self.sockets]
        management = ManagementServer(self._management_config(service), others)
        server = Server(
            self._traffic_config(service),
            service=service,
            management=management,
            slot=self.slot,
            master_pid=self.ppid,
            max_requests=self.max_requests if self.cfg.max_requests else None,
        )
        try:
            await server.serve(sockets=[traffic])
        except Exception:
            _log.exception("worker failed")
            sys.exit(await self._failure(server, management))
        except SystemExit:  # Uvicorn's, after a start-up that failed and was logged
            sys.exit(await self._failure(server, management))
        finally:
            heartbeat.cancel()
            # The master may repeat itself, and the interpreter has no handlers while it ends.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            pipeline.sink.flush()
        _leave_threads_behind()

    async def _failure(self, server: Server, management: ManagementServer) -> int:
        """The exit status of a worker that failed.

        When the very first start fails, Gunicorn should give up, and the platform hear of it. A
        replacement that fails is tried again, while its siblings serve, but not in a tight loop.
        """
        if server.started:
            return _FAILED
        if roster.current.terminating_since is None and not roster.current.started:
            return _GIVE_UP
        await asyncio.sleep(_RETRY_SECONDS)
        await management.close()  # the probes that it has accepted are its to answer
        return _FAILED

    async def _beat(self) -> None:
        """Tell the master that the event loop turns, several times per timeout."""
        while True:
            self.notify()
            await asyncio.sleep(min(1.0, self.timeout / 4))

    def _traffic_config(self, service: Service) -> Config:
        settings = service.settings
        return Config(
            app=service,
            http=protocol_class(service),
            ws=WebSocketProtocol,
            ws_max_size=settings.max_body_bytes,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.forwarded_allow_ips),
            forwarded_allow_ips=list(settings.forwarded_allow_ips),
            backlog=settings.backlog,
            timeout_keep_alive=settings.keepalive_seconds,
        )

    def _management_config(self, service: Service) -> Config:
        config = Config(
            app=Management(service).app(),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        config.load()
        return config

    def _on_usr1(self, signum: int, frame: Any) -> None:
        """Write the stacks and tasks of this worker to the log: `kill -USR1` the master."""
        loop = self._running_loop()
        tasks = dump.tasks(loop) if loop else ""
        _log.warning("thread dump", slot=self.slot, threads=dump.stacks(), tasks=tasks)

    @staticmethod
    def _running_loop() -> asyncio.AbstractEventLoop | None:
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return None


def _leave_threads_behind() -> None:
    """Exit even if a thread never ends: nothing can stop it, and the master would kill us."""

    def leave() -> None:
        _log.warning("threads left behind", threads=threading.active_count() - 2)
        pipeline.sink.flush()
        os._exit(0)

    timer = threading.Timer(_THREADS_SECONDS, leave)
    timer.daemon = True
    timer.start()
