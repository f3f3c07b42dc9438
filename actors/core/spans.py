"""Where the time of one version went: contiguous stretches, each with its kind and what it waited for.

Guarantees: the stretches follow one another without gaps, so they sum to the time from the first to the last;
at most SPANS_MAX are kept (of a version with many retries the oldest are folded into one), and folding never
changes the sum. Durations in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from actors.core import members
from actors.core.model import Json, Ref

SPANS_MAX = 24
#: Kinds that a bill counts as waiting.
WAITS = frozenset({"waiting", "backing-off"})


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch: `own`, `waiting`, `backing-off`, `heat` or `device`; `blocker`: the last one waited for."""

    kind: str
    seconds: float
    blocker: str = ""


@dataclass(slots=True)
class Spans:
    """The stretches of one version so far, oldest first."""

    spans: list[Span] = field(default_factory=list)
    blocker: str = ""

    def blocked_by(self, refs: Iterable[Ref]) -> None:
        """Whom it waits for now. The last one named before the wait ends is what it really waited for."""
        first = next(iter(refs), None)
        if first is not None:
            self.blocker = str(first)

    def add(self, kind: str, seconds: float) -> None:
        """A stretch has ended; the next one follows at once."""
        blocker, self.blocker = (self.blocker if kind == "waiting" else ""), ""
        last = self.spans[-1] if self.spans else None
        if last is not None and last.kind == kind and (not last.blocker or not blocker):
            self.spans[-1] = Span(kind, last.seconds + seconds, blocker or last.blocker)
            return
        self.spans.append(Span(kind, seconds, blocker))
        if len(self.spans) > SPANS_MAX:
            first, second = self.spans[:2]
            larger = max(first, second, key=lambda span: span.seconds)
            self.spans[:2] = [Span(larger.kind, first.seconds + second.seconds, larger.blocker)]

    def bill(self) -> dict[str, float]:
        """Seconds by kind: own, waiting (back-off included), heat, device."""
        totals: dict[str, float] = {}
        for span in self.spans:
            kind = "waiting" if span.kind in WAITS else span.kind
            totals[kind] = totals.get(kind, 0.0) + span.seconds
        return totals

    def to_json(self) -> list[Json]:
        """`[[kind, seconds], [kind, seconds, blocker], …]`, without stretches too short to be seen."""
        rows = [(s.kind, round(s.seconds, 4), s.blocker) for s in self.spans]
        return [[kind, seconds, blocker] if blocker else [kind, seconds] for kind, seconds, blocker in rows]


def read_spans(value: Json) -> tuple[Span, ...]:
    """Inverse of `to_json`; what cannot be read is left out."""
    found = []
    for row in value[-SPANS_MAX:] if isinstance(value, list) else ():
        match row:
            case [str(kind), lasted] | [str(kind), lasted, str()]:
                seconds = members.seconds(lasted, members.STRETCH_MAX_S)
                if seconds is not None:
                    found.append(Span(kind, seconds, *row[2:]))
    return tuple(found)
