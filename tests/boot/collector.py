# mypy: ignore-errors
"""A stand-in for an OpenTelemetry collector: takes OTLP over HTTP, and prints a line a span.

Run with the Python of a service that sends traces, which has OpenTelemetry's messages installed. It
prints its port first. After SIGUSR1 it takes everything and answers nothing.
"""

import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

silent = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """One export."""

    def do_POST(self) -> None:
        """Print its spans, and say that all is well."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if silent.is_set():
            threading.Event().wait()
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = attributes(group.resource)
            for scope in group.scope_spans:
                for span in scope.spans:
                    told = {
                        "name": span.name,
                        "trace_id": span.trace_id.hex(),
                        "span_id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "attributes": attributes(span),
                        "resource": resource,
                    }
                    sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing else."""


def attributes(holder: object) -> dict:
    """The attributes of a span or resource."""
    pairs = ((pair.key, pair.value) for pair in holder.attributes)
    return {key: getattr(value, value.WhichOneof("value")) for key, value in pairs}


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
signal.signal(signal.SIGUSR1, lambda *_: silent.set())
sys.stdout.write(f"{server.server_port}\n")
sys.stdout.flush()
server.serve_forever()
