"""The lines of a history, read for people and for what is reckoned from them.

Guarantees: any line of which the version is known is read; a member that is not what it should be is as if it were
not there. Times are dates, and stretches of time are finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from actors.core.members import MOMENT_MAX_S, STRETCH_MAX_S, is_whole, seconds, text, whole
from actors.core.model import Json, Ref
from actors.core.spans import Span, read_spans

#: What a line had before there were spans, in that order.
_KINDS = ("waiting", "own", "heat", "device")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a history, read: times in seconds since 1970."""

    ref: Ref
    version: int
    action: str
    outcome: str
    error: str
    began_s: float
    ended_s: float
    spans: tuple[Span, ...]
    retries: int = 0
    skipped: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Plain values, for programs."""
        return {
            "version": self.version,
            "action": self.action,
            "outcome": self.outcome,
            "error": self.error,
            "began": round(self.began_s, 3),
            "ended": round(self.ended_s, 3),
            "seconds": round(self.ended_s - self.began_s, 4),
            "retries": self.retries,
            "skipped": list(self.skipped),
            "spans": [{"kind": s.kind, "seconds": s.seconds, "blocker": s.blocker} for s in self.spans],
        }


def read_line(ref: Ref, line: Mapping[str, Json]) -> Line:
    """One of `history.read`."""
    spans = read_spans(line.get("spans"))
    if not spans:
        given = line.get("seconds")
        bill = given if isinstance(given, dict) else {}
        parts = ((kind, seconds(bill.get(kind), STRETCH_MAX_S)) for kind in _KINDS)
        spans = tuple(Span(kind, lasted) for kind, lasted in parts if lasted)
    ended_s = seconds(line.get("ended"), MOMENT_MAX_S) or 0.0
    skipped = line.get("skipped")
    return Line(
        ref,
        line["version"],
        text(line.get("action")),
        text(line.get("outcome")),
        text(line.get("error")),
        ended_s - sum(span.seconds for span in spans),
        ended_s,
        spans,
        whole(line.get("retries")),
        tuple(v for v in skipped if is_whole(v)) if isinstance(skipped, list) else (),
    )
