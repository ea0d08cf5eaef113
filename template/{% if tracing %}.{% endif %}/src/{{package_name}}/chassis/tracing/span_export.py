"""OpenTelemetry's SDK as this service uses it; imported only by workers that export.

Beside what is said here the SDK's own variables count: `OTEL_RESOURCE_ATTRIBUTES`,
`OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_BSP_*` and others.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import os

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.util.re import parse_env_headers

from ..logs.secret_text import MASK

_QUERY = "url.query"


class HideQuery(SpanProcessor):
    """Takes the query out of spans, which may hold secrets; logs don't have it either."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """See `SpanProcessor`."""
        if span.attributes and _QUERY in span.attributes:
            span.set_attribute(_QUERY, MASK)


class SpanExport:
    """Samples spans and sends them in batches, in a thread of its own.

    `ratio` is for requests whose caller doesn't say; who says so has its own way. `headers` are as
    in OTEL_EXPORTER_OTLP_HEADERS.
    """

    def __init__(
        self, endpoint: str, *, headers: str | None, ratio: float, service: str, version: str
    ) -> None:
        self._exporter = OTLPSpanExporter(
            endpoint, headers=parse_env_headers(headers, liberal=True) if headers else None
        )
        ours = Resource.create(
            {"service.name": service, "service.version": version, "process.pid": os.getpid()}
        )
        # The environment's attributes come last, and win.
        resource = ours.merge(OTELResourceDetector().detect())
        self.provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(ratio), resource=resource, shutdown_on_exit=False
        )
        self.provider.add_span_processor(HideQuery())
        self.provider.add_span_processor(BatchSpanProcessor(self._exporter))

    def start(self) -> None:
        """Make it the process' provider: FastAPI's spans and the service's own go there."""
        trace.set_tracer_provider(self.provider)

    def close(self) -> None:
        """Send what is left. It may take as long as the exporter's patience; see `give_up`."""
        self.provider.shutdown()

    def give_up(self) -> None:
        """Have `close`, in another thread, try no more."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
