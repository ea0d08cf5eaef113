"""The listener of the management port in one worker."""

import asyncio
import socket

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState


class ManagementServer:
    """Opens before the application starts and closes when everything else is closed."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        self._config = config
        self._sockets = sockets
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            self._servers.append(
                await loop.create_server(self._protocol, sock=sock, backlog=self._config.backlog)
            )

    async def close(self) -> None:
        """Stop accepting, and close the connections that are idle; replies under way finish."""
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=0.5)

    def _protocol(self) -> HttpToolsProtocol:
        return HttpToolsProtocol(self._config, self._state, {})
