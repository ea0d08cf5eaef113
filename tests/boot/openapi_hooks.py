"""What schemathesis is told about this API; it loads this module (SCHEMATHESIS_HOOKS)."""

import os
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


if token := os.environ.get("BEARER_TOKEN"):

    @schemathesis.auth()
    class BearerToken:
        """The token, except where schemathesis tries to do without."""

        def get(self, case: Any, context: Any) -> Any:
            """Where it comes from."""
            return token

        def set(self, case: Any, data: Any, context: Any) -> None:
            """Where it goes."""
            case.headers["Authorization"] = f"Bearer {data}"
