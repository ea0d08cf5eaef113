"""What the chassis reads in the headers of a request, and what it adds to those of a reply."""

import re
from collections.abc import Iterable
from random import getrandbits

from starlette.types import Scope

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
# W3C Trace Context, 3.2: version, trace id, parent id, flags; later versions may have more.
_TRACE_PARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_TRACE_STATE = re.compile(rb"[ -~\t]{1,2048}")


def request_id(given: bytes | None) -> str:
    """The client's X-Request-ID, or a new one where it is missing or could do harm in a log."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return new_request_id()


def new_request_id() -> str:
    """32 hexadecimal digits at random: an identity, not a secret."""
    return getrandbits(128).to_bytes(16).hex()


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
    found = None if traceparent is None else _parsed(traceparent)
    return None if found is None else found[2].decode()


def trace_headers(scope: Scope) -> dict[str, str]:
    """The W3C Trace Context of a request as it is passed on, lower case; empty if it has none.

    It is passed on as it came; a later version as the one known here (3.4 of the recommendation).
    Without a `traceparent` that can be read, `tracestate` means nothing.
    """
    given = scope["headers"]
    parents = [value for name, value in given if name == b"traceparent"]
    found = _parsed(parents[0]) if len(parents) == 1 else None
    if found is None:
        return {}
    sampled = int(found[4], 16) & 1
    flags = found[4].decode() if found[1] == b"00" else f"{sampled:02x}"
    headers = {"traceparent": f"00-{found[2].decode()}-{found[3].decode()}-{flags}"}
    state = b",".join(value for name, value in given if name == b"tracestate")
    if _TRACE_STATE.fullmatch(state):
        headers["tracestate"] = state.decode()
    return headers


def _parsed(traceparent: bytes) -> re.Match[bytes] | None:
    found = _TRACE_PARENT.fullmatch(traceparent)
    return None if found is None or (found[1] == b"00" and found[5]) else found


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
