"""Whether a settled stack still is as it was left, decided from what Heat shows (issue: drift).

Guarantees: pure; a stack in progress is never reported, because somebody is at it; the first comparison after
a start finds what shows in status and tags, later ones also changes that left those as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from actors.core.json_text import compact, parse
from actors.core.members import MOMENT_MAX_S, object_of, quoted, seconds, text_of, version_of
from actors.core.model import Ref
from actors.core.stackdrive import Seen

#: A reason of Heat may be long.
TEXT_MAX = 500


class Drift(StrEnum):
    """What happened to it."""

    VANISHED = "vanished"
    FOREIGN = "foreign"  # there is one of that name, but it lacks our mark or our version
    CHANGED = "changed"  # somebody updated it and kept our marks
    FAILED = "failed"
    TWINS = "twins"


_DRIFTS = tuple(each.value for each in Drift)


@dataclass(frozen=True, slots=True)
class Expected:
    """A stack as it was left. `status`: as recorded in `/esi-worker/heat_stacks`, such as CREATE_COMPLETE.

    `updated`: the time of Heat's last change as seen at the last comparison; "" before the first.
    """

    ref: Ref
    version: int
    status: str
    updated: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One stack that is not as expected; `text` is for people."""

    ref: Ref
    version: int
    drift: Drift
    text: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """A finding as `/gatewright/drift/<path>` holds it. `found_s`: seconds since 1970, for people only."""

    version: int
    drift: Drift
    text: str
    found_s: float


def encode(finding: Finding, found_s: float) -> bytes:
    """A finding as it is recorded."""
    members = {
        "version": finding.version,
        "drift": finding.drift.value,
        "text": finding.text[:TEXT_MAX],
        "found": round(found_s, 3),
    }
    return compact(members)


def decode(raw: bytes) -> Recorded:
    """The inverse. Raises ValueError for what is no finding."""
    members = object_of(parse(raw), "a finding")
    found_s = seconds(members.get("found"), MOMENT_MAX_S)
    if found_s is None:
        raise ValueError(f"member 'found' must be seconds since 1970, not {quoted(members.get('found'))}")
    drift = Drift(text_of(members, "drift", _DRIFTS))
    return Recorded(version_of(members), drift, text_of(members, "text")[:TEXT_MAX], found_s)


@dataclass(frozen=True, slots=True)
class Shown:
    """A stack of that name, and when Heat last changed it."""

    seen: Seen
    updated: str


def compare(expected: Expected, stacks: Sequence[Shown]) -> tuple[Finding | None, Expected]:
    """What is wrong, if anything is, and what to expect the next time."""

    def found(drift: Drift, text: str) -> Finding:
        return Finding(expected.ref, expected.version, drift, text)

    if not stacks:
        return found(Drift.VANISHED, "its stack is gone"), expected
    if any(one.seen.status == "IN_PROGRESS" for one in stacks):
        return None, expected
    if len(stacks) > 1:
        ids = ", ".join(one.seen.id for one in stacks)
        return found(Drift.TWINS, f"{len(stacks)} stacks bear its name: {ids}"), expected
    seen, updated = stacks[0].seen, stacks[0].updated
    after = replace(expected, updated=updated)
    status = f"{seen.action}_{seen.status}"
    if not seen.ours or seen.version != f"v{expected.version}":
        marks = f"marked {seen.version or 'without a version'}" if seen.ours else "without our mark"
        return found(Drift.FOREIGN, f"its stack {seen.id} is {marks}: somebody updated it"), after
    if seen.status == "FAILED":
        # Heat's reason may quote passwords, and here nobody knows which
        return found(
            Drift.FAILED, f"its stack is {status}: `openstack stack show {seen.id}` tells why"
        ), after
    if (expected.updated and updated != expected.updated) or status != expected.status:
        return found(Drift.CHANGED, f"its stack was changed at {updated or 'some time'}: {status}"), after
    return None, after
