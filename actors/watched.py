"""One target of one resource as its DeviceActor sees it: how it is read, what is believed, what is owed.

Guarantees: plain state without clock or I/O; the rules are those of `core.observing` and `core.flapping`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from actors.core.asking import UNKNOWN, Query
from actors.core.flapping import Flaps
from actors.core.monitor_types import MonitorType
from actors.core.monitors import Target, queries_of
from actors.core.observing import FAIL, FAILURES, ObserveOptions, Record, observe
from actors.core.options import Options
from actors.core.polling import NOT_FOUND
from actors.messages import WatchTarget


@dataclass(slots=True, eq=False)
class Watched:
    """One target of one resource, and what is believed of it. `owed`: its status is to be told at the next look
    even if it is the same (a new version wants to know). `slot_s`: its interval once it is as wanted. `calm`: the
    status that would change nothing at the next look (None: none; see `calmed`). `gone`: not watched any more.
    `interfaces`: those whose index its status and readings need."""

    message: WatchTarget
    row: MonitorType
    query: Query
    interfaces: frozenset[str]
    options: ObserveOptions
    flaps: Flaps
    since_s: float
    slot_s: float
    due_s: float = 0.0
    calm: str | None = None
    gone: bool = False
    record: Record = field(default_factory=Record)
    owed: bool = False
    said_flapping: bool = False
    settled: bool = False

    @classmethod
    def begin(cls, message: WatchTarget, row: MonitorType, rules: Options, now_s: float) -> Watched:
        """A new one, of which nothing is known."""
        target = message.target
        # a hold of pools is for who sees all members: `core.monitors.hold_left_s`
        holds = target.hold_s and message.fresh and not target.pools
        hold = now_s + target.hold_s if holds else None
        options = ObserveOptions(
            rules.snmp_failures_max, rules.snmp_confirm_s, frozenset(target.positive), hold
        )
        (query, readings), flaps = queries_of(target, row), Flaps(rules.snmp_flaps)
        interfaces = frozenset(q.interface for q in (query, *readings) if q.interface)
        slot_s = target.interval_s or rules.snmp_interval_s
        return cls(message, row, query, interfaces, options, flaps, now_s, slot_s, due_s=now_s)

    @property
    def target(self) -> Target:
        """What is watched."""
        return self.message.target

    def renew(self, message: WatchTarget, now_s: float) -> None:
        """A new version wants the same: it waits for it, and is told what the next look shows."""
        self.message, self.owed, self.settled, self.calm = message, True, False, None
        self.since_s = self.due_s = now_s

    def waits(self, now_s: float) -> bool:
        """Whether a job may still be waiting for it: it was not as wanted yet, and its time has not passed."""
        if self.record.published == self.target.wanted and not self.owed:
            self.settled = True
        return not self.settled and now_s - self.since_s < self.target.timeout_s

    def soon_s(self, rules: Options) -> float:
        """Seconds between two looks while it is waited for."""
        return self.target.retry_s or rules.snmp_interval_active_s

    def look(self, status: str, now_s: float) -> bool:
        """Take one look into account; returns whether there is something to tell."""
        self.calm = None
        if status not in FAILURES:
            self.flaps.saw(status, now_s)
        self.record, event = observe(self.record, status, now_s, self.options)
        owed = self.owed and self.record.published == (FAIL if status in FAILURES else status)
        calmed = self.said_flapping and not self.flaps.flapping(now_s)
        return event is not None or owed or calmed

    def calmed(self, status: str) -> None:
        """After a look that showed `status`: the same again is no news if all is settled and nothing is owed."""
        quiet = not (self.owed or self.said_flapping or self.record.unsettled) and self.settled
        same = status == self.record.published == self.record.confirmed == self.flaps.last
        self.calm = status if quiet and same and not self.record.failures else None


def why(status: str, reason: str) -> str:
    """Why a look failed, for people; `reason`: what the poll says of all that is missing."""
    if status == NOT_FOUND:
        return "the device has no such thing"
    return (reason or "the device does not tell its status") if status == UNKNOWN else ""


#: Who is interested in a poll, and in which of its queries.
Shares = list[tuple[Watched, int]]


def together(due: Iterable[Watched]) -> tuple[list[Query], Shares]:
    """One poll of these: what several want is one query."""
    places: dict[tuple[str, str], int] = {}
    queries: list[Query] = []
    shares: Shares = []
    for watched in due:
        wanted = (watched.query.oid, watched.query.interface)
        if wanted not in places:
            places[wanted] = len(queries)
            queries.append(watched.query)
        shares.append((watched, places[wanted]))
    return queries, shares


def doubtful_last(due: Sequence[Watched], turn: int) -> list[Watched]:
    """Those that could not be read come last, another of them first each time: a device that answers only so many
    of them in one poll is asked for all in the end, and they keep nobody else waiting."""
    failing = [watched for watched in due if watched.record.failures]
    first = turn % max(1, len(failing))
    return [*(w for w in due if not w.record.failures), *failing[first:], *failing[:first]]


def soon_for_jobs(watched: Iterable[Watched], now_s: float, rules: Options) -> list[float]:
    """How soon a silent device is to be asked for each that a job waits for (contract 10.13), which after a restart
    nobody does: etcd shows a status of that version then."""
    return [each.soon_s(rules) for each in watched if each.message.fresh and each.waits(now_s)]
