"""What Telemetry passes on: measured values to a time-series store, versions that ended to a collector of traces.

Guarantees: nothing here waits for either; where neither is configured, only the newest measured values are kept.
"""

from __future__ import annotations

from actors.core.exposition import Sample
from actors.core.measurements import Measurements
from actors.core.tracing import trace
from actors.messages import Boot, Readings
from actors.messages.telemetry import VersionEnded


class Outlets:
    """One per Telemetry, made at its Boot."""

    def __init__(self, boot: Boot) -> None:
        self._points = boot.wiring.sink()
        self._spans = boot.wiring.spans(boot.owner)
        self._measured = Measurements()

    def take(self, message: Readings | VersionEnded) -> None:
        """Keep it, and pass it on."""
        if isinstance(message, VersionEnded):
            if self._spans is not None:
                self._spans.offer(trace(message.ending))
            return
        self._measured.take(message.source, message.device, message.at_s, message.points)
        if self._points is not None:
            self._points.offer(message.at_s, message.points)

    def text(self, wall_s: float) -> str:
        """The newest measured values, in the exposition format. `wall_s`: seconds since 1970."""
        return self._measured.text(wall_s)

    def samples(self) -> list[Sample]:
        """What became of the spans."""
        if self._spans is None:
            return []
        counted = self._spans.counters().items()
        return [Sample("trace_spans_total", (("outcome", name),), float(number)) for name, number in counted]

    def close(self) -> None:
        """Send what waits, if that is quick."""
        if self._spans is not None:
            self._spans.close()
