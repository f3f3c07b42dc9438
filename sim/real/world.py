"""The outside world of the second tier, rebuilt revision by revision from what etcd, Heat and the tap recorded.

Guarantees: built from etcd's own revision history, Heat's own database, the devices' commands and the bytes that
controllers sent; nothing the product says of itself. Offers the promises of `sim.invariants` what `sim.world` offers
them, each revision as of the time at which it was seen. Who wrote a revision is known from the wire: the life whose
transaction etcd answered with that revision, or, where the answer was lost, one that had asked for just this.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from actors.core import keys
from actors.core.model import Json, Ref
from actors.ports import Delete, Entry, Put, WriteSet
from sim import etcd_http
from sim.api_server import TYPES, ApiServer
from sim.clients import Writer
from sim.fake_etcd import Change
from sim.heat.records import Record
from sim.process import Process
from sim.real.gateway import Recorder, Revision
from sim.real.heat_history import HeatHistory
from sim.real.lives import Controller, Life
from sim.real.stage import Seen
from sim.real.wire import Asked
from sim.truth import OURS, Truth, Write
from sim.workload import Workload

#: So long an answer may be on its way through the tap after the watch has shown the revision.
ANSWER_S = 3.0


@dataclass(slots=True)
class Moment:
    """What stands for the simulator's host. `now`: the time of the revision that is looked at."""

    now: float = 0.0


