"""Traces to an OpenTelemetry collector, by OTLP over HTTP, in the background. Needs the packages of
`requirements-otel.lock`.

Guarantees: `offer` never blocks and never raises; what does not fit the bounded queue, and what the collector refuses
or does not take within a few tries, is dropped and counted; one thread, one request at a time, a pause that grows
after failures. Headers are in no text. What the collector does with spans it took is its own business.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from actors.core.backoff import delay_s
from actors.core.redact import redact
from actors.core.tracing import TraceSpan

#: A request holds about so many spans; the next versions wait so long for others to go with them.
_BATCH: Final = 512
_LINGER_S: Final = 0.5
_TRIES: Final = 3
_PAUSE_CAP_S: Final = 60.0
#: How long `close` waits for what is still to be sent.
_FLUSH_S: Final = 1.0
_log = logging.getLogger("gatewright.OtelSpans")


@dataclass(frozen=True, slots=True)
class Collector:
    """`url`: where it takes spans. `timeout_s`: of one try, with those that the exporter makes of it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str = ""
    timeout_s: float = 10.0


class OtelSpans:
    """One collector. `controller`: the name of who tells; `queue_max`: versions that may wait."""

    def __init__(
        self, collector: Collector, controller: str, *, queue_max: int = 1000, pause_s: float = 1.0
    ) -> None:
        self._secrets = frozenset(collector.headers.values())
        self._queue_max, self._pause_s = queue_max, pause_s
        self._said = _Said()
        self._maker = _Maker(controller)
        self._exporter = OTLPSpanExporter(
            endpoint=collector.url,
            headers=dict(collector.headers),
            certificate_file=collector.ca_file or None,
            timeout=collector.timeout_s,
            session=_session(collector),
        )
        self._waiting: deque[tuple[TraceSpan, ...]] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._exported = self._dropped = self._failures = 0
        self._thread = threading.Thread(target=self._run, name="otel-spans", daemon=True)
        self._thread.start()

    def offer(self, spans: tuple[TraceSpan, ...]) -> None:
        """Hand over the spans of one version."""
        with self._changed:
            if len(self._waiting) < self._queue_max and not self._closing.is_set():
                self._waiting.append(spans)
                self._changed.notify()
            else:
                self._dropped += len(spans)

    def counters(self) -> Mapping[str, int]:
        """Spans so far."""
        return {"exported": self._exported, "dropped": self._dropped}

    def close(self) -> None:
        """One try for what waits, if that is quick; then the thread ends."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join(_FLUSH_S)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # ends a pause between its tries
        self._said.end()

    def _run(self) -> None:
        while batch := self._next():
            if not self._sent(batch):
                with self._changed:
                    self._dropped += len(batch)

    def _next(self) -> list[TraceSpan]:
        """Wait for spans; none only at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
            self._changed.wait_for(lambda: len(self._waiting) >= _BATCH or self._closing.is_set(), _LINGER_S)
            batch: list[TraceSpan] = []
            while self._waiting and len(batch) < _BATCH:
                batch += self._waiting.popleft()
            return batch

    def _sent(self, batch: Sequence[TraceSpan]) -> bool:
        try:
            made = self._maker.make(batch)
        except Exception:  # noqa: BLE001 - whatever a library makes of them, the thread lives on
            _log.exception("%d spans could not be made", len(batch))
            return False
        for _ in range(_TRIES):
            if self._try(made):
                return True
            if self._closing.is_set():
                break
        return False

    def _try(self, made: Sequence[ReadableSpan]) -> bool:
        """One request, which the exporter repeats by itself within its time; after a failure not before a pause."""
        if self._failures:
            self._closing.wait(delay_s(self._failures, self._pause_s, _PAUSE_CAP_S, "otel"))
        self._said.first = ""
        if self._exporter.export(made) is SpanExportResult.SUCCESS:
            if self._failures:
                _log.warning("the collector takes traces again")
            self._failures = 0
            self._exported += len(made)
            return True
        self._failures += 1
        if self._failures == 1:
            _log.warning("the collector does not take traces: %s", redact(self._said.first, self._secrets))
        return False


class _Said(logging.Handler):
    """What OpenTelemetry says in its log, which is told once and not at every try."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first = ""
        self._logger = logging.getLogger("opentelemetry")
        self._logger.propagate = False
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.first = self.first or record.getMessage()

    def end(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = True


class _Ids(IdGenerator):
    """The ids of the span that is being made."""

    trace = span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class _Ended(SpanProcessor):
    """Collects what was made."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class _Maker:
    """Makes OpenTelemetry's spans out of ours. Used by one thread."""

    def __init__(self, controller: str) -> None:
        self._ids, self._ended = _Ids(), _Ended()
        # which traces are kept is for the collector to decide
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            id_generator=self._ids,
            resource=Resource.create({"service.name": "gatewright", "service.instance.id": controller}),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._ended)
        self._tracer = provider.get_tracer("gatewright")

    def make(self, batch: Sequence[TraceSpan]) -> list[ReadableSpan]:
        """The same spans, ended."""
        for span in batch:
            self._make(span)
        made, self._ended.spans = self._ended.spans, []
        return made

    def _make(self, span: TraceSpan) -> None:
        self._ids.trace, self._ids.span = int(span.trace_id, 16), int(span.span_id, 16)
        context = Context()
        if span.parent_id:
            parent = NonRecordingSpan(_context(span.trace_id, span.parent_id))
            context = set_span_in_context(parent, context)
        made = self._tracer.start_span(
            span.name,
            context,
            attributes=span.attributes,
            links=[Link(_context(link.trace_id, link.span_id), link.attributes) for link in span.links],
            start_time=_nanoseconds(span.began_s),
        )
        for retry in span.retries:
            made.add_event("retry", {"gatewright.reason": retry.reason}, _nanoseconds(retry.at_s))
        if span.error:
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(_nanoseconds(span.ended_s))


def _session(collector: Collector) -> requests.Session:
    """The environment's proxies are used; its authorities and .netrc only where there is no authority of our own:
    requests would prefer them."""
    session = requests.Session()
    session.trust_env = not collector.ca_file
    session.proxies.update(requests.utils.get_environ_proxies(collector.url))
    return session


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), False, TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
