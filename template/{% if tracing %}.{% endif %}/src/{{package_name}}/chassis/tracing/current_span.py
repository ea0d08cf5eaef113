"""OpenTelemetry's current span, as logs and calls to others want to know of it."""

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# Not the global one: that passes on `baggage` as well, whoever has sent it.
_propagator = TraceContextTextMapPropagator()


class CurrentSpan:
    """See `TraceSource`. A span that isn't sampled has an id all the same."""

    def trace_id(self) -> str | None:
        """See `TraceSource`."""
        context = trace.get_current_span().get_span_context()
        return f"{context.trace_id:032x}" if context.is_valid else None

    def headers(self) -> Mapping[str, str]:
        """See `TraceSource`."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier
