"""The answers that the service was generated with, as far as the running code needs them."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the questionnaire settled; the default of every setting that has one here.

    The same answers render the manifests, so code and platform start from the same numbers.
    An environment variable may move a setting away from its answer; see `settings`.
    """

    service_name: str
    """The name in logs, metrics and the process list, e.g. ``payment-api``."""

    description: str
    """One sentence for the README, the OpenAPI page and ``/info``."""

    template_version: str
    """The version of the template that last rendered the service, e.g. ``1.4.0``."""

    cpu_limit: float
    """CPUs of one container; fractions are cores in part (0.5 is Kubernetes' ``500m``)."""

    memory_limit_mib: int
    """Memory of one container, in MiB."""

    memory_per_worker_mib: int
    """Memory that one worker process needs at its peak, in MiB."""

    workload: Literal["io", "cpu"]
    """What a worker spends its time on: waiting for others (``io``) or computing (``cpu``)."""

    request_timeout_seconds: int
    """The deadline of one request, in seconds, after which it is answered 504."""

    drain_seconds: int
    """How long a stopping service says "not ready" while it still accepts, in seconds."""

    keepalive_seconds: int
    """How long an idle connection is kept, in seconds; longer than the proxy in front does."""

    database: Literal["none", "sqlite", "postgresql"] = "none"
    """Where the service keeps its data."""

    database_max_connections: int = 100
    """How many connections the database takes in all, from everybody."""

    tracing: bool = False
    """Whether the service takes part in traces (OpenTelemetry)."""

    replicas_max: int = 1
    """How many replicas there are at most, but for those that a rollout adds."""
