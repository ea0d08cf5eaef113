"""What this service was generated with. Kept by the template: `copier update` rewrites it."""

from typing import ClassVar

from .chassis import Answers
from .chassis.database import DatabaseSettings
from .chassis.idempotency import IdempotencySettings
from .chassis.outbox import OutboxSettings

ANSWERS = Answers(
    service_name="payment-api",
    description="An HTTP API that keeps its promises",
    template_version="0.0.0",
    cpu_limit=2.0,
    memory_limit_mib=1024,
    memory_per_worker_mib=150,
    workload="io",
    request_timeout_seconds=15,
    drain_seconds=10,
    keepalive_seconds=5,
    database="sqlite",
)


class AnsweredSettings(
    DatabaseSettings,
    IdempotencySettings,
    OutboxSettings,
):
    """The settings that these answers bring along; yours come on top in `settings.py`."""

    answers: ClassVar[Answers] = ANSWERS
