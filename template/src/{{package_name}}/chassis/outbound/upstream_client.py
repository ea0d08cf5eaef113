"""httpx2 with what it leaves open closed: one upstream, no cookies, bounded replies.

Only services that declare an upstream import this: httpx2 takes 50 ms and some memory.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.request import getproxies

import httpcore2 as httpcore2  # httpx2 does it when the first client is made, in each worker
import httpx2

from .upstream_policy import UpstreamPolicy

_CHATTY = ("httpx2", "httpcore2")
_PLAIN_PATH = re.compile(r"/|(?:/[A-Za-z0-9._~-]+)+/?")
_MOST_URLS = 256


class ResponseTooLargeError(Exception):
    """A reply's body exceeds the limit; the rest of it wasn't read."""


class UpstreamClient:
    """The connections of one worker to one upstream, while it is open.

    `places` are as many as there are connections: whoever holds one need not wait for a connection.
    """

    def __init__(self, url: str, headers: Mapping[str, str], policy: UpstreamPolicy) -> None:
        self.places = asyncio.Semaphore(policy.max_connections)
        self._policy = policy
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers=headers,
            # One caller's cookies must not be sent for the next one.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            verify=_tls(url),
            limits=httpx2.Limits(max_connections=policy.max_connections),
            # A redirect could lead anywhere, past this upstream's breaker.
            follow_redirects=False,
        )
        self._base = str(self._http.base_url).rstrip("/")
        self._plain_url = lru_cache(_MOST_URLS)(self._put_together)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def build(
        self, method: str, path: str, propagated: Mapping[str, str], seconds: float, **parts: Any
    ) -> httpx2.Request:
        """Make the request; ValueError for a `path` that leads to another host.

        What is propagated gives way to headers of the same name.
        """
        bounds = httpx2.Timeout(
            seconds, connect=self._policy.connect_timeout, pool=self._policy.pool_timeout
        )
        url = self._plain_url(path)
        request = self._http.build_request(method.upper(), url or path, timeout=bounds, **parts)
        if url is None and _origin(request.url) != _origin(self._http.base_url):
            raise ValueError("a call takes a path below the upstream's URL, not another URL")
        for name, value in propagated.items():
            request.headers.setdefault(name, value)
        return request

    def _put_together(self, path: str) -> httpx2.URL | None:
        """The URL of a path that can lead nowhere else; None for one that has to be looked at.

        httpx2 parses twice for each request, which takes longer than all bounds of a call.
        """
        return httpx2.URL(f"{self._base}{path}") if _PLAIN_PATH.fullmatch(path) else None

    async def exchange(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request and read the whole reply. Raises what httpx2 raises.

        A reply with too large a body raises ResponseTooLargeError.
        """
        response = await self._http.send(request, stream=True)
        try:
            if self._is_bounded(response):
                await response.aread()
                return response
            return httpx2.Response(
                response.status_code,
                headers=_headers(response),
                content=await self._read(response),
                request=request,
                extensions=response.extensions,
            )
        finally:
            await response.aclose()

    def _is_bounded(self, response: httpx2.Response) -> bool:
        """Whether the reply says truly how long its body is, which isn't too long."""
        headers = response.headers
        if "content-encoding" in headers or "transfer-encoding" in headers:
            return False
        length = headers.get("content-length", "")
        return length.isdecimal() and int(length) <= self._policy.max_response_bytes

    async def _read(self, response: httpx2.Response) -> bytes:
        limit = self._policy.max_response_bytes
        with suppress(ValueError):
            if response.request.method != "HEAD" and int(_length(response)) > limit:
                raise ResponseTooLargeError
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > limit:
                raise ResponseTooLargeError
        return bytes(body)


def prepare() -> None:
    """Have OpenSSL set itself up before the fork: 3 MB that the workers share then."""
    _nobody()


def keep_quiet() -> None:
    """Have httpx2 and httpcore2 log warnings only, unless somebody has set a level for them.

    At info httpx2 logs each URL with its query.
    """
    for name in _CHATTY:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)


def checked_url(name: str, url: object) -> str:
    """A URL as text; ValueError, which doesn't show it, when it isn't one of HTTP."""
    text = str(url)
    with suppress(httpx2.InvalidURL):
        parsed = httpx2.URL(text)
        if parsed.scheme in ("http", "https") and parsed.host and not parsed.query:
            return text
    raise ValueError(
        f"upstream {name!r}: its URL has to be http:// or https:// with a host and without a query"
    )


@cache
def _nobody() -> ssl.SSLContext:
    """Believes nobody. For connections without TLS, for which httpx2 wants a context as well."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@cache
def _authorities() -> ssl.SSLContext:
    """Believes the system's authorities. Reading them takes 20 ms and more: once in a worker."""
    return httpx2.create_ssl_context()


def _tls(url: str) -> ssl.SSLContext:
    return _authorities() if url.lower().startswith("https:") or getproxies() else _nobody()


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _length(response: httpx2.Response) -> str:
    return response.headers.get("content-length", "")


def _headers(response: httpx2.Response) -> list[tuple[bytes, bytes]]:
    """The headers, without those that describe a body that is decompressed by now."""
    untrue = {b"content-encoding", b"content-length", b"transfer-encoding"}
    if "content-encoding" not in response.headers or response.request.method == "HEAD":
        untrue = {b"transfer-encoding"}
    return [pair for pair in response.headers.raw if pair[0].lower() not in untrue]
