"""Where keys come from: the settings, or a JWK set that is read again when it gets old.

A set is kept while its source is away: an issuer's outage stops nobody whose key is known. A key
that isn't known makes the set be read at once, so that a rotation needs no waiting, but not more
often than every few seconds: anybody can make up names of keys.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from .. import logs
from .verification_keys import VerificationKey, VerificationKeys

RETRY_SECONDS = 10.0
"""A set isn't read more often, whatever it failed for and whichever key is missing."""

_log = logs.get_logger("chassis.jwt")


class UnknownKeyError(Exception):
    """The issuer has no such key."""


class KeysUnavailableError(Exception):
    """Whether the issuer has such a key can't be told now."""


class KeySource(Protocol):
    """Where to ask for a key."""

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        """The key of that name for that algorithm.

        Raises UnknownKeyError, or KeysUnavailableError when that can't be told now.
        """


class FixedKey:
    """The one key that stands in the settings."""

    def __init__(self, key: VerificationKey) -> None:
        self._keys = VerificationKeys([key])

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        """See KeySource."""
        key = self._keys.find(kid, algorithm)
        if key is None:
            raise UnknownKeyError
        return key


class CachedKeys:
    """The keys of a JWK set, as `read` gave them at last. What `read` raises is logged."""

    def __init__(
        self,
        read: Callable[[], Awaitable[VerificationKeys]],
        *,
        refresh_seconds: float,
        retry_seconds: float = RETRY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._refresh_seconds = refresh_seconds
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._keys = VerificationKeys(())
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._failed = False
        self._reading: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        """See KeySource. Waits for the set to be read only when the key isn't known."""
        key = self._keys.find(kid, algorithm)
        if key is None:
            if reading := self._refresh():
                # Others wait for it too: one of them giving up must not cancel it.
                await asyncio.shield(reading)
            key = self._keys.find(kid, algorithm)
        elif self._clock() - self._read_at >= self._refresh_seconds:
            self.refresh_soon()
        if key is not None:
            return key
        raise KeysUnavailableError if self._failed else UnknownKeyError

    def refresh_soon(self) -> None:
        """Have the set read, unless that was tried a moment ago; nobody waits for it."""
        self._refresh()

    async def close(self) -> None:
        """Give up reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _refresh(self) -> asyncio.Task[None] | None:
        if self._reading is not None and not self._reading.done():
            return self._reading
        if self._clock() - self._tried_at < self._retry_seconds:
            return None
        self._tried_at = self._clock()
        self._reading = asyncio.create_task(self._read_again(), name="issuer's keys")
        return self._reading

    async def _read_again(self) -> None:
        try:
            self._keys = await self._read()
        except Exception as error:
            self._failed = True
            _log.warning(
                "issuer's keys not read",
                error=f"{type(error).__name__}: {error}",
                known=len(self._keys),
            )
        else:
            self._failed = False
            self._read_at = self._clock()
            _log.debug("issuer's keys read", known=len(self._keys))
