"""What others are told about payments: one event for each change, in order for each payment."""

from ..chassis.outbox import Event
from .payment import Payment

TOPIC = "payments"


def event_of(payment: Payment) -> Event:
    """The event that says that a payment has come into its status, with all that is known of it.

    Consumers get it at least once: they tell repetitions by the event's id.
    """
    return Event(
        topic=TOPIC,
        key=str(payment.id),
        type=f"payment.{payment.status}",
        data=payment.model_dump(mode="json"),
    )
