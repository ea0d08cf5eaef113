"""Problem details: every refusal and error has one machine-readable form (RFC 9457).

``application/problem+json`` with ``type``, ``title``, ``status``, ``detail`` and, so that a
caller's report leads to a log line, ``request_id``.
"""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Mount

from ..breaker import CircuitOpenError
from ..models import ModelNotReadyError
from ..outbound.upstream_errors import UpstreamBusyError, UpstreamError, UpstreamTimeoutError
from ..validation import safe_message
from .phrases import is_phrase, phrase

MEDIA_TYPE = "application/problem+json"

UNEXPECTED = "The request could not be completed."
"""All that a caller learns of an exception that nobody handles."""

HUNG_UP = 499
"""The status of a request whose client went away before it was answered, which nobody receives.

No standard has one; this is nginx', and proxies and dashboards know it.
"""

# RFC 9110, 15: these end with the header section.
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED})


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Problem(BaseModel):
    """A problem as the OpenAPI page documents it."""

    type: str = Field(default="about:blank", description="A URI that names the kind of problem.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status code.")
    detail: str | None = Field(default=None, description="What is wrong this time.")
    request_id: str | None = Field(default=None, description="Leads to the log lines.")


_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}

RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"description": "A problem (RFC 9457)", "content": _CONTENT}
}
"""For ``FastAPI(responses=...)``: documents problems instead of FastAPI's own error form."""


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's ``responses=``: the problems that it answers in particular."""
    return {
        status: {
            "description": phrase(status),
            "content": {MEDIA_TYPE: {**_CONTENT[MEDIA_TYPE], "example": _example(status)}},
        }
        for status in statuses
    }


def define(document: dict[str, Any]) -> None:
    """Add to an OpenAPI document what `documented` refers to."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.setdefault("Problem", Problem.model_json_schema())


def problem_bytes(
    status: int,
    *,
    type: str = "about:blank",
    title: str | None = None,
    detail: str | None = None,
    request_id: str | None = None,
    **extensions: object,
) -> bytes:
    """Return a problem's body; ``extensions`` are further members.

    Without a title the status' own phrase stands in, as ``about:blank`` asks for.
    """
    members = {
        "type": type,
        "title": title or phrase(status),
        "status": status,
        "detail": detail,
        "request_id": request_id,
        **extensions,
    }
    present = {name: value for name, value in members.items() if value is not None}
    try:
        return orjson.dumps(present, default=str, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        # Lone surrogates and integers above 64 bits, which a request body can smuggle in.
        return json.dumps(present, default=str).encode()


def problem(status: int, *, headers: Mapping[str, str] | None = None, **members: Any) -> Response:
    """Return a problem as a response; ``members`` are those of `problem_bytes`."""
    kept = {k: v for k, v in (headers or {}).items() if k.lower() != "content-type"}
    if status < HTTPStatus.OK or status in BODILESS:
        return Response(status_code=status, headers=kept)
    return Response(problem_bytes(status, **members), status, kept, MEDIA_TYPE)


def install(app: Starlette) -> None:
    """Answer the application's exceptions and invalid requests with problems.

    A handler that the application registers for any of them comes instead.
    """
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_exception_handler(ModelNotReadyError, _refuse_not_ready)
    app.add_exception_handler(CircuitOpenError, _refuse_while_open)
    app.add_exception_handler(UpstreamBusyError, _refuse_while_busy)
    app.add_exception_handler(UpstreamTimeoutError, _fail_for_lateness)
    app.add_exception_handler(UpstreamError, _fail_for_upstream)
    app.add_exception_handler(ClientDisconnect, _fall_silent)
    app.add_exception_handler(Exception, _fail)


async def _fall_silent(request: Request, error: Exception) -> Response:
    return Response(status_code=HUNG_UP)


async def _fail(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientDisconnect):  # raised by a middleware, outside of the handlers
        return await _fall_silent(request, error)
    # Starlette raises the exception on after this reply: the middleware around all of it logs it.
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, detail=UNEXPECTED, request_id=_request_id(request)
    )


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette has looked at the type
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request, headers.get("Allow", ""))
    # Starlette's default detail is the phrase, which the title says already.
    told = None if is_phrase(error.detail, error.status_code) else error.detail
    # FastAPI lets a detail be anything; the RFC has it a string.
    members = {"detail": told} if isinstance(told, str | None) else {"details": told}
    return problem(error.status_code, headers=headers, request_id=_request_id(request), **members)


async def _refuse_invalid(request: Request, invalid: Exception) -> Response:
    assert isinstance(invalid, RequestValidationError)  # noqa: S101 - as above
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        detail="The request doesn't match what this operation expects.",
        request_id=_request_id(request),
        errors=[
            {"loc": error["loc"], "msg": safe_message(error), "type": error["type"]}
            for error in invalid.errors()
        ],
    )


async def _refuse_not_ready(request: Request, error: Exception) -> Response:
    # Why it isn't ready is for the management port: it may name files.
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail="A model that this needs isn't ready.",
        headers={"Retry-After": "5"},
        request_id=_request_id(request),
    )


# Callers aren't told which service it is: that is for the log, which the request's id leads to.


async def _refuse_while_open(request: Request, error: Exception) -> Response:
    assert isinstance(error, CircuitOpenError)  # noqa: S101 - as above
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail="Something that this needs fails. Try again later.",
        headers={"Retry-After": str(max(1, math.ceil(error.retry_after)))},
        request_id=_request_id(request),
    )


async def _refuse_while_busy(request: Request, error: Exception) -> Response:
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        detail="Something that this needs is busy. Try again soon.",
        headers={"Retry-After": "1"},
        request_id=_request_id(request),
    )


async def _fail_for_lateness(request: Request, error: Exception) -> Response:
    return problem(
        HTTPStatus.GATEWAY_TIMEOUT,
        detail="Something that this needs didn't answer in time.",
        request_id=_request_id(request),
    )


async def _fail_for_upstream(request: Request, error: Exception) -> Response:
    return problem(
        HTTPStatus.BAD_GATEWAY,
        detail="Something that this needs gave no usable answer.",
        request_id=_request_id(request),
    )


def _example(status: int) -> dict[str, object]:
    return {"type": "about:blank", "title": phrase(status), "status": status}


def _allowed(request: Request, named: str) -> str:
    """The methods of all routes with this path (RFC 9110, 10.2.1), not of the first one only."""
    scope: dict[str, Any] = {
        "type": "http",
        "path": request.scope["path"],
        "root_path": request.scope.get("app_root_path", request.scope.get("root_path", "")),
        "headers": request.scope["headers"],
    }
    found = [
        method
        for method in _METHODS
        if method != request.method
        and any(
            not isinstance(route, Mount)  # which takes any method
            and route.matches({**scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
    given = [method for name in named.split(",") if (method := name.strip()) not in ("", *found)]
    return ", ".join([*given, *found])


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)
