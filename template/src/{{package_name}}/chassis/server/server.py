"""The server of one worker: Uvicorn's, with a departure that loses nothing.

Uvicorn closes its listener first when it stops, and only then runs the lifespan's shutdown, so
whatever an application does there comes too late for new connections. Here `Departure` decides
when to stop accepting; Uvicorn's own shutdown is the last step.
"""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import Config

from .. import availability, logs, roster
from ..breaker import breakers
from ..capacity.budget import ShutdownBudget
from ..http.protocol import Protocol
from ..logs import log_levels
from ..logs.pipeline import pipeline
from ..roster import WorkerState
from ..service import Service
from . import dump
from .accept_queue import take_waiting
from .departure import Departure, Situation
from .management_server import ManagementServer

_TICK = 0.1
"""Seconds between two looks at the situation, as Uvicorn's main loop has it."""
_LOOKS_TO_LEAVE = 5
"""How often on end a worker that is replaced has to see that it may leave."""
_MARGIN = 0.5
"""Seconds that a worker keeps in hand before the master would kill it."""
_PATIENCE = 1.5
"""Seconds that a worker which is replaced may be late before it is ended by force."""
_AT_ONCE_CLOSING = 1.0
"""What is left for closing resources when a second signal said now; the master gives 2 s."""

_CLOSE = (b"connection", b"close")

_log = logs.get_logger("chassis.server")

_MESSAGES = {
    WorkerState.DRAINING: "draining",
    WorkerState.HANDING_OVER: "handing over",
    WorkerState.LINGERING: "lingering",
    WorkerState.STOPPING: "stopping",
}


