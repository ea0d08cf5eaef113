"""The names of status codes, the same whatever version of Python runs the service."""

from functools import lru_cache
from http import HTTPStatus

# RFC 9110, 15.5. Python has these since 3.13, and older ones before.
_RENAMED = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


@lru_cache
def phrase(status: int) -> str:
    """The name of a status, as RFC 9110 has it; of one that nobody knows, its class."""
    try:
        return _RENAMED.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Client Error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "Server Error"


def is_phrase(text: object, status: int) -> bool:
    """Whether a text says no more than the status does, by its name in this Python or in the RFC.

    Starlette puts Python's where an exception has no detail.
    """
    return text == phrase(status) or (status in _RENAMED and text == HTTPStatus(status).phrase)
