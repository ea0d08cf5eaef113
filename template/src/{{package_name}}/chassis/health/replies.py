"""Replies of the management port."""

from typing import Any

import orjson
from starlette.responses import Response

from .probes import Answer

NO_STORE = {"cache-control": "no-store"}


class JSONReply(Response):
    """A JSON document that nobody may cache."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200) -> None:
        super().__init__(content, status_code, headers=NO_STORE)

    def render(self, content: Any) -> bytes:
        """Encode the document."""
        return orjson.dumps(content)


def reply(answer: Answer) -> JSONReply:
    """A probe's answer with its details."""
    return JSONReply(answer.body(), answer.http_status)


def bare_reply(answer: Answer) -> JSONReply:
    """A probe's answer without details, for ports that strangers can reach."""
    return JSONReply({"status": answer.status}, answer.http_status)
