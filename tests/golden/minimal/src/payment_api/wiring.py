"""What this service is made of: routes, health checks, resources, upstreams. Yours to change."""

from .chassis import Service
from .routes import greeting


def wire(service: Service) -> None:
    """Register the service's parts. Called once, before the workers are forked.

    A health check of something that the service can't do without takes it out of rotation while
    that is away (a database that was chosen as an answer has its checks already):

        service.health.register("ledger", ping_ledger, timeout=3.0)

    A resource that each worker opens before its first request and closes after its last, found
    as `service.state.pool` (in a route: `request.app.state.pool`):

        service.resource("pool", open_pool)  # open_pool() returns an async context manager

    A service that this one calls, with a deadline, retries and a circuit breaker; in a route it is
    a parameter of the type `Annotated[Upstream, Depends(upstream("gateway"))]`, both names from
    `.chassis.outbound`:

        service.upstream("gateway", url=lambda: Settings.current().payment_gateway_url, deadline=5)
    """
    service.include_router(greeting.router)
    # Memory and disk in /health. They aren't critical: a full disk never unplugs the pod.
    service.health.register_defaults()
