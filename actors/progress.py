"""What a shard remembers for people: the last report of every live resource, and the bill of settled ones.

Guarantees: bounded by the number of declared resources; plain values only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from actors.core.knowledge import settled
from actors.core.model import Ref
from actors.core.ownership import vshard
from actors.desk import Desk
from actors.messages import Report, ResourceStatus, StatusReply, StoreHealth

if TYPE_CHECKING:
    from actors.board import MonitorBoard


class Progress:
    """Last reports by resource."""

    def __init__(self) -> None:
        self._reports: dict[Ref, tuple[Report, float]] = {}

    def report(self, report: Report, now: float, version: int) -> None:
        """Keep the newest; the time in a stage goes on while the stage stays. `version`: as it is declared; of what is
        not (0) the last report is the last that anybody hears."""
        if report.stage == "settled" and not version:
            self.forget(report.ref)
            return
        old = self._reports.get(report.ref)
        same = old is not None and (old[0].stage, old[0].version) == (report.stage, report.version)
        self._reports[report.ref] = (report, old[1] if same and old is not None else now)

    def reports(self, refs: Iterable[Ref]) -> list[Report]:
        """The last reports of these, as far as they have made one."""
        return [self._reports[ref][0] for ref in refs if ref in self._reports]

    def awaits(self, ref: Ref) -> tuple[Ref, ...]:
        """Whom it said to be waiting for."""
        known = self._reports.get(ref)
        return known[0].awaits if known is not None else ()

    def forget(self, ref: Ref) -> tuple[Ref, ...]:
        """It is not declared any more. Returns for whom it waited."""
        awaited = self.awaits(ref)
        self._reports.pop(ref, None)
        return awaited

    def lost(self, numbers: Collection[int]) -> None:
        """What lies in these virtual shards is not ours any more, or ours anew."""
        if numbers:
            kept = self._reports.items()
            self._reports = {ref: report for ref, report in kept if vshard(str(ref)) not in numbers}

    def rows(
        self, desk: Desk, board: MonitorBoard, live: Collection[Ref], now: float, limit: int
    ) -> tuple[dict[str, int], tuple[ResourceStatus, ...]]:
        """Resources of this shard by stage, and at most `limit` rows: unfinished and failed ones first."""
        refs = [ref for ref in dict.fromkeys([*desk.world.refs(), *live]) if desk.mine(ref)]
        stages = {ref: self._stage(desk, ref, ref in live) for ref in refs}
        shown = refs
        if limit < len(refs):
            chosen = set(sorted(refs, key=lambda ref: stages[ref] == "settled")[:limit])
            shown = [ref for ref in refs if ref in chosen]
        rows = tuple(self._row(desk, board, ref, stages[ref], now) for ref in shown)
        return dict(Counter(stages.values())), rows

    def _stage(self, desk: Desk, ref: Ref, live: bool) -> str:
        known = self._reports.get(ref)
        outcome = desk.world.outcome(ref)
        if live and known is not None:
            paused_between_jobs = known[0].stage == "waiting" and known[0].reason.startswith("paused (")
            return "paused" if paused_between_jobs and desk.world.paused(ref) else known[0].stage
        if outcome is None or outcome.version < desk.world.version(ref):
            return "paused" if desk.world.paused(ref) else "queued"
        if desk.world.requested(ref):
            return "paused" if desk.world.paused(ref) else "queued"
        return "failed" if outcome.error else "settled"

    def _row(self, desk: Desk, board: MonitorBoard, ref: Ref, stage: str, now: float) -> ResourceStatus:
        known, monitoring = self._reports.get(ref), board.statuses(ref)
        outcome, version = desk.world.outcome(ref), desk.world.version(ref)
        seconds = known[0].seconds if known is not None else {}
        if stage in ("settled", "failed") and outcome is not None:
            seen = board.published(ref)
            return ResourceStatus(
                ref, version, stage, settled(desk.world, ref), 0.0, seconds, outcome.error, monitoring, seen
            )
        if stage == "paused":
            reason = f"paused ({desk.world.paused(ref)})"
            return ResourceStatus(ref, version, stage, reason, 0.0, seconds, "", monitoring)
        if stage == "queued" or known is None:
            return ResourceStatus(ref, version, stage, "waits for its turn", 0.0, seconds, "", monitoring)
        report, since = known
        return ResourceStatus(
            ref,
            report.version,
            stage,
            report.reason,
            now - since,
            seconds,
            report.error,
            monitoring,
            awaits=report.awaits,
        )


def store_text(health: StoreHealth, since_s: float) -> str:
    """What a person is told of etcd. `since_s`: when it became so, in seconds since 1970."""
    if not health.up:
        since = datetime.fromtimestamp(since_s, UTC)
        return f"down since {since:%H:%M:%S} UTC: {health.reason}"
    return "; ".join(["up", *(f"{what}: {text}" for what, text in health.conditions.items())])


def reply(
    rid: str,
    ready: bool,
    desk: Desk,
    health: StoreHealth,
    counts: Mapping[str, int],
    rows: tuple[ResourceStatus, ...],
) -> StatusReply:
    """A shard's answer to the question how things stand."""
    store = store_text(health, desk.wall_s(health.since))
    return StatusReply(rid, ready, store, counts, rows, tuple(desk.world.problems.values()))
