"""The listener of the management port in one worker.

Whoever can reach it could otherwise hold its connections, and the worker's memory, as long as they
like: its connections are bounded like those of the traffic port, only tighter.
"""

import asyncio
import socket

from uvicorn.config import Config
from uvicorn.server import ServerState

from ..http.protocol import Protocol

_HEAD_SECONDS = 10.0
_BODY_SECONDS = 10.0
_IDLE_SECONDS = 10.0
_STALL_SECONDS = 10.0
_SWEEP_SECONDS = 1.0
_LINGER_SECONDS = 0.2
_REPLY_SECONDS = 0.2


class _ManagementProtocol(Protocol):
    """The longest body there is sets a log level."""

    max_head_bytes = 16 * 1024
    max_message_bytes = 64 * 1024
    counts_refusals = False


class ManagementServer:
    """Opens before the application starts and closes when everything else is closed."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        self._config = config
        self._sockets = sockets
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            self._servers.append(
                await loop.create_server(self._protocol, sock=sock, backlog=self._config.backlog)
            )
        self._sweeper = loop.create_task(self._sweep(), name="management sweep")

    def say_close(self) -> None:
        """Tell clients that keep their connection to open another one, to another worker."""
        self._state.default_headers.append((b"connection", b"close"))

    async def close(self) -> None:
        """Stop accepting, and close the connections that are idle; replies under way finish."""
        for server in self._servers:
            server.close()
        await self._linger()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=_REPLY_SECONDS)
        if self._sweeper is not None:
            self._sweeper.cancel()

    async def _linger(self) -> None:
        # A connection that was just accepted carries a probe that is on its way.
        loop = asyncio.get_running_loop()
        end = loop.time() + _LINGER_SECONDS
        while self._state.connections and loop.time() < end:  # noqa: ASYNC110 - Uvicorn's set
            await asyncio.sleep(_LINGER_SECONDS / 10)

    async def _sweep(self) -> None:
        """Cut off, once a second, who is slow."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            for connection in list(self._state.connections):
                if isinstance(connection, Protocol):
                    connection.cut_off_if_slow(
                        loop.time(),
                        head_timeout=_HEAD_SECONDS,
                        idle_timeout=_IDLE_SECONDS,
                        stall_timeout=_STALL_SECONDS,
                        body_timeout=_BODY_SECONDS,
                    )

    def _protocol(self) -> Protocol:
        return _ManagementProtocol(self._config, self._state, {})
