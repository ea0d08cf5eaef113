# mypy: ignore-errors
"""The usual tutorial recipe, as most pages on production FastAPI have it.

`BaseHTTPMiddleware`, a formatter of :mod:`json` on the standard library's logging, and two lines a
request: when it starts and when it is done. It has no metrics, no limits and no deadline, and its
request id isn't checked.
"""

import json
import logging
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import UTC, datetime

from bare import router
from fastapi import FastAPI, Request, Response
from starlette.middleware.base import BaseHTTPMiddleware

request_id: ContextVar[str] = ContextVar("request_id", default="")


class JSONFormatter(logging.Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """Make a line of a record."""
        entry = {
            "timestamp": datetime.now(UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "module": record.module,
            "function": record.funcName,
            "line": record.lineno,
            "request_id": request_id.get(),
            **getattr(record, "extra_fields", {}),
        }
        return json.dumps(entry)


handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(JSONFormatter())
logger = logging.getLogger("service")
logger.addHandler(handler)
logger.setLevel(logging.INFO)


class RequestLogging(BaseHTTPMiddleware):
    """An id for each request, and two lines."""

    async def dispatch(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Serve one request."""
        identity = request.headers.get("X-Request-ID") or str(uuid.uuid4())
        request_id.set(identity)
        began = time.perf_counter()
        fields = {"method": request.method, "path": request.url.path}
        logger.info("Request started", extra={"extra_fields": fields})
        response = await call_next(request)
        took = round((time.perf_counter() - began) * 1000, 2)
        fields |= {"status_code": str(response.status_code), "duration_ms": str(took)}
        logger.info("Request completed", extra={"extra_fields": fields})
        response.headers["X-Request-ID"] = identity
        return response


app = FastAPI()
app.add_middleware(RequestLogging)
app.include_router(router)
