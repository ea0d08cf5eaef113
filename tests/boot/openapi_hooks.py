"""What schemathesis is told about this API; it loads this module (SCHEMATHESIS_HOOKS)."""

import re
from typing import Any
from uuid import uuid4

import schemathesis

HEADER = "Idempotency-Key"
KEY = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,255}")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Give each order a key of its own: what is generated repeats, and would be refused for it."""
    headers = case.headers or {}
    if KEY.fullmatch(str(headers.get(HEADER, ""))):
        case.headers[HEADER] = str(uuid4())
