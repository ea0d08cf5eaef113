"""Traces in a service: FastAPI makes the spans, and each worker sends its own."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING

from .. import logs, trace_source
from ..service import Service
from .current_span import CurrentSpan
from .tracing_settings import TracingSettings

if TYPE_CHECKING:
    from .span_export import SpanExport

_CLOSING_SHARE = 1 / 3
"""The part of the time for closing that the last spans may take to be sent."""
_LOOK_SECONDS = 0.02

_log = logs.get_logger("chassis.tracing")


def install(service: Service) -> None:
    """Have a service trace its requests. The first feature, so that it is closed last."""
    service.resource("tracing", lambda: _tracing(service))


@asynccontextmanager
async def _tracing(service: Service) -> AsyncIterator[None]:
    """Start to export in this worker; in the end send what is left, as far as there is time."""
    settings = TracingSettings.current()
    endpoint = settings.traces_endpoint
    service.trace_requests(endpoint is not None)
    if endpoint is None:
        yield
        return
    # Not before: it takes a tenth of a second, and a thread, which no fork would survive.
    from .span_export import SpanExport

    headers = settings.otel_exporter_otlp_headers
    export = SpanExport(
        endpoint,
        headers=headers.get_secret_value() if headers else None,
        ratio=settings.tracing_sample_ratio,
        service=settings.answers.service_name,
        version=service.version,
    )
    export.start()
    trace_source.use(CurrentSpan())
    try:
        yield
    finally:
        trace_source.use(None)
        await _flush(export, service.closing_seconds * _CLOSING_SHARE)


async def _flush(export: "SpanExport", seconds: float) -> None:
    """Send what is left; a collector that is away is not waited for longer than that."""
    # A daemon: the process has to be able to exit while it hangs in a socket.
    closing = threading.Thread(target=export.close, name="tracing", daemon=True)
    closing.start()
    end = monotonic() + seconds
    try:
        while closing.is_alive() and monotonic() < end:  # noqa: ASYNC110 - a thread's doing
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        if closing.is_alive():
            export.give_up()
            _log.warning("spans not exported in time", seconds=round(seconds, 3))
