"""An event: something that happened, told to whoever wants to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from .. import context
from ..identifiers import new_id


def lowest_id(moment: datetime) -> UUID:
    """What all ids that were made before this moment are smaller than."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def _request_id() -> str | None:
    request = context.current.get()
    return request.request_id if request else None


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. What a consumer may rely on is in docs/events.md of the template."""

    topic: str
    """What it is about, e.g. ``payments``."""
    key: str
    """Whose it is, e.g. a payment's id: events of one key arrive in their order."""
    type: str
    """What happened, in the past tense, e.g. ``payment.accepted``."""
    data: Mapping[str, Any]
    """The details, as JSON has them."""
    id: UUID = field(default_factory=new_id)
    """The same at every delivery: a consumer knows by it what it has seen."""
    request_id: str | None = field(default_factory=_request_id)
    """The request that it comes from; by itself that which is being served."""
    created_at: datetime = field(default_factory=_now)
    """When it happened, with a time zone."""
