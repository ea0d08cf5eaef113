"""The access line: one entry for each request, on the shortest way to the log.

No event, no processors, no record: this runs for every request, and the rest of the logs' comfort
would cost as much as the middleware around it.
"""

from __future__ import annotations

import logging
from typing import Any

from ..context import RequestContext
from .entries import add_fields
from .pipeline import Pipeline, pipeline
from .redaction import Walk
from .secret_text import scrub
from .stamp import process, timestamp

_LEVELS = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
}


class AccessLog:
    """Logs completed requests under the name "access", whose level turns it off and on."""

    def __init__(self, to: Pipeline = pipeline) -> None:
        self._pipeline = to
        self._is_enabled = logging.getLogger("access").isEnabledFor

    def line(
        self,
        context: RequestContext,
        status_code: int,
        duration_ms: float,
        client: str | None,
        route: str,
        level: int = logging.INFO,
        micros: int | None = None,
    ) -> None:
        """Log one request: ``route`` is the template that matched, ``client`` an address.

        ``micros`` is when it was completed, in microseconds of Unix time, if that isn't now.
        """
        if not self._is_enabled(level):
            return
        entry: dict[str, Any] = {
            "timestamp": timestamp(micros),
            "level": _LEVELS[level],
            "logger": "access",
            "message": "request completed",
            "pid": process.pid,
            "request_id": context.request_id,
        }
        if context.trace_id is not None:
            entry["trace_id"] = context.trace_id
        if context.user_id is not None:
            entry["user_id"] = scrub(context.user_id)
        path = context.path
        entry["method"] = context.method
        entry["path"] = scrub(path)
        entry["status_code"] = status_code
        entry["duration_ms"] = round(duration_ms, 3)
        entry["client"] = client
        entry["route"] = route
        if context.bound:
            add_fields(entry, Walk().mapping(context.bound))
        urgent = level >= logging.ERROR
        self._pipeline.sink.write(self._pipeline.render(entry), urgent=urgent, may_wait=True)
