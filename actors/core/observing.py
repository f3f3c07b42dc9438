"""When a polled status becomes a fact worth publishing (contract 6.7 hold_options, 10.15).

Guarantees: FAIL only after `failure_threshold` consecutive failed looks; a change only after a second equal
look that is at least `hold_s` later; while the first hold lasts, only positive statuses come out. Pure: the
caller brings the time, in seconds of any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from actors.core.asking import UNKNOWN
from actors.core.polling import NOT_FOUND

FAIL: Final = "FAIL"
#: Looks that tell nothing of the thing itself. They all count towards FAIL.
FAILURES: Final = frozenset({FAIL, UNKNOWN, NOT_FOUND})


@dataclass(frozen=True, slots=True)
class ObserveOptions:
    """How sceptical to be.

    `hold_s`: a change must have lasted that long at its confirming look (0: the second equal look does).
    `positive`, `positive_until_s`: hold_options of contract 6.7; until that time (same clock as `now_s`)
    only these statuses come out, and the first of them ends the hold. None: no such hold.
    """

    failure_threshold: int = 2
    hold_s: float = 0.0
    positive: frozenset[str] = frozenset()
    positive_until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one target. Start with `Record()`.

    `published`: what came out last; `confirmed`: what is believed, which the first hold may keep back;
    `candidate`: a different status seen since `candidate_since_s` but not yet confirmed.
    """

    published: str | None = None
    confirmed: str | None = None
    candidate: str | None = None
    candidate_since_s: float = 0.0
    failures: int = 0
    hold_ended: bool = False

    @property
    def unsettled(self) -> bool:
        """Whether another look soon would tell more: nothing known yet, or something unconfirmed."""
        return (
            self.confirmed is None
            or self.candidate is not None
            or (self.failures > 0 and self.confirmed != FAIL)
        )


def observe(record: Record, status: str, now_s: float, options: ObserveOptions) -> tuple[Record, str | None]:
    """Take one look into account. Returns the new record and the status to publish now, or None.

    UNKNOWN, NOT_FOUND and FAIL are failed looks; they come out as FAIL. What follows a FAIL counts at once,
    as a first value does: nothing was known meanwhile. A status comes out only at a look that shows it.
    """
    if status == record.published == record.confirmed and record.candidate is None and not record.failures:
        return record, None  # nearly every look of nearly every port
    if status in FAILURES:
        record = _failed(record, options)
        return _publish(record, now_s, options) if record.confirmed == FAIL else (record, None)
    return _publish(_seen(replace(record, failures=0), status, now_s, options), now_s, options)


def _failed(record: Record, options: ObserveOptions) -> Record:
    # A failed look is no evidence for or against a candidate, so that one stays.
    failures = min(record.failures + 1, options.failure_threshold)
    if failures < options.failure_threshold:
        return replace(record, failures=failures)
    return replace(record, failures=failures, confirmed=FAIL, candidate=None)


def _seen(record: Record, status: str, now_s: float, options: ObserveOptions) -> Record:
    if status == record.confirmed:
        return replace(record, candidate=None)
    if record.confirmed in (None, FAIL) or record.published is None:
        return replace(record, confirmed=status, candidate=None)
    if status != record.candidate:
        return replace(record, candidate=status, candidate_since_s=now_s)
    if now_s - record.candidate_since_s < options.hold_s:
        return record
    return replace(record, confirmed=status, candidate=None)


def _publish(record: Record, now_s: float, options: ObserveOptions) -> tuple[Record, str | None]:
    if record.confirmed is None or record.confirmed == record.published:
        return record, None
    holding = (
        not record.hold_ended and options.positive_until_s is not None and now_s < options.positive_until_s
    )
    if holding and record.confirmed not in options.positive:
        return record, None
    return replace(record, published=record.confirmed, hold_ended=True), record.confirmed