@dataclass(slots=True)
class Faults:
    """What stands for the simulator's injector."""

    hits: Counter[str]


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the story: a revision, its writes, and who wrote it."""

    at: float
    writes: Sequence[Write]
    writer: str


@dataclass(slots=True)
class RealWorld:
    """One run. `api` and `workload` are those of the present round."""

    controllers: list[Controller]
    recorder: Recorder
    heat: HeatHistory
    devices: list[Seen]
    faults: Faults
    api: ApiServer = field(init=False)
    workload: Workload = field(init=False)
    host: Moment = field(default_factory=Moment)
    truth: Truth = field(default_factory=Truth)
    story: list[Told] = field(default_factory=list)
    finals: int = 0
    by_the_wire: Counter[str] = field(default_factory=Counter)
    _looked: int = 0
    _devices: int = 0
    _holders: dict[tuple[str, int], Entry] = field(default_factory=dict)
    #: life → its transactions that may still explain a revision
    _open: dict[str, list[Asked]] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)

    # ------------------------------------------------------------- what `sim.invariants` asks of a world

    def path(self, ref: Ref) -> str:
        """What follows each root in its keys."""
        return TYPES.path(ref)

    def accepted(self, ref: Ref) -> dict[str, Json] | None:
        """The declaration that the product works at."""
        value: dict[str, Json] | None = self.truth.values.get(keys.ACCEPTED + TYPES.path(ref))
        return value

    def stacks_named(self, name: str) -> list[Record]:
        """All living stacks of that name."""
        return list(self.heat.living[name].values())

    def stacks_of(self, ref: Ref) -> list[Record]:
        """Those of a resource."""
        return self.stacks_named(keys.stack_name(ref))

    def living_stacks(self) -> list[Record]:
        """All of them."""
        return [one for stacks in self.heat.living.values() for one in stacks.values()]

    def hopeless_now(self) -> frozenset[Ref]:
        """Resources that cannot be built as they are declared now."""
        return self.api.hopeless(self.workload.hopeless)

    # --------------------------------------------------------------------------------------- looking

    def next(self) -> tuple[list[Write], Writer | None] | None:
        """The next revision and who wrote it; None if it is not there yet, or its answer may still come."""
        if self._looked >= len(self.recorder.all):
            return None
        revision = self.recorder.all[self._looked]
        changes = [_change(one) for one in revision.changes]
        found = self._writer(revision, changes)
        if found is None and time.time() - revision.seen < ANSWER_S and _product(revision):
            return None
        self._looked += 1
        self.host.now = revision.seen
        self.outside(revision.seen)
        writes = [self.truth.changed(change, revision.number, revision.seen) for change in changes]
        for change in changes:
            if isinstance(change, Entry):
                self._holders[change.key, change.mod_revision] = change
        self.finals += sum(write.root == keys.STATE and not write.deleted for write in writes)
        writer = self._as_writer(found) if found is not None else None
        self.story.append(Told(revision.seen, writes, str(found[0]) if found is not None else "-"))
        return writes, writer

    def outside(self, moment: float) -> None:
        """Take over what Heat and the devices did until then."""
        for one in self.heat.until(moment):
            if one.record.status != "IN_PROGRESS":
                self.truth.stack_changed(one.record)
        while self._devices < len(self.devices) and self.devices[self._devices].at <= moment:
            seen = self.devices[self._devices]
            self.truth.seen[seen.device, seen.port].append((seen.at, seen.status))
            self._devices += 1

    @property
    def behind(self) -> int:
        """Revisions that were recorded and not yet looked at."""
        return len(self.recorder.all) - self._looked

    # ---------------------------------------------------------------------------------------- who wrote

    def _writer(
        self, revision: Revision, changes: Sequence[Change]
    ) -> tuple[Life, Asked, tuple[WriteSet, ...]] | None:
        """The life and the transaction by the answer, else by what was asked and not answered."""
        lost = None
        for life in (life for controller in self.controllers for life in controller.lives):
            for asked in self._asked(life):
                if asked.answer is not None:
                    if asked.answer.revision == revision.number and (sets := _did(asked, changes)):
                        self._open[life.name].remove(asked)
                        self.by_the_wire["answered"] += 1
                        return life, asked, sets
                # of several that asked for just this the last one is the likeliest
                elif (lost is None or lost[1].at < asked.at <= revision.seen) and (
                    sets := _did(asked, changes)
                ):
                    lost = life, asked, sets
        if lost is not None and time.time() - revision.seen >= ANSWER_S:
            self._open[lost[0].name].remove(lost[1])
            self.by_the_wire["answer lost"] += 1
            return lost
        return None

    def _asked(self, life: Life) -> list[Asked]:
        """Its transactions that may still explain something; what was answered long ago does not."""
        known, taken = self._open.setdefault(life.name, []), self._taken.get(life.name, 0)
        new = life.line.asked[taken:]
        self._taken[life.name] = taken + len(new)
        known += new
        floor = self.recorder.all[self._looked].number
        known[:] = [one for one in known if one.answer is None or one.answer.revision >= floor]
        return known

    def _as_writer(self, found: tuple[Life, Asked, tuple[WriteSet, ...]]) -> Writer:
        """As the promises want it: what it holds is what it guarded by, if that was taken in its own name."""
        life, _, sets = found
        held: dict[str, Entry] = {}
        for guard in (guard for one in sets for guard in one.guards):
            entry = self._holders.get((guard.key, guard.mod_revision))
            if entry is not None and life.owns_as(entry.value):
                held[guard.key] = entry
        return Writer(cast("Process", life), held, sets)


def _change(one: etcd_http.Change) -> Change:
    return Delete(one.key) if one.value is None else one.entry


def _product(revision: Revision) -> bool:
    """Whether only the product can have changed these."""
    changed = [one.key for one in revision.changes]
    ours = any(key.startswith(tuple(OURS)) for key in changed)
    return ours and not any(key.startswith(keys.CONFIG) for key in changed)


def _did(asked: Asked, changes: Sequence[Change]) -> tuple[WriteSet, ...]:
    """The sets of a transaction that these changes are the effect of; () if they are not its effect."""
    left = {change.key: change.value if isinstance(change, Entry) else None for change in changes}
    done = []
    for one in asked.sets:
        puts = [write for write in one.writes if isinstance(write, Put)]
        if all(write.key in left and left[write.key] == write.value for write in puts):
            touched = {write.key for write in one.writes if write.key in left}
            if touched:
                done.append(one)
    covered = {write.key for one in done for write in one.writes}
    return tuple(done) if left.keys() <= covered else ()


__all__ = ["ANSWER_S", "Faults", "Moment", "RealWorld", "Told"]
