"""Who sends a request, as a token says it, once it is believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from jwt import exceptions

from .jwt_settings import JwtSettings
from .key_source import KeySource, UnknownKeyError

MAX_SUBJECT = 255
"""Characters of a `sub` at most (OpenID Connect Core, 2)."""

_REQUIRED = ["exp", "iss", "aud", "sub"]

_DETAILS: dict[type[Exception], str] = {
    exceptions.ExpiredSignatureError: "The token has expired.",
    exceptions.ImmatureSignatureError: "The token isn't valid yet.",
    exceptions.InvalidAudienceError: "The token is for somebody else.",
    exceptions.InvalidIssuerError: "The token is from another issuer.",
}


class TokenRefusedError(Exception):
    """The token isn't believed; the message says why, and nothing of what is in it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sends the request."""

    subject: str
    """The token's `sub`: the same for each of this caller's requests."""
    scopes: frozenset[str] = frozenset()
    """What the issuer says that the caller may do."""
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Everything that the token says."""


async def believe(token: str, keys: KeySource, settings: JwtSettings) -> Caller:
    """The caller that a token speaks of.

    Expiry, issuer, audience and subject have to be there, and `nbf` counts where there is one.
    Raises TokenRefusedError, or KeysUnavailableError when its key can't be had now.
    """
    try:
        header = jwt.get_unverified_header(token)
        algorithm = str(header["alg"])
        if algorithm not in settings.jwt_algorithms:
            raise TokenRefusedError("The token isn't signed as it has to be.")
        key = await keys.find(header.get("kid"), algorithm)
        claims = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],  # which is one of the pinned
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            leeway=settings.jwt_leeway_seconds,
            options={"require": _REQUIRED},
        )
    except UnknownKeyError:
        raise TokenRefusedError("The token isn't signed by a key of the issuer.") from None
    # What is no token can break a parser in more ways than PyJWT has names for.
    except (exceptions.PyJWTError, ValueError, TypeError, LookupError, RecursionError) as error:
        told = _DETAILS.get(type(error), "The token isn't accepted.")
        raise TokenRefusedError(told) from None
    subject = claims["sub"]
    if not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise TokenRefusedError("The token isn't accepted.")
    return Caller(subject, frozenset(_scopes(claims)), claims)


def _scopes(claims: Mapping[str, Any]) -> Iterable[str]:
    """The scopes of a token: `scope` as RFC 9068 has it, or `scp` as some issuers do."""
    for name in ("scope", "scp"):
        given = claims.get(name)
        if isinstance(given, str):
            yield from given.split()
        elif isinstance(given, list):
            yield from (scope for scope in given if isinstance(scope, str))
