"""A collector of traces: a real HTTP server that reads OTLP as OpenTelemetry's own protobuf classes have it.

Guarantees: what it took is kept in the order of its coming. Needs the packages of `requirements-otel.lock`.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """A span as it came over the wire: ids in hexadecimal, times in nanoseconds since 1970."""

    trace: str
    id: str
    parent: str
    name: str
    began: int
    ended: int
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    error: str
    events: list[str]
    resource: dict[str, Any]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended - self.began) / 1e9


@dataclass
class Collector:
    """Where it listens, what it answers, and what it was sent."""

    endpoint: str = ""
    status: int = 200
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    spans: list[Seen] = field(default_factory=list)

    def roots(self) -> dict[str, Seen]:
        """The first spans of the traces, by `type:id version`."""
        return {named(span): span for span in self.spans if not span.parent}

    def children(self, of: Seen) -> list[Seen]:
        """Its children, in order of time."""
        found = [span for span in self.spans if (span.trace, span.parent) == (of.trace, of.id)]
        return sorted(found, key=lambda span: span.began)


def named(span: Seen) -> str:
    """The resource version that a span is about."""
    a = span.attributes
    return f"{a['gatewright.type']}:{a['gatewright.id']} {a['gatewright.version']}"


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def _read(body: bytes) -> Iterator[Seen]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Seen(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _plain(span.attributes),
                    [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else "",
                    [_plain(event.attributes)["gatewright.reason"] for event in span.events],
                    _plain(resource.resource.attributes),
                )


@contextmanager
def collecting(port: int = 0, certificate: tuple[Path, Path] | None = None) -> Iterator[Collector]:
    """A collector on loopback; with `certificate` and its key it speaks TLS."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """An export request."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.paths.append(self.path)
            found.headers.append({name.lower(): value for name, value in self.headers.items()})
            if found.status == 200:
                found.spans.extend(_read(body))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.endpoint = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
