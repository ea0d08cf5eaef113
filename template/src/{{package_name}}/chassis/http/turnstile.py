"""Refusing for lack of room at the connection, before a request has cost much.

A task, the messages of a cycle and the layers of an application take longer than all that there is
to say to it. Whoever is offered three times what he can carry refuses two for each that he serves,
in time in which he could serve others (SPEC A9).
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from .exchange import Exchange
from .middleware import RequestMiddleware, identity_of
from .problems import MEDIA_TYPE, problem_bytes


class Turnstile:
    """Asked about each request when its head is complete; counts and logs whom it turns away.

    It looks at nothing but the room that there is. Who is let in meets the middleware, which asks
    once more, because not every request comes this way.
    """

    def __init__(self, middleware: RequestMiddleware, *, trusted_proxies: Sequence[str]) -> None:
        self._middleware = middleware
        trusted = list(trusted_proxies)
        self._proxies = ProxyHeadersMiddleware(_nothing, trusted) if trusted else None
        headers = [(b"content-type", MEDIA_TYPE.encode()), *middleware.reply_headers]
        self._headers = b"".join(b"%s: %s\r\n" % pair for pair in headers)

    def turn_away(self, scope: Scope) -> tuple[bytes, bytes] | None:
        """The reply to a request that there is no room for, None for any other.

        In two parts: a head to which the connection adds lines of its own, and a body.
        """
        middleware = self._middleware
        refusal = middleware.lack_of_room(scope)
        if refusal is None or scope["path"] in middleware.probes:
            return None
        if self._proxies is not None:
            with suppress(StopIteration):  # which is its end: there is nothing that it waits for
                self._proxies(cast("Any", scope), _nothing, _nothing).send(None)
        # Not in the context: that would be the connection's, and of all its requests.
        identity = identity_of(scope, dict(scope["headers"]))
        body = problem_bytes(refusal.status, detail=refusal.detail, request_id=identity.request_id)
        middleware.note_refused(refusal.reason)
        exchange = Exchange(middleware, identity, scope, _nothing, _nothing)
        exchange.status = refusal.status
        exchange.finish()
        lines = [STATUS_LINE[refusal.status], self._headers]
        lines += [b"%s: %s\r\n" % pair for pair in refusal.headers]
        lines.append(
            b"x-request-id: %s\r\ncontent-length: %d\r\n"
            % (identity.request_id.encode(), len(body))
        )
        return b"".join(lines), body


async def _nothing(*_: Any) -> Any:
    """Stands in for an application and its messages, of which there are none."""
