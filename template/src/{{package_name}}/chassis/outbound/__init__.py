"""The HTTP services that this one calls, each bounded in every way (SPEC D4).

Declared in `wiring.py`:

>>> service.upstream("gateway", url=lambda: Settings.current().payment_gateway_url, deadline=5.0)

and used in a route, with types:

>>> Gateway = Annotated[Upstream, Depends(upstream("gateway"))]
>>> async def charge(order: Order, gateway: Gateway) -> Receipt:
...     response = await gateway.post("/charges", json=order.model_dump())
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, TypedDict, cast

from pydantic import AnyUrl
from starlette.requests import HTTPConnection

from ..breaker import breakers
from . import propagation
from .upstream_errors import UpstreamBusyError, UpstreamError, UpstreamTimeoutError
from .upstream_policy import UpstreamOptions, UpstreamPolicy

if TYPE_CHECKING:
    from typing import Self, Unpack

    from httpx2 import Response

    from .upstream_client import UpstreamClient

__all__ = [
    "Upstream",
    "UpstreamBusyError",
    "UpstreamError",
    "UpstreamOptions",
    "UpstreamTimeoutError",
    "upstream",
]

Url = str | Callable[[], str | AnyUrl]
"""A URL, or what returns it once the settings are read."""

Headers = Callable[[], Mapping[str, str]]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class RequestParts(TypedDict, total=False):
    """What a call may have besides its method and path. All as in httpx2, but for `deadline`."""

    params: Mapping[str, Any]
    headers: Mapping[str, str]
    json: Any
    content: bytes | str
    data: Mapping[str, Any]
    deadline: float
    """Seconds for this call, instead of the upstream's."""


class Upstream:
    """One HTTP service and the bounds of calls to it. Safe under concurrent tasks, not threads.

    A call returns the reply whatever its status, read as a whole. It raises UpstreamTimeoutError
    when there is none in time, UpstreamBusyError when all connections are in use for too long,
    UpstreamError when there is none for another reason, and CircuitOpenError at once while the
    circuit of this name is open. A failure is a call without a reply, or with a 5xx; a 4xx is an
    answer.

    Made before the fork, where it opens nothing. Raises ValueError for what makes no sense.
    """

    def __init__(
        self,
        name: str,
        url: Url,
        *,
        headers: Headers | None = None,
        **options: Unpack[UpstreamOptions],
    ) -> None:
        # Not at import: a service without upstreams doesn't pay for httpx2. Not in the worker
        # either: what the master has imported, the workers share.
        from . import retry_hooks, upstream_client

        if not _NAME.fullmatch(name):
            raise ValueError(
                f"upstream {name!r}: a name has 1 to 64 letters, digits, '_', '-' and '.'"
            )
        if isinstance(url, str):
            upstream_client.checked_url(name, url)
        try:
            self.policy = UpstreamPolicy(**options)
            self.breaker = breakers.current.get(name, **self.policy.breaker_options)
        except ValueError as error:
            raise ValueError(f"upstream {name!r}: {error}") from None
        upstream_client.prepare()
        self.name = name
        self._url = url
        self._headers = headers
        self._client: UpstreamClient | None = None
        self._retry_hooks = retry_hooks
        self._clients = upstream_client

    def __repr__(self) -> str:
        return f"<Upstream {self.name!r}>"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Hold its connections, none of which is made before it is needed. For the service.

        Raises ValueError when its URL isn't one.
        """
        url = self._url if isinstance(self._url, str) else self._url()
        self._clients.keep_quiet()
        self._retry_hooks.leave_out_upstreams()
        client = self._clients.UpstreamClient(
            self._clients.checked_url(self.name, url),
            self._headers() if self._headers else {},
            self.policy,
        )
        self._client = client
        try:
            yield self
        finally:
            self._client = None
            await client.close()

    async def request(self, method: str, path: str, **parts: Unpack[RequestParts]) -> Response:
        """Call the upstream; `path` stands below its URL.

        Idempotent methods, and others with an `Idempotency-Key`, are tried again after a failure,
        a 408 or a 429. Raises RuntimeError outside of a worker's life, ValueError for another URL
        instead of a path, and what the class says.
        """
        from .call import Call

        client = self._client
        if client is None:
            raise RuntimeError(f"upstream {self.name!r} isn't open: each worker opens its own")
        deadline = parts.pop("deadline", self.policy.deadline)
        if not (isfinite(deadline) and deadline > 0):
            raise ValueError(f"deadline is {deadline!r}, not seconds above 0")
        request = client.build(method, path, propagation.headers(), deadline, **parts)
        return await Call(client, self.breaker, self.policy, request, deadline).make()

    async def get(self, path: str, **parts: Unpack[RequestParts]) -> Response:
        """GET; see `request`."""
        return await self.request("GET", path, **parts)

    async def post(self, path: str, **parts: Unpack[RequestParts]) -> Response:
        """POST; see `request`."""
        return await self.request("POST", path, **parts)

    async def put(self, path: str, **parts: Unpack[RequestParts]) -> Response:
        """PUT; see `request`."""
        return await self.request("PUT", path, **parts)

    async def patch(self, path: str, **parts: Unpack[RequestParts]) -> Response:
        """PATCH; see `request`."""
        return await self.request("PATCH", path, **parts)

    async def delete(self, path: str, **parts: Unpack[RequestParts]) -> Response:
        """DELETE; see `request`."""
        return await self.request("DELETE", path, **parts)


@cache
def upstream(name: str) -> Callable[[HTTPConnection], Awaitable[Upstream]]:
    """A FastAPI dependency: the upstream that the service has declared by this name.

    The same name gives the same dependency, so that a test can override it.
    """

    async def find(connection: HTTPConnection) -> Upstream:
        declared = getattr(connection.app, "upstreams", {})
        if name not in declared:
            raise LookupError(f"no upstream {name!r}: service.upstream({name!r}, ...) declares it")
        return cast("Upstream", declared[name])

    return find
