"""The issuer's keys in a service: read from a file or fetched, kept by each worker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from ..outbound import Upstream
from . import verification_keys
from .jwt_settings import MAX_JWKS_BYTES, JwtSettings
from .key_source import CachedKeys, FixedKey, KeySource
from .verification_keys import VerificationKeys

FETCH_SECONDS = 5.0
"""The deadline of a fetch with all its attempts; a request whose key isn't known waits for it."""

UPSTREAM = "jwks"
"""The name of the issuer's circuit in `/health` and the metrics."""

Read = Callable[[], Awaitable[VerificationKeys]]


@asynccontextmanager
async def opened(settings: JwtSettings) -> AsyncIterator[KeySource]:
    """The source that the settings name; a set is read beside the first requests."""
    if (key := settings.jwt_fixed_key) is not None:
        yield FixedKey(key)
        return
    async with _reader(settings) as read:
        keys = CachedKeys(read, refresh_seconds=settings.jwt_jwks_refresh_seconds)
        keys.refresh_soon()
        try:
            yield keys
        finally:
            await keys.close()


@asynccontextmanager
async def _reader(settings: JwtSettings) -> AsyncIterator[Read]:
    url = settings.jwt_jwks_url
    if url is None:
        yield lambda: asyncio.to_thread(settings.read_jwks_file)
        return
    path = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    origin = str(url).removesuffix(path) if path != "/" else str(url)
    upstream = Upstream(UPSTREAM, origin, deadline=FETCH_SECONDS, max_response_bytes=MAX_JWKS_BYTES)

    async def fetch() -> VerificationKeys:
        reply = await upstream.get(path)
        if reply.status_code != 200:
            raise ValueError(f"the issuer answers {reply.status_code}")
        return verification_keys.from_jwks(json.loads(reply.content), settings.jwt_algorithms)

    async with upstream.open():
        yield fetch