class Server(uvicorn.Server):
    """Serves the traffic and the management listeners of one worker."""

    def __init__(
        self,
        config: Config,
        *,
        service: Service,
        management: ManagementServer,
        slot: int,
        master_pid: int,
        max_requests: int | None,
    ) -> None:
        super().__init__(config)
        settings = service.settings
        self._service = service
        self._management = management
        self._slot = slot
        self._max_requests = max_requests
        self._budget: ShutdownBudget = settings.budget
        self._head_timeout = settings.header_timeout_seconds
        self._idle_timeout = max(settings.keepalive_seconds, settings.header_timeout_seconds)
        # Behind a proxy that buffers, a slow client may take nothing for many seconds.
        self._stall_timeout = settings.stream_idle_seconds
        self._departure = Departure(drain=self._budget.drain, linger=self._budget.linger)
        self._master = master_pid
        self._told_to_go = False
        self._at_once = False
        self._seen_leave = 0
        self._lag = 0.0
        self._ticked = 0.0
        self._adopting: set[asyncio.Task[Any]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer probes first, then open the application, and only then accept traffic."""
        await self._management.open()
        await super().startup(sockets=sockets)
        roster.current.report(self._slot, state=WorkerState.ACCEPTING)
        _log.info("accepting", slot=self._slot)

    async def on_tick(self, counter: int) -> bool:
        """Look at the situation, ten times a second. True ends the main loop."""
        await self._keep_house(counter)
        self._measure_lag()
        availability.current.deliver()
        log_levels.current.deliver()
        breakers.current.publish()
        roster.current.report(
            self._slot,
            in_flight=len(self._service.in_flight),
            served=self.server_state.total_requests,
            lag=self._lag,
        )
        if counter % 10 == 0:
            self._cut_off_slow_heads()
        before = self._departure.state
        state = self._departure.step(self._situation())
        if state is not before:
            self._enter(state)
        return state is WorkerState.STOPPING

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests in flight, close the resources, and stop answering probes last."""
        seconds = self._seconds_left()
        loop = asyncio.get_running_loop()
        in_flight = 0.0 if self._at_once else min(self._budget.request, seconds)
        answered_by = loop.time() + in_flight
        self._service.in_flight.bound(answered_by)
        # The ledger answers what is overdue; should that fail, Uvicorn cancels it.
        self.config.timeout_graceful_shutdown = round(in_flight) + 1
        watch = asyncio.create_task(self._watch_the_time(answered_by), name="shutdown watch")
        # Only of a service that terminates does the master kill what is late.
        patience = _MARGIN / 2 if roster.current.terminating_since else _PATIENCE
        last_resort = threading.Timer(seconds + patience, self._give_up, [loop])
        last_resort.daemon = True
        last_resort.start()
        try:
            await super().shutdown(sockets=sockets)
        finally:
            last_resort.cancel()
            watch.cancel()
        breakers.current.publish()
        await self._management.close()
        _log.info("stopped", slot=self._slot)

    async def _keep_house(self, counter: int) -> None:
        """Uvicorn's part of a tick, which once a second makes a new list of default headers.

        Requests hold on to the list of the moment they began. It stays the same one here, so that
        `Connection: close` reaches also those that began before the worker was told to leave.
        """
        headers = self.server_state.default_headers
        await super().on_tick(counter)
        if self.server_state.default_headers is not headers:
            headers[:] = self.server_state.default_headers
            self.server_state.default_headers = headers
            if self._departure.leaving:
                headers.append(_CLOSE)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to the master.

        Uvicorn raises a captured signal again when it leaves, which the master logs as an error.
        """
        handlers = {
            signal.SIGTERM: self._on_leave,
            signal.SIGINT: self._on_now,
            signal.SIGQUIT: self._on_now,
        }
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
        yield

    def _on_leave(self, signum: int, frame: FrameType | None) -> None:
        self._leave_if_not_started()
        self._told_to_go = True

    def _on_now(self, signum: int, frame: FrameType | None) -> None:
        self._leave_if_not_started()
        self._at_once = True

    def _leave_if_not_started(self) -> None:
        # Nothing was accepted yet, and whatever hangs in the start-up would hang on.
        if not self.started:
            _log.info("stopped before it had started", slot=self._slot)
            pipeline.sink.flush()
            os._exit(0)

    def _situation(self) -> Situation:
        if os.getppid() != self._master:
            # Nobody is left who would replace this worker, or reap it.
            roster.current.terminate()
        replaced = self._told_to_go or self._has_served_its_share()
        return Situation(
            now=time.monotonic(),
            terminating_since=roster.current.terminating_since,
            replaced=replaced,
            at_once=self._at_once,
            may_leave=replaced and self._may_leave(),
            connections=len(self.server_state.connections),
        )

    def _may_leave(self) -> bool:
        if not roster.current.may_leave(self._slot):
            self._seen_leave = 0
            return False
        if any(row.state is WorkerState.ACCEPTING for row in roster.current.workers()):
            return True
        # Nobody accepts yet. Between the end of a successor that couldn't start and the fork of
        # the next one the roster shows neither, and the last worker would leave.
        self._seen_leave += 1
        return self._seen_leave >= _LOOKS_TO_LEAVE

    def _has_served_its_share(self) -> bool:
        served = self.server_state.total_requests
        return self._max_requests is not None and served >= self._max_requests

    def _enter(self, state: WorkerState) -> None:
        roster.current.report(self._slot, state=state)
        _log.info(_MESSAGES[state], slot=self._slot, requests=self.server_state.total_requests)
        if _CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers.append(_CLOSE)
            self._management.say_close()
        if state is WorkerState.LINGERING:
            self._stop_accepting()

    def _stop_accepting(self) -> None:
        for server in self.servers:
            listeners = [listener.fileno() for listener in server.sockets]
            if roster.current.terminating_since is None or len(listeners) != 1:
                server.close()  # siblings accept what waits
                continue
            for connection in take_waiting(listeners[0], server.close):
                self._adopt(connection)

    def _adopt(self, connection: socket.socket) -> None:
        """Serve a connection as if the event loop had accepted it."""
        loop = asyncio.get_running_loop()
        adopting = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
        self._adopting.add(adopting)
        adopting.add_done_callback(self._adopting.discard)

    def _protocol(self) -> asyncio.Protocol:
        """What Uvicorn makes for each connection."""
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def _cut_off_slow_heads(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, Protocol):
                connection.cut_off_if_slow(
                    now,
                    head_timeout=self._head_timeout,
                    idle_timeout=self._idle_timeout,
                    stall_timeout=self._stall_timeout,
                )

    def _drop_unread_replies(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, Protocol):
                connection.abort_if_unread()

    def _measure_lag(self) -> None:
        # The worst of the last second or so: a probe every few seconds would miss a single tick.
        now = time.monotonic()
        late = max(0.0, now - self._ticked - _TICK) if self._ticked else 0.0
        self._lag = max(late, self._lag * 0.8)
        self._ticked = now

    def _seconds_left(self) -> float:
        if self._at_once:
            return _AT_ONCE_CLOSING
        needed = self._budget.request + self._budget.close
        since = roster.current.terminating_since
        if since is None:
            return needed
        left = since + self._budget.graceful - _MARGIN - time.monotonic()
        return min(needed, max(0.0, left))

    def _give_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave although something won't end, such as a resource that ignores its cancellation.

        Runs in a thread, because it may be the event loop that is stuck.
        """
        _log.error("shutdown not finished in time", slot=self._slot, tasks=dump.tasks(loop))
        pipeline.sink.flush()
        os._exit(0)

    async def _watch_the_time(self, answered_by: float) -> None:
        """Keep what is left to do within the time before the master kills this worker.

        At `answered_by` the last requests are; whoever doesn't read that would hold up the stop.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._service.closing_seconds = min(self._budget.close, self._seconds_left())
            if self._at_once:
                answered_by = min(answered_by, loop.time())
                self._service.in_flight.bound(answered_by)
            if loop.time() > answered_by + _MARGIN:
                self._drop_unread_replies()
            await asyncio.sleep(_TICK)


def protocol_class(service: Service) -> type[Protocol]:
    """The connection protocol with this service's limits."""
    max_head_bytes = service.settings.max_header_bytes
    max_body_bytes = service.settings.max_body_bytes
    limits: dict[str, Any] = {
        "max_head_bytes": max_head_bytes,
        # A body in chunks of one byte is six times as long as it is.
        "max_message_bytes": max_head_bytes + 6 * max_body_bytes + max_head_bytes,
        "turn_away": staticmethod(service.turn_away),
    }
    return type("LimitedProtocol", (Protocol,), limits)
