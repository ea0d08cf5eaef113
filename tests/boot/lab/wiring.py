# mypy: ignore-errors
"""The wiring of the lab: the greeting that every service starts with, and the lab's own parts."""

import os
from functools import partial

from .chassis.service import Service
from .routes import awkward, charges, greeting, lab


def wire(service: Service) -> None:
    """Register the routes and the check."""
    service.include_router(greeting.router)
    service.include_router(lab.router)
    service.include_router(awkward.router)
    for name in ("first", "second", "third"):
        service.resource(name, partial(lab.resource, name))
    service.health.register("outside", lab.outside, "Something outside", critical=True, timeout=1)
    if "GATEWAY_URL" in os.environ:  # so that no other test has its breaker in /health
        charges.add_gateway(service)
    awkward.add_extra(service)
