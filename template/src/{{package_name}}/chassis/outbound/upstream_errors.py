"""What a call to an upstream raises when there is no reply to return.

A circuit that lets no call through raises `CircuitOpenError`, as everywhere. A route needn't catch
any of them: `http.problems` makes a reply of each.
"""


class UpstreamError(Exception):
    """`upstream` gave no usable reply: no connection, a broken one, or nonsense. 502 in a route."""

    def __init__(self, upstream: str, reason: str) -> None:
        super().__init__(upstream, reason)
        self.upstream = upstream
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.upstream}: {self.reason}"


class UpstreamTimeoutError(UpstreamError, TimeoutError):
    """There was no whole reply in time. It may still have been carried out. 504 in a route."""


class UpstreamBusyError(UpstreamError):
    """All connections are in use and none became free in time; nothing was sent. 503 in a route."""
