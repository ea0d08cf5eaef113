"""What this service is made of: its routes, health checks and resources. Yours to change."""

from .chassis import Service
from .payments import capture, routes


def wire(service: Service) -> None:
    """Register the service's parts. Called once, before the workers are forked.

    The database, the outbox and their health checks are there already: see `main.py`. A check of
    something else that the service can't do without takes it out of rotation while that is away:

        service.health.register("ledger", ping_ledger, timeout=3.0)

    A resource that each worker opens before its first request and closes after its last, found
    as `service.state.ledger` (in a route: `request.app.state.ledger`):

        service.resource("ledger", open_ledger)  # open_ledger() returns an async context manager
    """
    service.include_router(routes.router)
    capture.install(service)  # does nothing until PAYMENT_GATEWAY_URL is set
    # Memory and disk in /health. They aren't critical: a full disk never unplugs the pod.
    service.health.register_defaults()
