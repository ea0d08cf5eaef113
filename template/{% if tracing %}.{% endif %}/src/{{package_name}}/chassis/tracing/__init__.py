"""Traces by OpenTelemetry: a span for each request, made by FastAPI and sent by OTLP.

Where to is said by OpenTelemetry's own variables, `OTEL_EXPORTER_OTLP_ENDPOINT` first of all; as
long as it isn't set nothing is traced, and the SDK isn't even imported.
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from .feature import install
from .tracing_settings import TracingSettings

__all__ = ["TracingSettings", "install"]
