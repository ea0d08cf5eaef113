"""Who is being served right now: what every log line of a request carries (SPEC row E1).

The request middleware sets :data:`current` once per request. The object is mutable and shared by
every task and thread that serves the request (they copy the variable, not the object), so a user
bound deep inside an endpoint shows on the access line as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class RequestContext:
    """One request, as the logs know it.

    ``bound`` holds further fields for the log lines of this request; ``None`` until something is
    bound, because most requests never bind anything. ``trace_headers`` are the W3C Trace Context
    that it came with, for the calls that are made for it.
    """

    __slots__ = ("bound", "method", "path", "request_id", "trace_headers", "trace_id", "user_id")

    def __init__(
        self,
        request_id: str,
        trace_id: str | None,
        method: str,
        path: str,
        user_id: str | None = None,
        bound: dict[str, object] | None = None,
        trace_headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        self.request_id = request_id
        self.trace_id = trace_id
        self.method = method
        self.path = path
        self.user_id = user_id
        self.bound = bound
        self.trace_headers = trace_headers

    def __repr__(self) -> str:
        return f"<RequestContext {self.request_id} {self.method} {self.path}>"


current: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)


def bind_user(user_id: str | None) -> None:
    """Put the authenticated user on every further log line of this request.

    Outside a request there is nothing to bind to, and nothing happens.
    """
    context = current.get()
    if context is not None:
        context.user_id = user_id


def request_id() -> str | None:
    """The id of the request that is being served, None outside of one."""
    context = current.get()
    return context.request_id if context is not None else None
