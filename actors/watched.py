"""One target of one resource as its DeviceActor sees it: how it is read, what is believed, what is owed.

Guarantees: plain state without clock or I/O; the rules are those of `core.observing` and `core.flapping`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.core.flapping import Flaps
from actors.core.monitor_types import MonitorType
from actors.core.monitors import Target, queries_of
from actors.core.observing import FAIL, FAILURES, ObserveOptions, Record, observe
from actors.core.options import Options
from actors.core.polling import Query
from actors.messages import WatchTarget


@dataclass(slots=True)
class Watched:
    """One target of one resource, and what is believed of it. `owed`: its status is to be told at the next look
    even if it is the same (a new version wants to know)."""

    message: WatchTarget
    row: MonitorType
    query: Query
    options: ObserveOptions
    flaps: Flaps
    since_s: float
    due_s: float = 0.0
    record: Record = field(default_factory=Record)
    owed: bool = False
    said_flapping: bool = False
    settled: bool = False

    @classmethod
    def begin(cls, message: WatchTarget, row: MonitorType, rules: Options, now_s: float) -> Watched:
        """A new one, of which nothing is known."""
        target = message.target
        hold = now_s + target.hold_s if target.hold_s and message.fresh else None
        options = ObserveOptions(
            rules.snmp_failures_max, rules.snmp_confirm_s, frozenset(target.positive), hold
        )
        query, flaps = queries_of(target, row)[0], Flaps(rules.snmp_flaps)
        return cls(message, row, query, options, flaps, now_s, due_s=now_s)

    @property
    def target(self) -> Target:
        """What is watched."""
        return self.message.target

    def look(self, status: str, now_s: float) -> bool:
        """Take one look into account; returns whether there is something to tell."""
        if status not in FAILURES:
            self.flaps.saw(status, now_s)
        self.record, event = observe(self.record, status, now_s, self.options)
        owed = self.owed and self.record.published == (FAIL if status in FAILURES else status)
        calmed = self.said_flapping and not self.flaps.flapping(now_s)
        return event is not None or owed or calmed
