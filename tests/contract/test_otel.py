"""Traces on their way to a collector: a real HTTP server that reads OTLP, refuses, goes away and comes back."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from actors.adapters.heat_auth import HeatConfig
from actors.adapters.heat_stacks import HeatStacks
from actors.core.model import Ref
from actors.core.spans import Span
from actors.core.stackdrive import request_id
from actors.core.tracing import Ending, JobTime, Retry, TraceSpan, trace, traceparent
from actors.ports import REQUEST_ID
from tests.contract.certificates import Authority

pytest.importorskip("opentelemetry.sdk", reason="not installed: requirements-otel.lock")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="not installed: requirements-otel.lock")

from actors.adapters.otel_spans import Collector, OtelSpans
from tests.contract.collector import Seen, collecting, named

PORT, SUBNET = Ref("port", "p1"), Ref("subnet", "s1")
ENDED = Ending(
    PORT,
    3,
    "create",
    "CREATE_FAILED",
    "StackFailed: no",
    "t1",
    1_700_000_010.25,
    (Span("own", 0.5), Span("waiting", 2.0, str(SUBNET)), Span("heat", 4.0)),
    jobs=(JobTime("create:heat_worker:port:p1:3:abcde", 1_700_000_004.25, 1_700_000_010.25),),
    retries=(Retry(1_700_000_008.0, "Timeout: no answer"),),
    retried=1,
    depends={SUBNET: 7},
)
SPANS = trace(ENDED)


def until(condition: Callable[[], object], what: str = "") -> None:
    """Poll for it."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def ids(span: TraceSpan | Seen) -> tuple[str, str, str, str]:
    """Which span it is, and where it belongs."""
    if isinstance(span, Seen):
        return span.trace, span.id, span.parent, span.name
    return span.trace_id, span.span_id, span.parent_id, span.name


def test_spans_arrive_as_they_are() -> None:
    """Ids, parents, times, attributes, links, events and status are what was offered; the controller is named."""
    with collecting() as collector:
        sink = OtelSpans(Collector(collector.endpoint + "/v1/traces", {"X-Token": "a secret"}), "here")
        sink.offer(SPANS)
        until(lambda: collector.spans)
        sink.close()
    assert [ids(span) for span in collector.spans] == [ids(span) for span in SPANS]
    for seen, sent in zip(collector.spans, SPANS, strict=True):
        assert seen.began / 1e9 == pytest.approx(sent.began_s, abs=1e-6)
        assert seen.ended / 1e9 == pytest.approx(sent.ended_s, abs=1e-6)
        assert seen.attributes == sent.attributes
        assert seen.error == sent.error
        assert seen.links == [(link.trace_id, link.span_id) for link in sent.links]
        assert seen.resource["service.name"] == "gatewright"
        assert seen.resource["service.instance.id"] == "here"
    root = collector.spans[0]
    assert (root.error, root.events) == ("StackFailed: no", ["Timeout: no answer"])
    assert named(root) == "port:p1 3"
    assert collector.paths == ["/v1/traces"]
    assert collector.headers[0]["x-token"] == "a secret"
    assert sink.counters() == {"exported": len(SPANS), "dropped": 0}


def test_many_versions_go_in_few_requests() -> None:
    """What is offered together is sent together, within the bounds of a request."""
    with collecting() as collector:
        sink = OtelSpans(Collector(collector.endpoint + "/v1/traces"), "here")
        for _ in range(200):
            sink.offer(SPANS)
        until(lambda: len(collector.spans) == 200 * len(SPANS))
        sink.close()
    assert len(collector.paths) <= 5


def test_a_collector_that_refuses_costs_nothing_and_is_used_again(caplog: pytest.LogCaptureFixture) -> None:
    """Refused spans are given up and counted, one line of the log says why, and no header is in it."""
    with collecting() as collector:
        collector.status = 401
        headers = {"Authorization": "Bearer a-secret-token"}
        sink = OtelSpans(Collector(collector.endpoint + "/v1/traces", headers), "here", pause_s=0.01)
        sink.offer(SPANS)
        until(lambda: sink.counters()["dropped"] == len(SPANS))
        collector.status = 200
        sink.offer(SPANS)
        until(lambda: sink.counters()["exported"] == len(SPANS))
        sink.close()
    told = [record.getMessage() for record in caplog.records]
    assert [text for text in told if "does not take" in text] == [
        "the collector does not take traces: Failed to export spans batch code: 401, reason: Unauthorized"
    ]
    assert told[-1] == "the collector takes traces again"
    assert "a-secret-token" not in caplog.text


