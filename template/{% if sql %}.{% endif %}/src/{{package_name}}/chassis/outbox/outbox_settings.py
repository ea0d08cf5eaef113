"""The settings of a service with an outbox."""

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ..settings import ChassisSettings, refusal


class OutboxSettings(ChassisSettings):
    """What the chassis can be told about the outbox."""

    outbox_batch_size: int = Field(
        default=500, ge=1, le=10_000, description="events that are published at once"
    )
    outbox_poll_seconds: float = Field(
        default=1, ge=0.05, le=60, description="how often to look for other workers' events"
    )
    outbox_publish_timeout_seconds: float = Field(
        default=5, ge=0.1, le=300, description="for a batch to be taken in"
    )
    outbox_lease_seconds: float = Field(
        default=15, ge=0.2, le=3600, description="after it others take over from a dead relay"
    )
    outbox_max_backoff_seconds: float = Field(
        default=10, ge=0.1, le=600, description="the longest wait for a sink that is away"
    )
    outbox_max_attempts: int = Field(
        default=5, ge=1, le=1000, description="refusals after which an event is parked"
    )
    outbox_retention_days: float = Field(
        default=7, ge=0, le=3650, description="how long published events are kept"
    )
    outbox_max_lag_seconds: float = Field(
        default=60, ge=0.1, le=86_400, description="an older event makes the health check fail"
    )
    outbox_max_backlog: int = Field(
        default=100_000, ge=1, le=10**9, description="more events make the health check fail"
    )

    @model_validator(mode="after")
    def _refuse_a_lease_that_runs_out(self) -> "OutboxSettings":
        publish, lease = self.outbox_publish_timeout_seconds, self.outbox_lease_seconds
        if lease < 2 * publish:
            line = (
                f"OUTBOX_LEASE_SECONDS {lease:g} must be at least twice "
                f"OUTBOX_PUBLISH_TIMEOUT_SECONDS {publish:g}: or a slow batch is published twice"
            )
            raise PydanticCustomError(refusal.CONFLICT, "{wrong}", {"wrong": line})
        return self
