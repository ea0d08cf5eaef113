"""What this service was generated with. Kept by the template: `copier update` rewrites it."""

from typing import ClassVar

from .chassis import Answers, ChassisSettings

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
)


class AnsweredSettings(ChassisSettings):
    """The settings that these answers bring along; yours come on top in `settings.py`."""

    answers: ClassVar[Answers] = ANSWERS
