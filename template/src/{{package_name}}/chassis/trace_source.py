"""Which trace the work at hand is part of, where the service takes part in it.

Without tracing nothing is in force: the trace id of a log line and what is passed on to others are
those of the request's own headers. With it OpenTelemetry's current span knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class TraceSource(Protocol):
    """What has to be known of the current span."""

    def trace_id(self) -> str | None:
        """The trace id in lower-case hexadecimal; None outside of a trace."""
        ...

    def headers(self) -> Mapping[str, str]:
        """The W3C Trace Context for a call, names in lower case; empty outside of a trace."""
        ...


current: TraceSource | None = None


def use(source: TraceSource | None) -> None:
    """Put a source in force in this process, or none. For a worker, when it opens and closes."""
    global current
    current = source
