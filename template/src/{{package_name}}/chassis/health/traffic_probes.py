"""`/livez` and `/readyz` on the traffic port: status only.

For platforms with a single port, and for balancers that should probe the port they route to.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from ..settings import ChassisSettings
from .probes import Probes
from .replies import bare_reply

PATHS = ("/livez", "/readyz")


def traffic_probes(probes: Probes, settings: ChassisSettings) -> dict[str, ASGIApp]:
    """The probes by path; none where the settings turn them off."""

    async def live(scope: Scope, receive: Receive, send: Send) -> None:
        await bare_reply(probes.live())(scope, receive, send)

    async def ready(scope: Scope, receive: Receive, send: Send) -> None:
        await bare_reply(await probes.ready())(scope, receive, send)

    if not (settings.probes_enabled and settings.traffic_probes_enabled):
        return {}
    return dict(zip(PATHS, (live, ready), strict=True))
