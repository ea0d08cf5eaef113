"""The request header `Idempotency-Key`: which ones are taken, and how OpenAPI documents it."""

import re
from typing import Annotated, Any

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request

HEADER = "Idempotency-Key"
MAX_LENGTH = 255

_CHARACTERS = r"[A-Za-z0-9._~:/+=@-]"
# The draft has the key in quotes, most clients send it without: it is the same key.
_KEY = re.compile(rf'("?)({_CHARACTERS}{{1,{MAX_LENGTH}}})\1')

DOCUMENTED: dict[str, Any] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": True,
            "description": "Names this operation; the same again repeats it and its first reply.",
            "schema": {
                "type": "string",
                "pattern": f"^{_CHARACTERS}{{1,{MAX_LENGTH}}}$",
                "minLength": 1,
                "maxLength": MAX_LENGTH,
            },
            "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
        }
    ]
}
"""For a route's `openapi_extra`: FastAPI's own way would answer a missing header with 422."""


async def idempotency_key(request: Request) -> str:
    """The key of this request, without quotes; the draft wants 400 for one that isn't there."""
    given = request.headers.getlist(HEADER)
    if not given:
        raise HTTPException(
            400, f"The header {HEADER} is missing: a request without it can't be repeated safely."
        )
    found = _KEY.fullmatch(given[0]) if len(given) == 1 else None
    if found is None:
        raise HTTPException(
            400,
            f"The header {HEADER} has to be 1 to {MAX_LENGTH} letters, digits "
            "and any of . _ ~ : / + = @ -",
        )
    return found[2]


IdempotencyKey = Annotated[str, Depends(idempotency_key)]
"""A route's parameter: the key of the request."""
