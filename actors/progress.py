"""What a shard remembers for people: the last report of every live resource, and the bill of settled ones.

Guarantees: bounded by the number of declared resources; plain values only.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from actors.core.model import Ref
from actors.desk import Desk
from actors.messages import Report, ResourceStatus

if TYPE_CHECKING:
    from actors.board import MonitorBoard


class Progress:
    """Last reports by resource."""

    def __init__(self) -> None:
        self._reports: dict[Ref, tuple[Report, float]] = {}

    def report(self, report: Report, now: float) -> None:
        """Keep the newest; the time in a stage goes on while the stage stays."""
        old = self._reports.get(report.ref)
        same = old is not None and (old[0].stage, old[0].version) == (report.stage, report.version)
        self._reports[report.ref] = (report, old[1] if same and old is not None else now)

    def awaits(self, ref: Ref) -> tuple[Ref, ...]:
        """Whom it said to be waiting for."""
        known = self._reports.get(ref)
        return known[0].awaits if known is not None else ()

    def forget(self, ref: Ref) -> None:
        """It is not declared any more."""
        self._reports.pop(ref, None)

    def rows(
        self, desk: Desk, board: MonitorBoard, live: Collection[Ref], now: float
    ) -> tuple[ResourceStatus, ...]:
        """One row for every resource of this shard: declared ones and those that still have work."""
        refs = dict.fromkeys([*desk.world.refs(), *live])
        return tuple(self._row(desk, board, ref, ref in live, now) for ref in refs if desk.mine(ref))

    def _row(self, desk: Desk, board: MonitorBoard, ref: Ref, live: bool, now: float) -> ResourceStatus:
        known = self._reports.get(ref)
        declared, outcome = desk.world.declaration(ref), desk.world.outcome(ref)
        monitoring = board.statuses(ref)
        if live and known is not None:
            report, since = known
            return ResourceStatus(
                ref, report.version, report.stage, report.reason, now - since, report.seconds, report.error, monitoring
            )
        seconds = known[0].seconds if known is not None else {}
        version = declared.version if declared is not None else 0
        if outcome is None or outcome.version < version:
            return ResourceStatus(ref, version, "queued", "waits for its turn", 0.0, seconds, "", monitoring)
        stage = "failed" if outcome.error else "settled"
        return ResourceStatus(
            ref, version, stage, outcome.worker_state, 0.0, seconds, outcome.error, monitoring
        )