def test_no_collector_and_a_full_queue() -> None:
    """Nobody listens: offering never waits, what does not fit is dropped and counted, closing is quick."""
    with socket.socket() as nobody:  # bound and not listening: refused for as long as it is held
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1/traces"
        sink = OtelSpans(Collector(url, timeout_s=0.5), "here", queue_max=3, pause_s=30.0)
        began = time.monotonic()
        for _ in range(1000):
            sink.offer(SPANS)
        offering_s = time.monotonic() - began
        sink.close()
    assert offering_s < 5
    assert sink.counters()["exported"] == 0
    assert sink.counters()["dropped"] >= 990 * len(SPANS)
    until(lambda: not sink._thread.is_alive(), "its thread ends")


def test_what_waits_at_the_end_is_sent() -> None:
    """Closing sends what was offered a moment before; what is offered afterwards is dropped."""
    with collecting() as collector:
        sink = OtelSpans(Collector(collector.endpoint + "/v1/traces"), "here")
        sink.offer(SPANS)
        sink.close()
        assert len(collector.spans) == len(SPANS)
        sink.offer(SPANS)
    assert sink.counters() == {"exported": len(SPANS), "dropped": len(SPANS)}


def test_a_private_authority(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With `ca_file` a collector with a certificate of our own is believed, without it is not."""
    authority = Authority(tmp_path)
    with collecting(certificate=authority.issue("collector", server=True)) as collector:
        url = collector.endpoint + "/v1/traces"
        sink = OtelSpans(Collector(url, ca_file=str(authority.ca_file)), "here")
        sink.offer(SPANS)
        until(lambda: sink.counters()["exported"])
        sink.close()
        strange = OtelSpans(Collector(url, timeout_s=0.5), "here", pause_s=0.01)
        strange.offer(SPANS)
        until(lambda: strange.counters()["dropped"])
        strange.close()
    assert strange.counters()["exported"] == 0
    assert "does not take traces" in caplog.text


def test_what_cannot_be_made_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """A span that OpenTelemetry does not take costs itself, and the next ones are sent."""
    broken = TraceSpan("not hexadecimal", "0", "", "x", 0.0, 1.0, {})
    with collecting() as collector:
        sink = OtelSpans(Collector(collector.endpoint + "/v1/traces"), "here")
        sink.offer((broken,))
        until(lambda: sink.counters()["dropped"] == 1)
        sink.offer(SPANS)
        until(lambda: sink.counters()["exported"] == len(SPANS))
        sink.close()
    assert "1 spans could not be made" in caplog.text


def test_the_log_of_opentelemetry_is_its_own_again() -> None:
    """While a sink lives, the libraries' log goes to it; afterwards where it went before."""
    log = logging.getLogger("opentelemetry")
    before = (log.propagate, list(log.handlers))
    sink = OtelSpans(Collector("http://127.0.0.1:9/v1/traces"), "here")
    assert not log.propagate
    sink.close()
    assert (log.propagate, list(log.handlers)) == before


@pytest.mark.parametrize("wanted", [True, False])
def test_heat_is_told_the_trace_only_where_traces_are_wanted(wanted: bool) -> None:
    """A request to Heat carries the W3C header of its version's trace, and none without traces or a version."""
    got: list[str | None] = []

    class Heat(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """A list of stacks: none."""
            got.append(self.headers.get("traceparent"))
            body = b'{"stacks": []}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Heat)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}/v1/{{tenant}}"
    stacks = HeatStacks(HeatConfig(endpoint_template=endpoint, traces=wanted))
    REQUEST_ID.set("")  # of no version, whatever other tests have left
    try:
        stacks.find("t1", "port_p1")
        token = REQUEST_ID.set(request_id(PORT, 3))
        stacks.find("t1", "port_p1")
        REQUEST_ID.reset(token)
    finally:
        stacks.close()
        server.shutdown()
        thread.join()
        server.server_close()
    assert got == [None, traceparent(request_id(PORT, 3)) if wanted else None]
