"""What keeps this service alive in production. Kept by the template: don't edit it here.

Import from here what your own code needs; the modules say the rest.
"""

from . import availability
from .answers import Answers
from .availability import AvailabilityChange, LivenessState, ReadinessState
from .availability import publish as publish_availability
from .availability import subscribe as subscribe_to_availability
from .breaker import CircuitBreaker, CircuitOpenError, breakers
from .breaker.circuit_state import CircuitState
from .context import bind_user
from .health import HealthRegistry
from .logs import get_logger
from .logs.structured_logger import StructuredLogger
from .metrics.metric_facade import Metrics
from .models import ModelNotReadyError, ModelRegistry
from .service import Service, create_app
from .settings import ChassisSettings

__all__ = [
    "Answers",
    "AvailabilityChange",
    "ChassisSettings",
    "CircuitBreaker",
    "CircuitOpenError",
    "CircuitState",
    "HealthRegistry",
    "LivenessState",
    "Metrics",
    "ModelNotReadyError",
    "ModelRegistry",
    "ReadinessState",
    "Service",
    "StructuredLogger",
    "availability",
    "bind_user",
    "breakers",
    "create_app",
    "get_logger",
    "publish_availability",
    "subscribe_to_availability",
]
