"""What a key can be refused for, and the problems that say so (RFC 9457)."""

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from ..http.problems import problem


class KeyReusedError(Exception):
    """The key belongs to another request of this caller: another operation or another body."""


class KeyInUseError(Exception):
    """The first request with this key is still being worked on."""


def install(app: Starlette) -> None:
    """Answer with 422 and 409, as the draft has it."""
    app.add_exception_handler(KeyReusedError, _refuse_reused)
    app.add_exception_handler(KeyInUseError, _refuse_in_use)


async def _refuse_reused(request: Request, _: Exception) -> Response:
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        detail="This Idempotency-Key was used before, for another request. Take a new key.",
        request_id=getattr(request.state, "request_id", None),
    )


async def _refuse_in_use(request: Request, _: Exception) -> Response:
    return problem(
        HTTPStatus.CONFLICT,
        detail="The first request with this Idempotency-Key isn't finished. Repeat it soon.",
        headers={"Retry-After": "1"},
        request_id=getattr(request.state, "request_id", None),
    )
