"""A WebSocket, bounded by the time between two messages."""

import asyncio
import contextlib

from starlette.types import Message, Receive, Send

_GOING_AWAY = 1001


class Conversation:
    """Stands between the server and the application for one WebSocket connection."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, idle_timeout: float, receive: Receive, send: Send
    ) -> None:
        self._loop = loop
        self._idle_timeout = idle_timeout
        self._receive = receive
        self._send = send
        self.deadline = loop.time() + idle_timeout

    def expire(self, *, in_thread: bool) -> None:
        """Nothing was said for too long; the task is cancelled and `close` says goodbye."""

    async def receive(self) -> Message:
        """The client's next message."""
        message = await self._receive()
        self.deadline = self._loop.time() + self._idle_timeout
        return message

    async def send(self, message: Message) -> None:
        """A message for the client."""
        await self._send(message)
        self.deadline = self._loop.time() + self._idle_timeout

    async def close(self) -> None:
        """Close with 1001, going away (RFC 6455 section 7.4.1), unless it is closed already."""
        with contextlib.suppress(RuntimeError):
            await self._send({"type": "websocket.close", "code": _GOING_AWAY})
