"""A collector that speaks OTLP over HTTP, and keeps what it was sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """`spans` by name, `metrics` by name; `raw` is every byte that was sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Any] = []
        self.metrics: dict[str, Any] = {}
        self.raw = b""

    def span(self, name: str, **attributes: Any) -> Any:
        """The one span of this name and these attributes."""
        (found,) = [
            one
            for one in self.spans
            if one.name == name and attributes.items() <= attributes_of(one).items()
        ]
        return found

    def tree(self) -> list[str]:
        """Each span below its parent, indented, in the order in which they began."""
        known = {one.span_id for one in self.spans}
        roots = [one for one in self.spans if one.parent_span_id not in known]
        return [line for root in roots for line in self._lines(root, 0)]

    def _lines(self, span: Any, depth: int) -> Iterator[str]:
        yield "  " * depth + span.name
        below = [one for one in self.spans if one.parent_span_id == span.span_id]
        for one in sorted(below, key=lambda one: one.start_time_unix_nano):
            yield from self._lines(one, depth + 1)


def attributes_of(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@contextmanager
def collector() -> Iterator[Collector]:
    """One that listens on a port of its own, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.raw += body
            if self.path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    kept.spans += [one for scope in resource.scope_spans for one in scope.spans]
            else:
                for of in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scope in of.scope_metrics:
                        kept.metrics |= {one.name: one for one in scope.metrics}
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
