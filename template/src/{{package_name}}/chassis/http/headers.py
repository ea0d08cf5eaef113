"""What the chassis reads in the headers of a request, and what it adds to those of a reply."""

import re
from collections.abc import Iterable
from random import getrandbits

from starlette.types import Scope

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACE_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
_NO_TRACE = b"0" * 32


def request_id(given: bytes | None) -> str:
    """The client's X-Request-ID, or a new one where it is missing or could do harm in a log."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return f"{getrandbits(128):032x}"  # an identity, not a secret


def has_two_hosts(scope: Scope) -> bool:
    """Whether there is more than one Host header, of which everybody may take another one."""
    return [name for name, _ in scope["headers"]].count(b"host") > 1


def is_allowed_host(header: bytes, patterns: Iterable[str]) -> bool:
    """Whether a Host header, port aside, is one of the names, or below one such as `*.name`."""
    host = header.decode("latin-1").lower()
    if not host.endswith("]"):
        host = host.rpartition(":")[0] or host
    for pattern in map(str.lower, patterns):
        if pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:])):
            return True
    return False


def trace_id(traceparent: bytes | None) -> str | None:
    """The trace id of a W3C Trace Context header, or None where it is missing or malformed."""
    if traceparent is None:
        return None
    found = _TRACE_PARENT.fullmatch(traceparent)
    if found is None or found[1] == _NO_TRACE:
        return None
    return found[1].decode()


def security_headers(*, hsts_seconds: int) -> list[tuple[bytes, bytes]]:
    """Headers that are safe on every reply of an API (OWASP REST Security Cheat Sheet)."""
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    ]
    if hsts_seconds:
        headers.append((b"strict-transport-security", b"max-age=%d" % hsts_seconds))
    return headers
