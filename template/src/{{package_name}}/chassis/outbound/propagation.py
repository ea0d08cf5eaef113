"""What a call tells the other side of the request that it is made for.

The request id, and the trace context. Without tracing this service has no part in the trace, so the
context is passed on as it came: the caller's parent id stays, and `tracestate` with it (W3C Trace
Context, 3.4, https://www.w3.org/TR/trace-context/#mutating-the-traceparent-field). With tracing it
is that of the current span. Never credentials.
"""

from collections.abc import Mapping

from .. import context, trace_source


def headers() -> dict[str, str]:
    """The headers for a call, names in lower case; none outside of a request and of a span."""
    request = context.current.get()
    source = trace_source.current
    identity = {} if request is None else {"x-request-id": request.request_id}
    return {**identity, **(_as_it_came(request) if source is None else source.headers())}


def _as_it_came(request: context.RequestContext | None) -> Mapping[str, str]:
    return context.NO_HEADERS if request is None else request.trace_headers
