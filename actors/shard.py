"""Shard: keeps the mirror, starts an actor for every resource that has work, and looks after monitoring.

Guarantees: level-triggered: after a start, a restart of the bridge or a compaction the mirror is compared with
a full listing and everything that needs work is begun. At most `live_resources_max` ResourceActors live at once;
the rest waits in order. `/monitoring` is written here (through the bridge), only after `/state` of that version.
Never blocks. Holds nothing that cannot be read again from etcd.
"""

from __future__ import annotations

import os

from actors import devices, owed, traced
from actors.board import MonitorBoard
from actors.core import keys
from actors.core.model import Ref
from actors.core.world import World
from actors.desk import Desk
from actors.devices import Devices
from actors.drift_watch import DriftWatch
from actors.handover import Recordings
from actors.messages import (
    Address,
    Begin,
    Boot,
    Committed,
    DeviceHeard,
    Got,
    HeatCompared,
    Lasting,
    Mirror,
    Nudge,
    Owned,
    Ping,
    Pong,
    PoolChanged,
    ReadDone,
    Refused,
    Register,
    Report,
    Rested,
    Settled,
    Snapshot,
    StatusQuery,
    StatusReply,
    StoreHealth,
    TargetStatus,
    Tick,
    Topology,
    Unregister,
    UnwatchTargets,
    WatchTarget,
)
from actors.owed import Owed
from actors.ports import Delete
from actors.progress import Progress, reply
from actors.resource import ResourceActor
from actors.runtime import alarm
from actors.runtime.actor import BaseActor
from actors.subscription import Subscription
from actors.waiters import Waiters


