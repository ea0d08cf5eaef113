# mypy: ignore-errors
"""The floor: the same body without a framework. Nothing in Python under this server is faster."""

from starlette.types import Receive, Scope, Send

_BODY = b'{"service":"payment-api","message":"Hello from your new service."}'
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-length", b"%d" % len(_BODY)),
        (b"content-type", b"application/json"),
    ],
}
_REST = {"type": "http.response.body", "body": _BODY}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request alike."""
    if scope["type"] == "http":
        await send(_START)
        await send(_REST)
