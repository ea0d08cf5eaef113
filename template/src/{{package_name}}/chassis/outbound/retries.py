"""Which calls may be made again, and after which pause. No clock, no socket, no state here."""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods that do the same when they are done twice (RFC 9110, 9.2.2)."""

IDEMPOTENCY_KEY = "idempotency-key"
"""A header with which the other side tells a repetition from a second order
(draft-ietf-httpapi-idempotency-key-header)."""

WORTH_ANOTHER_TRY = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Statuses that may be another one soon."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds; between them the pause doubles with each attempt."""

_SAYS_WHEN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def may_repeat(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a call may be made twice. `headers` finds names in any case, or has lower-case ones.

    A POST may, if it has an Idempotency-Key: without one nobody knows whether it was carried out.
    """
    return method.upper() in IDEMPOTENT or bool(headers.get(IDEMPOTENCY_KEY))


def retry_after(
    status: int, headers: Mapping[str, str], now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> float:
    """Seconds that a 429 or 503 asks us to wait, as a number or a date (RFC 9110, 10.2.3); else 0.

    What can't be read is taken for not said.
    """
    said = headers.get("retry-after", "").strip()
    if not said or status not in _SAYS_WHEN:
        return 0.0
    if said.isascii() and said.isdecimal():
        return float(said[:9])
    try:
        date = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    if date.tzinfo is None:  # "-0000": a time in UTC of an unknown zone
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now()).total_seconds())


def pause(
    attempt: int, asked: float, uniform: Callable[[float, float], float] = random.uniform
) -> float:
    """Seconds to wait after the attempt of that number (from 1 on), `asked` of them at least.

    A random part of a bound that doubles ("full jitter"), so that callers that failed together
    don't come back together.
    """
    bound = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt - 1, 30))
    return asked + uniform(0, bound)
