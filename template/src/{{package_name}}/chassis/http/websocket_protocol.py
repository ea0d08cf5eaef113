"""WebSocket connections, which Uvicorn takes over from HTTP once a client has asked to upgrade.

Uvicorn's protocol leaves a client unanswered, and connected for ever, whose handshake can't be
read; it answers one that is wrong in plain text, and logs an error for each that the application
refuses. Nor does it part with a client that doesn't read. Here it does all of that as for HTTP.
"""

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from .. import logs, metrics
from .headers import new_request_id
from .phrases import phrase
from .problems import MEDIA_TYPE, problem_bytes

_UNREAD_SECONDS = 1.0
"""How long the last words to a client may remain unread."""

_log = logs.get_logger("chassis.connection")


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket, from its handshake on."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # A worker that stops adds `Connection: close` to these, which is no way to upgrade.
        self.default_headers = [pair for pair in self.default_headers if pair[0] != b"connection"]
        self._request_id = new_request_id()
        self.conn.reject = self._problem  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # websockets has an answer ready only to what is too large.
            answer = b"".join(self.conn.data_to_send())
            detail = "The request is no WebSocket handshake."
            self.transport.write(answer or self._problem(400, detail).serialize())
            self.transport.close()
            self._note_refusal(answer[len("HTTP/1.1 ") :][:3] or b"400")

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.close_sent:
            self._note_refusal(b"%d" % self.response.status_code)

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            # Uvicorn would miss it, and log an error although the client has its answer.
            self.handshake_complete = True

    async def run_asgi(self) -> None:
        await super().run_asgi()
        if not self.disconnected:
            self.loop.call_later(self.close_timeout, self.transport.abort)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(_UNREAD_SECONDS, self.transport.abort)

    def _problem(self, status: int | HTTPStatus, text: str) -> Response:
        status = HTTPStatus(status)
        body = problem_bytes(status, detail=text.rstrip() or None, request_id=self._request_id)
        headers = {
            "Date": formatdate(usegmt=True),
            "Connection": "close",
            "Content-Length": str(len(body)),
            "Content-Type": MEDIA_TYPE,
            "X-Request-ID": self._request_id,
        }
        return Response(status.value, phrase(status), Headers(headers), body)

    def _note_refusal(self, status: bytes) -> None:
        metrics.requests().refused("handshake")
        _log.warning(
            "connection refused",
            status_code=int(status),
            reason="handshake",
            client=self.client[0] if self.client else None,
            request_id=self._request_id,
        )
