"""The settings of a service that sends traces.

Those that begin with OTEL are OpenTelemetry's own. They stand here as far as a wrong one would go
unnoticed until traces are missed, or as they may be secret.
"""

from typing import Literal

from pydantic import Field, HttpUrl, SecretStr

from ..settings import ChassisSettings
from ..settings.setting_types import Maybe


class TracingSettings(ChassisSettings):
    """What the chassis can be told about traces."""

    tracing_sample_ratio: float = Field(
        default=0.1, ge=0, le=1, description="the part of requests without a caller's say"
    )
    otel_exporter_otlp_endpoint: Maybe[HttpUrl] = Field(
        default=None, description="where traces are sent, `/v1/traces` appended; empty: nowhere"
    )
    otel_exporter_otlp_traces_endpoint: Maybe[HttpUrl] = Field(
        default=None, description="the same as a whole, with nothing appended"
    )
    otel_exporter_otlp_headers: Maybe[SecretStr] = Field(
        default=None, description="headers for it, such as `api-key=...`, comma-separated"
    )
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = Field(
        default="http/protobuf", description="the only one that is installed"
    )

    @property
    def traces_endpoint(self) -> str | None:
        """The URL that traces are posted to, None when they aren't sent."""
        if self.otel_exporter_otlp_traces_endpoint is not None:
            return str(self.otel_exporter_otlp_traces_endpoint)
        if self.otel_exporter_otlp_endpoint is not None:
            return str(self.otel_exporter_otlp_endpoint).rstrip("/") + "/v1/traces"
        return None
