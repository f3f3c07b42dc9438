"""Why a resource was where it was at a past moment, from the histories alone.

Guarantees: says what was written down: each version's stretches of time and whom it waited for. A version that
has not ended yet is not in the history; that is said rather than guessed. Times in seconds since 1970.
"""

from __future__ import annotations

from actors.core.explain import DEPTH_MAX, Explanation, Step, duration
from actors.core.knowledge import Knowledge, ref_of
from actors.core.lines import Line
from actors.core.model import Ref
from actors.core.remedies import remedy

_WORDS = {
    "own": "Gatewright itself was at it (reading, planning, recording)",
    "waiting": "waited",
    "backing-off": "waited before the next try",
    "heat": "Heat was at it",
    "device": "its devices were looked at",
}


def explain_at(known: Knowledge, ref: Ref, at_s: float) -> Explanation:
    """The chain of reasons at that moment."""
    steps: list[Step] = []
    seen: set[Ref] = set()
    here: Ref | None = ref
    error = ""
    while here is not None and here not in seen and len(steps) < DEPTH_MAX:
        seen.add(here)
        step, here, error = _at(known, here, at_s)
        steps.append(step)
    return Explanation(tuple(steps), remedy(error))


def _at(known: Knowledge, ref: Ref, at_s: float) -> tuple[Step, Ref | None, str]:
    lines, name = known.history(ref), known.name(ref)
    for line in lines:
        if line.began_s <= at_s < line.ended_s:
            return (*_within(line, name, at_s), "")
    before = [line for line in lines if line.ended_s <= at_s]
    if before:
        return _after(before[-1], name, at_s)
    if lines:
        text = (
            f"its history begins {duration(lines[0].began_s - at_s)} later, with version {lines[0].version}"
        )
    else:
        text = "it has no history yet"
    return Step(ref, name, 0, "unknown", text), None, ""


def _within(line: Line, name: str, at_s: float) -> tuple[Step, Ref | None]:
    begin = line.began_s
    for span in line.spans:
        if at_s < begin + span.seconds or span is line.spans[-1]:
            break
        begin += span.seconds
    blocker = ref_of(span.blocker)
    text = _WORDS.get(span.kind, span.kind) + (f" for {blocker}" if blocker is not None else "")
    left = begin + span.seconds - at_s
    facts = (f"that lasted {duration(span.seconds)}, {duration(left)} more from then",)
    stage = {"heat": "running", "device": "running"}.get(span.kind, span.kind)
    return Step(line.ref, name, line.version, stage, text, at_s - begin, facts), blocker


def _after(line: Line, name: str, at_s: float) -> tuple[Step, Ref | None, str]:
    stage = "failed" if line.error else "settled"
    facts = (f"{line.action} of version {line.version} had ended {duration(at_s - line.ended_s)} before",)
    text = line.error or line.outcome
    return Step(line.ref, name, line.version, stage, text, at_s - line.ended_s, facts), None, line.error
