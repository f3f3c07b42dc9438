"""The process actors, counted: each answers Telemetry what it has done so far. Used where metrics are wanted.

Guarantees: the counted actor behaves as the bare one; counting costs a few dictionary updates per message and
nothing is sent unless asked. Classes keep the names of the actors they count, as logs and process lists show them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from actors import etcd_bridge, heat_pool, shard, snmp_pool
from actors.core import keys
from actors.core.drift import Drift
from actors.core.errors import ErrorClass
from actors.core.exposition import Sample
from actors.core.machine import State
from actors.core.model import Ref
from actors.core.pauses import KINDS, kind_of
from actors.core.tracing import Ending
from actors.desk import Desk
from actors.messages import Address, Boot, Mirror, Report, TargetStatus, Wiring
from actors.messages.telemetry import MetricsQuery, VersionEnded
from actors.metering import SafeMeter, metered_agent, metered_stacks, metered_store
from actors.ports import Delete
from actors.runtime.actor import BaseActor

#: Declarations of which the age is remembered, at most.
DECLARED_MAX = 100_000
#: How long things take, whatever they are.
TIMES = (
    "first_time_to_reconcile_seconds",
    "first_time_to_readiness_seconds",
    "deletion_seconds",
    "drift_seconds",
    "own_seconds",
)


def drifted_stacks(desk: Desk) -> Mapping[Drift, int]:
    """How many of this shard's stacks are recorded as drifted, by kind."""
    found = Counter(one.drift for ref, one in desk.world.drifted().items() if desk.mine(ref))
    return {kind: found[kind] for kind in Drift}


class Metered(BaseActor):
    """Mixed in before an actor class."""

    role: ClassVar[str] = ""
    #: The port whose errors it counts.
    port: ClassVar[str] = ""

    def started(self) -> None:
        """Nothing is counted yet."""
        self.meter = SafeMeter(self.role)
        for error_class in ErrorClass if self.port else ():
            self.meter.begin(f"{self.port}_errors_total", **{"class": error_class.value})
        super().started()

    def receive(self, message: object, sender: Address) -> None:
        """Answer for the meter; the rest is the actor's."""
        match message:
            case MetricsQuery():
                self.tell(sender, self.meter.reply(message, (*self.gauges(), *self._runtime())))
            case Boot():
                super().receive(replace(message, wiring=self.wired(message.wiring)), sender)
            case _:
                self.noticed(message)
                super().receive(message, sender)

    def wired(self, wiring: Wiring) -> Wiring:
        """The factories, with the port of this actor counted."""
        return wiring

    def noticed(self, message: object) -> None:
        """A message is about to be handled."""

    def gauges(self) -> tuple[Sample, ...]:
        """Values that are looked up when asked for."""
        return ()

    def _runtime(self) -> tuple[Sample, ...]:
        labels = ("role", self.role)
        return tuple(
            Sample("runtime", (("name", name), labels), float(value))
            for name, value in self.counters().items()
        )


class EtcdBridge(Metered, etcd_bridge.EtcdBridge):
    """Counts requests to etcd."""

    role: ClassVar = "bridge"
    port: ClassVar = "etcd"

    def wired(self, wiring: Wiring) -> Wiring:
        """The store, counted."""
        return replace(wiring, store=lambda: metered_store(wiring.store(), self.meter))

    def gauges(self) -> tuple[Sample, ...]:
        """What we own."""
        return (Sample("vshards_owned", (), float(len(self.holdings.terms()))),)


class HeatActor(Metered, heat_pool.HeatActor):
    """Counts requests to Heat."""

    role: ClassVar = "heat"
    port: ClassVar = "heat"

    def wired(self, wiring: Wiring) -> Wiring:
        """The stacks, counted."""
        return replace(wiring, stacks=lambda: metered_stacks(wiring.stacks(), self.meter))

    def gauges(self) -> tuple[Sample, ...]:
        """Whether Heat is asked, and for how many stacks."""
        if self._calls is None:
            return ()
        return (
            Sample("heat_up", (), 0.0 if self._calls.breaker.open else 1.0),
            Sample("heat_stacks", (("state", "waiting"),), float(self._jobs.waiting)),
            Sample("heat_stacks", (("state", "under way"),), float(self._jobs.under_way)),
        )


class SnmpPollerActor(Metered, snmp_pool.SnmpPollerActor):
    """Counts requests to devices."""

    role: ClassVar = "snmp"
    port: ClassVar = "snmp"

    def wired(self, wiring: Wiring) -> Wiring:
        """The agent, counted."""
        return replace(wiring, agent=lambda: metered_agent(wiring.agent(), self.meter))

    def gauges(self) -> tuple[Sample, ...]:
        """What happened on the wire."""
        counted = self._agent.counters() if self._agent is not None else {}
        return tuple(Sample("snmp_wire_total", (("what", name),), float(n)) for name, n in counted.items())


