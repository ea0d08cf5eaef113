"""What a call tells the other side of the request that it is made for.

The request id, and the trace context as it came: without tracing this service has no part in the
trace, so the caller's parent id stays, and `tracestate` with it (W3C Trace Context, 3.4,
https://www.w3.org/TR/trace-context/#mutating-the-traceparent-field). Never credentials.
"""

from .. import context


def headers() -> dict[str, str]:
    """The headers for a call, names in lower case; none outside of a request."""
    request = context.current.get()
    if request is None:
        return {}
    return {"x-request-id": request.request_id, **request.trace_headers}
