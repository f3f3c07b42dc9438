"""Where the wall time of a provisioning went: the longest chain of waiting, and the seconds of each part.

Guarantees: the parts of the path sum to the wall time exactly: each resource counts from the moment at which it
stopped waiting for the one before to the moment at which the one after stopped waiting for it. Taken from the
histories, so it works for what ended long ago, and without a controller.
Does not know what was declared when: a start that nobody waited for counts as `start`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from actors.core.knowledge import Knowledge, ref_of
from actors.core.lines import Line
from actors.core.model import Json, Ref

#: The order in which parts are shown.
PARTS = ("start", "own", "waiting", "backing-off", "heat", "device", "hand-over")


@dataclass(frozen=True, slots=True)
class Leg:
    """One resource on the path: from when to when it was the one that everybody waited for (seconds since
    1970), and what it spent that on."""

    ref: Ref
    name: str
    begins_s: float
    ends_s: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The legs in order of time. `wall_s` is the time from the first beginning to the end."""

    legs: tuple[Leg, ...]
    began_s: float
    ended_s: float

    @property
    def wall_s(self) -> float:
        """Seconds from the first beginning to the last end."""
        return self.ended_s - self.began_s

    @property
    def totals(self) -> dict[str, float]:
        """Seconds by part, of all legs together: they sum to `wall_s`."""
        totals: defaultdict[str, float] = defaultdict(float)
        for leg in self.legs:
            for part, seconds in leg.parts.items():
                totals[part] += seconds
        return {part: totals[part] for part in PARTS if totals[part]}

    def to_json(self) -> dict[str, Json]:
        """Plain values."""
        return {
            "wall_seconds": round(self.wall_s, 4),
            "began": round(self.began_s, 4),
            "ended": round(self.ended_s, 4),
            "totals": {part: round(seconds, 4) for part, seconds in self.totals.items()},
            "legs": [
                {
                    "resource": str(leg.ref),
                    "name": leg.name,
                    "begins": round(leg.begins_s - self.began_s, 4),
                    "ends": round(leg.ends_s - self.began_s, 4),
                    "parts": {part: round(seconds, 4) for part, seconds in leg.parts.items()},
                }
                for leg in self.legs
            ],
        }


def critical_path(known: Knowledge, among: Iterable[Ref], sink: Ref | None = None) -> CriticalPath | None:
    """The path that ends with the newest version of `sink`, or with what ended last `among` the resources.

    `among` bounds the provisioning: its wall time begins with the first of them that overlaps the path. None if
    there is no history.
    """
    lines = {ref: found[-1] for ref in among if (found := known.history(ref))}
    if sink is None:
        sink = max(lines, key=lambda ref: lines[ref].ended_s, default=None)
    if sink is None or not known.history(sink):
        return None
    chain = _chain(known, known.history(sink)[-1])
    root_s = chain[0][0].began_s
    began_s = min([root_s, *(line.began_s for line in _overlapping(lines.values(), root_s))])
    legs: list[Leg] = []
    begins_s = began_s
    for line, until_s in chain:
        parts = _clip(line, begins_s, until_s)
        legs.append(Leg(line.ref, known.name(line.ref), begins_s, until_s, parts))
        begins_s = until_s
    return CriticalPath(tuple(legs), began_s, begins_s)


def _overlapping(lines: Iterable[Line], from_s: float) -> list[Line]:
    """Those that were under way at `from_s`, or at the beginning of one that was, and so on."""
    found: list[Line] = []
    for line in sorted(lines, key=lambda line: line.began_s, reverse=True):
        if line.began_s < from_s <= line.ended_s:
            found.append(line)
            from_s = line.began_s
    return found


def _chain(known: Knowledge, last: Line) -> list[tuple[Line, float]]:
    """(line, until when it counts), the root first."""
    chain: list[tuple[Line, float]] = []
    here, until_s = last, last.ended_s
    seen = {last.ref}
    while True:
        chain.append((here, until_s))
        wait = _last_wait(here, until_s)
        before = _line_at(known, wait[0], wait[1]) if wait is not None else None
        if wait is None or before is None or before.ref in seen:
            return chain[::-1]
        seen.add(before.ref)
        here, until_s = before, wait[1]


def _last_wait(line: Line, until_s: float) -> tuple[Ref, float] | None:
    """Whom it waited for last before `until_s`, and when that wait ended."""
    found, at_s = None, line.began_s
    for span in line.spans:
        at_s += span.seconds
        blocker = ref_of(span.blocker)
        if blocker is not None and span.seconds > 0 and at_s <= until_s:
            found = (blocker, at_s)
    return found


def _line_at(known: Knowledge, ref: Ref, at_s: float) -> Line | None:
    """The version of `ref` that was being made just before `at_s`, or had ended last."""
    lines = [line for line in known.history(ref) if line.began_s < at_s]
    return lines[-1] if lines else None


def _clip(line: Line, from_s: float, until_s: float) -> dict[str, float]:
    """Seconds by part between the two moments: before its beginning `start`, after its end `hand-over`."""
    parts: defaultdict[str, float] = defaultdict(float)
    parts["start"] = max(0.0, min(until_s, line.began_s) - from_s)
    parts["hand-over"] = max(0.0, until_s - max(from_s, line.ended_s))
    at_s = line.began_s
    for span in line.spans:
        overlap = min(until_s, at_s + span.seconds) - max(from_s, at_s)
        parts[span.kind] += max(0.0, overlap)
        at_s += span.seconds
    return {part: seconds for part, seconds in parts.items() if seconds > 0}
