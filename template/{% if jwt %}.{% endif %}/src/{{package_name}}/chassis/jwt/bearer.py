"""Bearer tokens in requests: what routes ask for, and how they are refused (RFC 6750)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Security
from fastapi.security import HTTPBearer, SecurityScopes
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from .. import context
from ..http.problems import problem
from . import key_reading
from .callers import Caller, TokenRefusedError, believe
from .jwt_settings import JwtSettings
from .key_source import KeysUnavailableError

if TYPE_CHECKING:
    from ..service import Service

# For the OpenAPI document. The header is read below, where a refusal can be said as it has to be.
_scheme = HTTPBearer(scheme_name="bearer", bearerFormat="JWT", auto_error=False)


async def current_caller(
    request: Request, scopes: SecurityScopes, _: Annotated[object, Depends(_scheme)]
) -> Caller:
    """The caller of this request; 401 without a token that is believed, 403 without a scope."""
    given = request.headers.getlist("Authorization")
    if not given:
        raise _refusal(401, "A bearer token is needed.")
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer" or not (token := token.strip()):
        raise _refusal(401, "One bearer token is needed.", error="invalid_request")
    try:
        caller = await believe(token, request.app.state.token_keys, JwtSettings.current())
    except TokenRefusedError as refused:
        raise _refusal(401, str(refused), error="invalid_token") from None
    context.bind_user(caller.subject)
    missing = [scope for scope in scopes.scopes if scope not in caller.scopes]
    if missing:
        raise _refusal(
            403,
            f"The token lacks the scope {missing[0]}.",
            error="insufficient_scope",
            scope=" ".join(scopes.scopes),
        )
    return caller


def needs(*scopes: str) -> Any:
    """What a route asks for: `caller: Annotated[Caller, needs("orders:write")]`, or, where it
    doesn't matter who it is, `dependencies=[needs("orders:read")]`.
    """
    return Security(current_caller, scopes=scopes)


CurrentCaller = Annotated[Caller, needs()]
"""A route's parameter: whoever sends the request, whatever the scopes."""


def install(service: Service) -> None:
    """Have each worker keep the issuer's keys, and answer for when they can't be had."""
    service.resource("token_keys", lambda: key_reading.opened(JwtSettings.current()))
    service.add_exception_handler(KeysUnavailableError, _refuse_without_keys)


async def _refuse_without_keys(request: Request, _: Exception) -> Response:
    # Not 401: the token may be good, and a client that throws it away would ask for another one.
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail="Whether the token is good can't be told right now.",
        headers={"Retry-After": "5"},
        request_id=getattr(request.state, "request_id", None),
    )


def _refusal(status: int, detail: str, **parameters: str) -> HTTPException:
    """A refusal with its challenge (RFC 6750, 3), which says no more than the detail does."""
    if "error" in parameters and parameters["error"] != "insufficient_scope":
        parameters["error_description"] = detail
    named = {"realm": JwtSettings.current().answers.service_name, **parameters}
    challenge = ", ".join(f'{name}="{value}"' for name, value in named.items())
    return HTTPException(status, detail, {"WWW-Authenticate": f"Bearer {challenge}"})
