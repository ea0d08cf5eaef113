"""`/docs` and `/openapi.json`, where the settings allow them (`DOCS_ENABLED`)."""

from typing import TYPE_CHECKING, Any

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from ..service import Service

_SCHEMA = "/openapi.json"
# The page loads Swagger UI from a CDN and starts it with an inline script.
_PAGE_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src https: data:; "
    "script-src https://cdn.jsdelivr.net 'unsafe-inline'; "
    "style-src https://cdn.jsdelivr.net 'unsafe-inline'"
)


def install(service: "Service") -> None:
    """Add the two routes. They are asked for the setting on each request, so a reload counts."""

    def allow() -> None:
        if not service.settings.docs_enabled:
            raise HTTPException(404)

    async def page(_: Request) -> Response:
        allow()
        html: Any = get_swagger_ui_html(openapi_url=_SCHEMA, title=service.title)
        html.headers["content-security-policy"] = _PAGE_POLICY
        return html  # type: ignore[no-any-return]

    async def schema(_: Request) -> Response:
        allow()
        return JSONResponse(service.openapi())

    service.add_route("/docs", page, include_in_schema=False)
    service.add_route(_SCHEMA, schema, include_in_schema=False)
