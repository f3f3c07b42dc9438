"""The drift side of a shard: all settled stacks are compared with Heat, again and again, a few at a time.

Guarantees: one batch of one tenant at a time, of at most BATCH stacks, which costs Heat one list call; a round
through everything takes about `heat_drift_interval_s`, spread evenly, and begins somewhere in the first one; what is
being worked on is left alone. A finding is recorded once (`/gatewright/drift/<path>`, a line of history, the log)
and goes when the resource is built again, or when Heat shows that it is as it was left. Where the type says so
the same transaction asks for it to be built once more. Reads Heat only; holds nothing that cannot be found anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from actors.core import drift, history, keys
from actors.core.drift import Drift, Expected, Finding
from actors.core.json_text import compact
from actors.core.model import Ref
from actors.core.outcome import CREATE_COMPLETED, MODIFY_COMPLETED
from actors.core.spans import Spans
from actors.desk import Desk, place
from actors.messages import Commit, HeatCompare, HeatCompared, Read, ReadDone, Tick
from actors.ports import Delete, Entry, Guard, Put, WriteSet
from actors.transactions import paths

if TYPE_CHECKING:
    from actors.runtime.actor import BaseActor

#: Stacks of one comparison.
BATCH = 60
#: Declarations that are read at a time to learn whose they are.
GATHER = 500
#: No two batches follow each other faster than that.
PAUSE_MIN_S = 0.2
#: Without an answer for so long the batch is given up: its turn comes again in the next round.
PATIENCE_S = 120.0
_BUILT = frozenset({CREATE_COMPLETED, MODIFY_COMPLETED})


class DriftWatch:
    """All comparisons of one shard. Works through its shard's `tell`; not an actor of its own.

    `busy` tells whether a resource has an actor at present. `compared` counts stacks, for people.
    """

    def __init__(self, shard: BaseActor, desk: Desk, busy: Callable[[Ref], bool]) -> None:
        self._shard, self._desk, self._busy = shard, desk, busy
        #: the term of our ownership at the last comparison, and Heat's time of the last change as seen then
        self._seen: dict[Ref, tuple[int, str]] = {}
        self._round: Iterator[Ref] = iter(())
        self._buckets: dict[str, list[Ref]] = {}
        self._rounds = self._batches = self._batches_before = self._total = 0
        self._asked, self._asked_s, self._requests = "", 0.0, 0
        self._tenant = ""
        #: with the term under which it was asked
        self._batch: dict[Ref, tuple[int, Expected]] = {}
        self._findings: dict[Ref, Finding] = {}
        self.compared = 0
        interval_s = desk.options.heat_drift_interval_s
        if interval_s:
            self._arm(interval_s * self._dice())

    # ------------------------------------------------------------------------------------------- whose turn

    def ticked(self) -> None:
        """The next batch, unless one is still under way."""
        now = self._shard.now()
        if self._asked and now - self._asked_s < PATIENCE_S:
            self._arm(self._pause_s())
            return
        self._asked, self._batch, self._findings = "", {}, {}
        tenant = self._gather()
        if tenant is not None:
            batch, self._buckets[tenant] = self._buckets[tenant][:BATCH], self._buckets[tenant][BATCH:]
            self._begin(tenant, [ref for ref in batch if self._settled(ref)])
        self._arm(self._pause_s())

    def worked_on(self, ref: Ref) -> None:
        """It was built again: what was seen of its stack before means nothing any more."""
        self._seen.pop(ref, None)
        self._batch.pop(ref, None)
        self._findings.pop(ref, None)

    def _gather(self) -> str | None:
        """Whose stacks are to be looked at next; a new round begins when all have been."""
        taken = list(itertools.islice(self._round, GATHER))
        for ref in taken:
            if self._settled(ref):
                self._buckets.setdefault(self._tenant_of(ref), []).append(ref)
        full = next((tenant for tenant, refs in self._buckets.items() if len(refs) >= BATCH), None)
        if full is None and len(taken) < GATHER:
            full = next((tenant for tenant, refs in self._buckets.items() if refs), None)
            if full is None:
                self._new_round()
        return full

    def _new_round(self) -> None:
        self._rounds += 1
        self._batches_before, self._batches = self._batches, 0
        self._buckets = {}
        refs = list(self._desk.world.refs())
        self._round, self._total = iter(refs), len(refs)

    def _settled(self, ref: Ref) -> bool:
        world, outcome = self._desk.world, self._desk.world.outcome(ref)
        built = outcome is not None and not outcome.error and outcome.worker_state in _BUILT
        return built and self._desk.mine(ref) and not self._busy(ref) and not world.needs_work(ref)

    def _tenant_of(self, ref: Ref) -> str:
        body = self._desk.world.body(ref) or {}
        return str(body.get("tenant_id") or self._desk.options.admin_tenant)

    def _pause_s(self) -> float:
        """Between two batches, such that a round takes the interval."""
        batches = max(1, self._batches_before, -(-self._total // BATCH))
        interval_s = self._desk.options.heat_drift_interval_s
        return max(PAUSE_MIN_S, interval_s / (batches + 1) * (0.5 + self._dice()))

    def _dice(self) -> float:
        """0 to 1: another for every shard, controller and turn."""
        turn = f"{self._desk.index} {self._desk.wall_offset_s} {self._rounds} {self._batches}"
        return place(turn, 1000) / 1000

    def _arm(self, delay_s: float) -> None:
        self._shard.after(delay_s, Tick("drift"))

    # ------------------------------------------------------------------------------------------ comparing

    def _rid(self) -> str:
        self._requests += 1
        self._asked_s = self._shard.now()
        self._asked = f"drift:{self._desk.index}@{self._asked_s:.6f}/{self._requests}"
        return self._asked

    def _begin(self, tenant: str, refs: list[Ref]) -> None:
        self._batches += 1
        if refs:
            self._tenant = tenant
            wanted = tuple(keys.HEAT_STACKS + self._desk.world.types.path(ref) for ref in refs)
            self._shard.tell(self._desk.bridge, Read(self._rid(), wanted))

    def answered(self, message: HeatCompared | ReadDone) -> None:
        """An answer of the bridge or of Heat; those to old questions are dropped."""
        if message.rid != self._asked:
            return
        self._asked = ""
        if isinstance(message, HeatCompared):
            self._compared(message)
        elif self._findings:
            self._record(message)
        else:
            self._compare(message)

    def _compare(self, message: ReadDone) -> None:
        types = self._desk.world.types
        for key, entry in message.entries.items():
            ref = types.ref(key, keys.HEAT_STACKS)
            outcome = self._desk.world.outcome(ref) if ref is not None else None
            try:
                record = keys.decode_object(key, entry.value)
            except keys.BadValue as error:
                self._shard.log.warning("%s", error)
                continue
            # a resource without a stack has no record, or one that says so
            if ref is not None and outcome is not None and record.get("stack_id"):
                status = str(record.get("stack_status"))
                term, (seen_under, updated) = self._desk.term(ref), self._seen.get(ref, (0, ""))
                # whoever owned it in between may have built it anew
                updated = updated if seen_under == term else ""
                self._batch[ref] = (term, Expected(ref, outcome.version, status, updated))
        if self._batch:
            expected = tuple(one for _, one in self._batch.values())
            self._shard.tell(self._desk.heat(self._tenant), HeatCompare(self._rid(), self._tenant, expected))

    def _compared(self, message: HeatCompared) -> None:
        if message.failure is not None:
            self._shard.log.info("stacks of tenant %s not compared: %s", self._tenant, message.failure)
        # those that were worked on meanwhile, by us or by another owner, say nothing
        asked = {ref for ref, (term, _) in self._batch.items() if term == self._desk.term(ref)}
        compared = [one for one in message.expected if one.ref in asked and self._settled(one.ref)]
        found = {one.ref: one for one in message.findings if one.ref in asked}
        failed = message.failure is not None
        for one in compared:
            self._seen[one.ref] = (self._desk.term(one.ref), one.updated)
            finding, known = found.get(one.ref), self._desk.world.drift(one.ref)
            if finding is None:
                # what somebody changed looks as if nothing had happened from the next comparison on
                if known is not None and known.drift is not Drift.CHANGED and not failed:
                    self._commit(one.ref, (Delete(keys.DRIFT + self._desk.world.types.path(one.ref)),))
            elif known is None or (known.version, known.drift) != (finding.version, finding.drift):
                self._findings[one.ref] = finding
        self.compared += len(compared)
        self._batch = {}
        if self._findings:
            world = self._desk.world
            wanted = tuple(keys.HISTORY + world.types.path(ref) for ref in self._findings)
            self._shard.tell(self._desk.bridge, Read(self._rid(), wanted))

    # ------------------------------------------------------------------------------------------ recording

    def _record(self, message: ReadDone) -> None:
        findings, self._findings = self._findings, {}
        for ref, finding in findings.items():
            outcome = self._desk.world.outcome(ref)
            if outcome is not None and outcome.version == finding.version and self._settled(ref):
                self._tell_of(finding, message.entries.get(keys.HISTORY + self._desk.world.types.path(ref)))

    def _tell_of(self, finding: Finding, past: Entry | None) -> None:
        desk, ref = self._desk, finding.ref
        found_s = desk.wall_s(self._shard.now())
        line = history.Line(
            finding.version, history.DRIFT, finding.drift.value, finding.text, found_s, Spans()
        )
        p = paths(desk.world.types, ref)
        writes: list[Put | Delete] = [
            Put(p.drift, drift.encode(finding, found_s)),
            Put(p.history, history.append(past.value if past is not None else None, line, 0)),
        ]
        resource_type = desk.world.types.get(ref.type)
        repair = resource_type is not None and resource_type.repair
        if repair:
            writes.append(Put(p.request, compact({"by": f"drift: {finding.drift}"})))
        told = "is built once more" if repair else "`reconcile` builds it once more"
        self._shard.log.warning("%s version %d: %s; %s", ref, finding.version, finding.text, told)
        self._commit(ref, tuple(writes))

    def _commit(self, ref: Ref, writes: tuple[Put | Delete, ...]) -> None:
        """Nobody waits for the answer: what is not written is found again."""
        outcome = self._desk.world.outcome(ref)
        assert outcome is not None, "compared only when settled"
        stands = Guard(paths(self._desk.world.types, ref).state, outcome.revision)
        self._requests += 1
        rid = f"drift:{ref}/{self._requests}"
        write_set = WriteSet(writes, (stands,))
        self._shard.tell(
            self._desk.bridge, Commit(rid, write_set, self._desk.vshard(ref), self._desk.term(ref))
        )