class Shard(Metered, shard.Shard):
    """Counts stages, times and drift."""

    role: ClassVar = "shard"

    def started(self) -> None:
        """Nothing is remembered."""
        super().started()
        for outcome in ("completed", "failed"):
            self.meter.begin("finished_total", outcome=outcome)
        for name in ("retries_total", *TIMES):
            self.meter.begin(name)
        self._declared: dict[Ref, float] = {}
        self._begun: set[Ref] = set()
        self._entered: dict[Ref, tuple[str, float]] = {}
        #: target → since when it is not as wanted, and what it is
        self._drifted: dict[tuple[Ref, str], tuple[float, str]] = {}

    def noticed(self, message: object) -> None:
        """What tells of times."""
        match message:
            case Mirror() if self._subscription is not None and message.epoch == self._subscription.epoch:
                self._changed(message)
            case Report():
                self._stage(message)
            case VersionEnded():
                self._ending(message.ending)

    def _ending(self, ending: Ending) -> None:
        """Telemetry is told, and of when the version was declared, if that was seen."""
        desk = self._desk
        if desk is not None and desk.readings is not None:
            seen = self._declared.get(ending.ref)
            declared_s = desk.wall_s(seen) if seen is not None else None
            self.tell(desk.readings, VersionEnded(replace(ending, declared_s=declared_s)))

    def _changed(self, message: Mirror) -> None:
        desk = self._desk
        assert desk is not None, "changes answer a subscription"
        ref_of = desk.world.types.ref
        for changes in message.changes:
            for change in changes.puts_and_deletes:
                if isinstance(change, Delete):
                    continue
                if change.key.startswith(keys.STATE):
                    ref = ref_of(change.key, keys.STATE)
                    if ref is not None and not desk.mine(ref):
                        self._declared.pop(ref, None)  # somebody else has done it
                elif change.key.startswith(keys.CONFIG):
                    ref = ref_of(change.key, keys.CONFIG)
                    # it may become ours only now: who waits for an owner waits
                    if ref is not None and desk.placed(ref) and len(self._declared) < DECLARED_MAX:
                        self._declared[ref] = self.now()
                        self._begun.discard(ref)

    def _stage(self, report: Report) -> None:
        ref, now, meter = report.ref, self.now(), self.meter
        began = self._declared.get(ref)
        if began is not None and ref not in self._begun:
            self._begun.add(ref)
            meter.observe("first_time_to_reconcile_seconds", now - began)
        old = self._entered.get(ref)
        if old is not None and old[0] != report.stage:
            meter.observe("stage_seconds", now - old[1], stage=old[0])
            if report.stage == State.BACKING_OFF:
                meter.count("retries_total")
        if old is None or old[0] != report.stage:
            self._entered[ref] = (report.stage, now)
        if report.stage == State.SETTLED:
            self._ended(report, now)

    def _ended(self, report: Report, now: float) -> None:
        ref, meter, desk = report.ref, self.meter, self._desk
        self._entered.pop(ref, None)
        self._begun.discard(ref)
        began = self._declared.pop(ref, None)
        meter.count("finished_total", outcome="failed" if report.error else "completed")
        meter.observe("own_seconds", report.seconds.get("own", 0.0))
        if began is None or report.error or desk is None:
            return
        declared = desk.world.declaration(ref)
        gone = declared is None or declared.marked_for_deletion
        meter.observe("deletion_seconds" if gone else "first_time_to_readiness_seconds", now - began)

    def _status(self, message: TargetStatus) -> None:
        """As ever, and drift is counted where the resource is driven."""
        self._target(message)
        super()._status(message)

    def _release(self, ref: Ref) -> Address:
        """As ever, and it is in no stage any more, whether it has ended or goes to another owner."""
        self._entered.pop(ref, None)
        return super()._release(ref)

    def _target(self, message: TargetStatus) -> None:
        key, now = (message.ref, message.name), self.now()
        since, _ = self._drifted.get(key, (None, ""))
        if self._amiss(*key, message.status):
            self._drifted[key] = (now if since is None else since, message.status)
        elif since is not None:
            del self._drifted[key]
            self.meter.observe("drift_seconds", now - since)

    def _amiss(self, ref: Ref, name: str, status: str) -> bool:
        """Whether a target is watched for a resource of ours, and that is not what it should be."""
        desk = self._desk
        registered = desk.world.targets(ref) if desk is not None and desk.mine(ref) else None
        wanted = {t.name: t.wanted for t in registered[1]} if registered is not None else {}
        return name in wanted and status != wanted[name]

    def gauges(self) -> tuple[Sample, ...]:
        """How things stand."""
        desk = self._desk
        if desk is None:
            return (Sample("ready", (), 0.0),)
        now, live = self.now(), self._live.keys() | self._queue.keys()
        counts, _ = self._progress.rows(desk, self._board, live, now, 0)
        oldest: dict[str, float] = {}
        for stage, since in self._entered.values():
            oldest[stage] = max(oldest.get(stage, 0.0), round(now - since, 3))
        # nobody tells of a target that is not watched any more, or by another owner
        self._drifted = {k: one for k, one in self._drifted.items() if self._amiss(*k, one[1])}
        paused = Counter(map(kind_of, desk.world.pauses))
        up = 1.0 if self._store.up else 0.0
        return (
            *(Sample("resources", (("stage", stage),), float(n)) for stage, n in counts.items()),
            *(Sample("stage_oldest_seconds", (("stage", stage),), age) for stage, age in oldest.items()),
            Sample("queue_depth", (), float(len(self._queue))),
            Sample("queue_oldest_seconds", (), round(now - next(iter(self._queue.values()), now), 3)),
            *(Sample("paused_scopes", (("kind", kind),), float(paused[kind])) for kind in KINDS),
            Sample("live_actors", (), float(len(self._live))),
            Sample("devices", (), float(len(self._devices))),
            Sample("devices_silent", (), float(len(self._devices.silent))),
            Sample("drifted_targets", (), float(len(self._drifted))),
            *(Sample("drifted_stacks", (("drift", d),), float(n)) for d, n in drifted_stacks(desk).items()),
            Sample("compared_stacks_total", (), float(self._drift.compared)),
            Sample("problems", (), float(len(desk.world.problems))),
            Sample("etcd_up", (), up),
            Sample("ready", (), 1.0 if self._ready else 0.0),
        )
