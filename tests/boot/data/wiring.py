# mypy: ignore-errors
"""The wiring of a service with a database that is stopped, filled up and migrated."""

from .chassis.service import Service
from .routes import orders


def wire(service: Service) -> None:
    """Register the routes."""
    service.include_router(orders.router)
