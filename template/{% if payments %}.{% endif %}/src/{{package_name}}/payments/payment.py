"""What a payment is: what may be asked, what is answered, and how its status changes."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from .currencies import Currency

MAX_AMOUNT = 10**12
MAX_REFERENCE = 140

# One line that can be seen, of any script. What controls a terminal, breaks the line, turns the
# direction of reading or is invisible has no place in it: two references that look alike are alike.
# Only a joiner between two characters does: scripts are written, and emoji are composed, with it.
_HIDDEN = (
    r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f"
    r"\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
)
_JOINER = r"\u200c\u200d"
_BLANK = r"\u0020\u00a0\u115f\u1160\u1680\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\uffa0"
# As Python, Rust (pydantic) and JavaScript (JSON Schema) read it alike.
PRINTABLE = rf"^[{_BLANK}]*[^{_BLANK}{_HIDDEN}{_JOINER}](?:[{_JOINER}]?[^{_HIDDEN}{_JOINER}])*$"


class PaymentStatus(StrEnum):
    """How far a payment is."""

    ACCEPTED = "accepted"
    """Stored; it is going to be captured."""
    CAPTURED = "captured"
    """The gateway has the money."""
    DECLINED = "declined"
    """The gateway has refused it."""


TRANSITIONS = {
    PaymentStatus.ACCEPTED: {PaymentStatus.CAPTURED, PaymentStatus.DECLINED},
    PaymentStatus.CAPTURED: set[PaymentStatus](),
    PaymentStatus.DECLINED: set[PaymentStatus](),
}
"""From each status to the next; there are no other ways."""


def _number(value: object) -> object:
    """Let numbers pass: a text or a truth value isn't meant as an amount, though it could be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a whole number")
    return value


Amount = Annotated[
    int,
    Field(
        gt=0,
        le=MAX_AMOUNT,
        description="In the currency's minor units: 1999 is 19.99 EUR.",
        examples=[1999],
    ),
    BeforeValidator(_number),
]
Reference = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_REFERENCE,
        pattern=PRINTABLE,
        description=(
            "What the payer sees: one line, not blank, and nothing in it that is invisible."
        ),
        examples=["order 4711"],
    ),
]


class PaymentOrder(BaseModel):
    """What a client sends to have a payment made."""

    model_config = ConfigDict(extra="forbid")

    amount: Amount
    currency: Currency
    reference: Reference


class Payment(BaseModel):
    """A payment as it is stored and shown; by the rules of its day, which may have changed."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    status: PaymentStatus
    amount: int
    currency: str
    reference: str
    created_at: datetime


class PaymentPage(BaseModel):
    """Some payments, the newest first."""

    payments: list[Payment]
    next: str | None = Field(description="The `cursor` of the next page, if there is one.")