class Shard(BaseActor):
    """One process; S of them share all resources by hash."""

    def started(self) -> None:
        """Nothing is known before Boot and Topology."""
        self._boot: Boot | None = None
        self._generation = 0
        self._desk: Desk | None = None
        self._subscription: Subscription | None = None
        self._ready, self._stale = False, frozenset[str]()
        self._store = StoreHealth(up=False, since=self.now(), reason="starting")
        self._told, self._recordings = Owned({}), Recordings()
        self._live: dict[Ref, Address] = {}
        self._held: set[Ref] = set()
        self._ref_of: dict[Address, Ref] = {}
        self._queue: dict[Ref, float] = {}  # since when
        self._waiters, self._progress = Waiters(), Progress()

    def receive(self, message: object, sender: Address) -> None:  # noqa: PLR0912 - one table
        """The closed set of messages that a Shard takes."""
        match message:
            case Boot():
                self._boot = message
            case Topology() if self._boot is not None:
                self._generation = message.generation
                self._rewire(message)
            case Snapshot() if self._subscription is not None and self._subscription.takes_page(message):
                self._snapshot(message)
            case Mirror() if self._subscription is not None and self._subscription.takes_changes(message):
                self._mirror(message)
            case StoreHealth():
                self._store = message
            case Owned():
                self._told = message
                self._owned()
            case Report():
                self._reported(message)
            case Settled() if self._live.get(message.ref) == sender:
                self._settled(message)
            case Register():
                self._board.register(message.ref, message.version, message.targets, message.since)
            case Unregister():
                self._board.unregister(message.ref)
            case WatchTarget() | UnwatchTargets() | DeviceHeard():
                self._devices.receive(message)
            case TargetStatus() if sender == self.me:
                self._status(message)
            case TargetStatus():
                self._devices.told(message)
            case Lasting() if self._desk is not None and sender in self._desk.topology.shards:
                # not of one that was replaced while it stood still: it knows nothing of the present
                self.receive(message.message, self.me)
                self.tell(sender, Got(message.number))
            case Got() if self._desk is not None:
                self._owed.got(message.number)
            case ReadDone() | HeatCompared():
                self._drift.answered(message)
            case Committed() | Refused():
                self._board.answered(message.rid)
            case Tick():
                self._ticked(message.what)
            case StatusQuery():
                self.tell(sender, self._reply(message))
            case Ping():
                self.tell(sender, Pong(message.seq, os.getpid(), self._generation))

    # ------------------------------------------------------------------------------------- the mirror

    def _rewire(self, topology: Topology) -> None:
        boot, index = self._boot, topology.shards.index(self.me)
        assert boot is not None, "Boot comes before Topology"
        if self._desk is None:
            world = World(boot.options.types, alarm.limited)
            self._desk = Desk(boot.options, world, topology, self.me, index, boot.wall_offset_s)
            self._owed = Owed(self)
            self._devices = Devices(self, self._desk, self._owed)
            self._board = MonitorBoard(self, self._desk, self._owed)
            self._drift = DriftWatch(self, self._desk, self._live.__contains__)
            self._owned()
            self._subscribe()
            return
        old, self._desk.topology = self._desk.topology, topology
        if old.bridge != topology.bridge:
            self._subscribe()
            for address in self._live.values():
                self.tell(address, PoolChanged(bridge=True))
        if (old.heat, old.snmp) != (topology.heat, topology.snmp):
            for address in self._live.values():
                self.tell(address, PoolChanged())
            self._devices.pool_changed()
        if old.shards != topology.shards:
            self._owed.retain(topology.shards)
            self._devices.shards_changed()
            self._board.watch_again()

    def _subscribe(self) -> None:
        assert self._desk is not None, "subscribing needs the topology"
        self._subscription = self._subscription or Subscription(self, self._desk.index)
        self._subscription.begin(self._desk.bridge)

    def _ticked(self, what: str) -> None:
        if what == "board":
            self._board.retry()
        elif what == owed.TICK:
            self._owed.again()
        elif what == devices.TICK:
            self._devices.end_orphans()
        elif what == "drift":
            self._drift.ticked()
        elif self._subscription is not None:
            self._subscription.ticked(what)

    def _snapshot(self, page: Snapshot) -> None:
        assert self._desk is not None, "a snapshot answers a subscription"
        world = self._desk.world
        if page.number == 1:
            self._stale = world.keys_known()
        for entry in page.entries:
            world.put(entry.key, entry.value, entry.mod_revision, entry.create_revision)
        self._stale -= {entry.key for entry in page.entries}
        if not page.last:
            return
        for key in self._stale:
            world.delete(key)
        self._desk.remark(self.log)
        world.revision, self._stale, self._ready = page.revision, frozenset(), True
        for ref in (*world.refs(), *world.leftovers(), *self._live):
            self._consider(ref)
        self._board.restore()

    def _mirror(self, message: Mirror) -> None:
        assert self._desk is not None, "changes answer a subscription"
        world, touched, general = self._desk.world, dict[Ref, bool](), False
        for changes in message.changes:
            for change in changes.puts_and_deletes:
                if isinstance(change, Delete):
                    ref = world.delete(change.key)
                else:
                    ref = world.put(change.key, change.value, change.mod_revision, change.create_revision)
                if ref is not None:
                    touched[ref] = touched.get(ref, False) or change.key.startswith(keys.CONFIG)
                elif change.key.startswith((keys.TEMPLATES, keys.PAUSE)):
                    general = True
            world.revision = changes.revision
        for ref, declared in touched.items():
            # a live actor is told of its own declaration only: the rest is the echo of its own writes
            if declared or ref not in self._live:
                self._consider(ref)
            self._board.changed(ref)
            for waiter in self._waiters.of(ref):
                self._nudge(waiter)
        if general:
            self._desk.remark(self.log)
            for ref in (*world.refs(), *world.leftovers()):
                self._consider(ref)

    def _nudge(self, ref: Ref) -> None:
        if ref in self._live:
            self.tell(self._live[ref], Nudge())

    # ---------------------------------------------------------------------------------------- ownership

    def _owned(self) -> None:
        """Let go of what is not ours any more; look at everything that became ours, or stays after all."""
        desk, told = self._desk, self._told
        if desk is None:
            return
        old, desk.terms = desk.terms, told.terms
        changed = {n for n, _ in old.items() ^ desk.terms.items()} if old != desk.terms else set[int]()
        stays, desk.leaving = desk.leaving - told.leaving - changed, told.leaving
        for ref in [ref for ref in self._live if desk.vshard(ref) in changed]:
            self.stop_child(self._release(ref))
        self._progress.lost(changed)
        self._queue = {ref: since for ref, since in self._queue.items() if desk.mine(ref)}
        self._board.release()
        if self._ready and (changed or stays):
            for ref in (*desk.world.refs(), *desk.world.leftovers()):
                if desk.vshard(ref) in changed or desk.vshard(ref) in stays:
                    self._consider(ref)
                    self._board.changed(ref)
        for address in [address for ref, address in self._live.items() if desk.vshard(ref) in stays]:
            self.tell(address, PoolChanged())  # what it had asked of Heat was let go of
        self._admit()
        self._rest(self._recordings.begin(told, self._progress.reports(self._live)))

    def _rest(self, answer: Rested | None) -> None:
        if answer is not None and self._desk is not None:
            self.tell(self._desk.bridge, answer)

    # ---------------------------------------------------------------------------------- resource actors

    def _consider(self, ref: Ref) -> None:
        """Begin, wake or leave alone: whatever the mirror calls for."""
        desk = self._desk
        assert desk is not None, "considered only with a mirror"
        if not self._ready or not desk.mine(ref):
            return
        if ref in self._live:
            self._nudge(ref)
        elif desk.world.needs_work(ref) and not desk.held(ref):
            self._queue.setdefault(ref, self.now())
            self._admit()
        elif not desk.world.version(ref):
            self._waiters.remove(ref, self._progress.forget(ref))

    def _admit(self) -> None:
        desk = self._desk
        assert desk is not None, "admitted only with a mirror"
        # who waits for others does not count: what it waits for may be in the queue
        while self._queue and len(self._live) - len(self._held) < desk.options.live_resources_max:
            ref = next(iter(self._queue))
            del self._queue[ref]
            if ref in self._live or not desk.world.needs_work(ref) or desk.held(ref):
                continue
            kind = traced.ResourceActor if desk.options.traces else ResourceActor
            self._live[ref] = address = self.spawn(kind)
            self._ref_of[address] = ref
            self.tell(address, Begin(ref, desk))

    def _reported(self, report: Report) -> None:
        assert self._desk is not None, "an actor reported"
        self._unwait(report.ref)
        self._progress.report(report, self.now(), self._desk.world.version(report.ref))
        self._rest(self._recordings.reported(report))
        if report.ref in self._live:
            self._waiters.add(report.ref, report.awaits)
        if report.awaits and report.revision < self._desk.world.revision:
            self._nudge(report.ref)  # what it waits for may have come while the report was on its way
        if not report.awaits:
            self._held.discard(report.ref)
        elif report.ref in self._live:
            self._held.add(report.ref)
            self._admit()

    def _unwait(self, waiter: Ref) -> None:
        """It does not wait any more for what it said last."""
        self._waiters.remove(waiter, self._progress.awaits(waiter))

    def _settled(self, message: Settled) -> None:
        """Passivate, unless there is work again already (the mirror may lag behind: it will tell)."""
        assert self._desk is not None, "an actor settled"
        world, ref = self._desk.world, message.ref
        self.stop_child(self._release(ref))
        outcome, version = world.outcome(ref), world.version(ref)
        newer = version > message.version and (outcome is None or outcome.version >= message.version)
        # a new life, at whatever version; cleared away by the API server while the outcome was being written
        anew = world.created(ref) > message.created
        gone = message.version > 0 and not version and world.needs_work(ref)
        asked = world.requested(ref) and not message.unmet
        if newer or anew or gone or message.again or asked:  # nobody will tell of it again
            self._queue.setdefault(ref, self.now())
        self._admit()

    def _release(self, ref: Ref) -> Address:
        """Forget the actor of a resource; returns where it lived."""
        self._drift.worked_on(ref)
        address = self._live.pop(ref)
        del self._ref_of[address]
        self._held.discard(ref)
        self._unwait(ref)
        self._rest(self._recordings.gone(ref))
        return address

    def child_exited(self, address: Address) -> None:
        """A child that ended without being asked is begun again by the next look at its resource."""
        if self._desk is not None and self._devices.exited(address):
            return
        ref = self._ref_of.get(address)
        if ref is not None:
            self._release(ref)
            self._consider(ref)

    # --------------------------------------------------------------------------------------- monitoring and answering

    def _status(self, message: TargetStatus) -> None:
        self._board.status(message)
        if message.ref in self._live:
            self.tell(self._live[message.ref], message)

    def _reply(self, query: StatusQuery) -> StatusReply:
        if self._desk is None:
            return StatusReply(query.rid, False, "starting", {}, (), ())
        live, store = self._live.keys() | self._queue.keys(), self._store
        told = self._progress.rows(self._desk, self._board, live, self.now(), query.limit)
        return reply(query.rid, self._ready, self._desk, store, *told)
