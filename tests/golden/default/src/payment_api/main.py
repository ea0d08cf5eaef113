"""The application: this service's settings and wiring, on the chassis.

Kept by the template. What the service does is registered in `wiring.py`.
"""

from .chassis import create_app, database, idempotency, outbox
from .settings import Settings
from .wiring import wire

app = create_app(
    Settings,
    wire,
    features=[
        database.install,
        idempotency.install,
        outbox.install,
    ],
)
