"""Replies of the management port."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from ..http import accept
from . import health_json
from .probes import Answer

NO_STORE = {"cache-control": "no-store"}
JSON = "application/json"


class JSONReply(Response):
    """A JSON document that nobody may cache."""

    media_type = JSON

    def __init__(self, content: Any, status_code: int = 200) -> None:
        super().__init__(content, status_code, headers=NO_STORE)

    def render(self, content: Any) -> bytes:
        """Encode the document."""
        return orjson.dumps(content)


class HealthReplies:
    """A probe's answer in the form that the client asks for: `application/json` by default.

    `service` has what `application/health+json` says of the service itself.
    """

    def __init__(self, service: Mapping[str, str]) -> None:
        self._service = service

    def reply(
        self, request: Request, answer: Answer, document: Mapping[str, object] | None = None
    ) -> Response:
        """The answer with its details; `document` takes the place of its body."""
        wanted = ", ".join(request.headers.getlist("accept"))
        form = accept.preferred(wanted, (JSON, health_json.MEDIA_TYPE))
        if form == JSON:
            reply = JSONReply(document or answer.body(), answer.http_status)
        else:
            body = health_json.document(answer, self._service)
            reply = JSONReply(body, answer.http_status)
            reply.headers["content-type"] = form
        reply.headers["vary"] = "Accept"
        return reply


def bare_reply(answer: Answer) -> JSONReply:
    """A probe's answer without details, for ports that strangers can reach."""
    return JSONReply({"status": answer.status}, answer.http_status)
