"""The monitoring side of a shard: who is watched, what is known, when `/monitoring` is written.

Guarantees: a value is written only when every member is known and no hold keeps it back, only while `/state` of the
same version stands without error, only if it differs from what etcd holds, and one write at a time per resource; a
write that was refused or lost is considered again; what flaps is written rarely (`core.flapping`). Targets survive in
etcd (`core.monitors`), so a restart watches at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from actors.core import keys
from actors.core.model import Json, JsonObject, Ref
from actors.core.monitors import Target, hold_left_s, statuses_to_write, watched
from actors.desk import Desk
from actors.messages import Commit, TargetStatus, Tick, UnwatchTargets, WatchTarget
from actors.owed import Owed
from actors.transactions import paths, publish_monitoring

if TYPE_CHECKING:
    from actors.runtime.actor import BaseActor

#: A write without an answer is looked at again after this.
RETRY_S = 5.0


@dataclass(slots=True)
class Watch:
    """What one resource has being watched. `since_s`: when these targets were registered; `held`: etcd has not shown
    a status of them yet; `writing`: the request under way and when it began; `written_s`: when the last one did;
    `flapping`: the targets that change too often."""

    version: int
    targets: tuple[Target, ...]
    since_s: float
    held: bool = True
    statuses: dict[str, str] = field(default_factory=dict)
    writing: tuple[str, float] | None = None
    written_s: float | None = None
    flapping: set[str] = field(default_factory=set)
    #: etcd holds these targets: when they go from there, nothing is watched any more
    recorded: bool = False
    #: What the mirror shows of targets up to this revision is of the past.
    since: int = 0


class MonitorBoard:
    """All watches of one shard. Works through its shard's `tell`; not an actor of its own."""

    def __init__(self, shard: BaseActor, desk: Desk, owed: Owed) -> None:
        self._shard, self._desk, self._owed = shard, desk, owed
        self._watches: dict[Ref, Watch] = {}
        self._writing: dict[str, Ref] = {}
        self._later: dict[Ref, float] = {}
        self._ticking = False
        self._writes = 0

    def register(self, ref: Ref, version: int, targets: tuple[Target, ...], since: int = 0) -> None:
        """Watch these; targets of the same name keep what is known of them."""
        looked_at = watched(targets)
        known = self._watches.get(ref)
        if known is not None and known.version == version and known.targets == looked_at:
            known.since, known.recorded = max(known.since, since), known.recorded and not since
            self._watch(ref)  # who registers again has not heard the statuses: the devices repeat them
            self._publish(ref, known)
            return
        if known is not None:
            kept_names = {(t.device, t.name) for t in looked_at}
            self._unwatch(ref, [t for t in known.targets if (t.device, t.name) not in kept_names])
        if not looked_at:
            self._watches.pop(ref, None)
            return
        kept = known.statuses if known is not None else {}
        names = {t.name for t in looked_at}
        fresh = Watch(version, looked_at, self._shard.now(), since=since)
        fresh.statuses = {n: s for n, s in kept.items() if n in names}
        if known is not None and known.targets == looked_at:
            fresh.since_s, fresh.held = known.since_s, known.held
        self._watches[ref] = fresh
        self._watch(ref)

    def unregister(self, ref: Ref) -> None:
        """Watch nothing for `ref`."""
        known = self._watches.pop(ref, None)
        if known is not None:
            self._later.pop(ref, None)
            self._unwatch(ref, known.targets)

    def watch_again(self) -> None:
        """A shard, and with it its DeviceActors, was replaced: ask for everything anew (it is idempotent)."""
        for ref in self._watches:
            self._watch(ref)

    def restore(self) -> None:
        """After a listing: watch what etcd says is watched, and nothing that it does not name any more."""
        for ref in dict.fromkeys([*self._desk.world.targeted(), *self._watches]):
            self.changed(ref)

    def release(self) -> None:
        """Ownership changed: watch nothing for resources that are not ours any more, and forget of them what is
        known (whoever has them now asks the devices itself)."""
        for ref in [ref for ref in self._watches if not self._desk.mine(ref)]:
            writing = self._watches[ref].writing
            if writing is not None:
                self._writing.pop(writing[0], None)
            self.unregister(ref)

    def changed(self, ref: Ref) -> None:
        """Targets, outcome or `/monitoring` of `ref` changed in etcd."""
        if not self._desk.mine(ref):
            return
        world, known = self._desk.world, self._watches.get(ref)
        recorded = world.targets(ref)
        if known is not None and world.revision <= known.since:
            self._publish(ref, known)
        elif recorded is not None and (known is None or recorded[0] >= known.version):
            self.register(ref, *recorded)
            if ref in self._watches:
                self._watches[ref].recorded = True
        elif recorded is None and known is not None and known.recorded:
            self.unregister(ref)  # an echo of the past had registered it again after its end
        elif known is not None:
            self._publish(ref, known)

    def status(self, message: TargetStatus) -> None:
        """A confirmed status of one target. One of another version or device says nothing of what is watched now."""
        known = self._watches.get(message.ref)
        place = (message.device, message.name)
        if known is None or message.version != known.version:
            return
        if any((t.device, t.name) == place for t in known.targets):
            known.statuses[message.name] = message.status
            (known.flapping.add if message.flapping else known.flapping.discard)(message.name)
            self._publish(message.ref, known)

    def statuses(self, ref: Ref) -> Mapping[str, str]:
        """What is known of a resource's targets, for people: flapping ones are marked."""
        known = self._watches.get(ref)
        if known is None:
            return {}
        return {
            name: f"{status} (flapping)" if name in known.flapping else status
            for name, status in known.statuses.items()
        }

    def published(self, ref: Ref) -> bool:
        """Whether etcd shows what is known of the resource, or there is nothing to show."""
        known, outcome = self._watches.get(ref), self._desk.world.outcome(ref)
        if known is None or outcome is None or outcome.version != known.version or outcome.error:
            return True
        if all(t.name in self._desk.options.unpublished.get(ref.type, ()) for t in known.targets):
            return True
        statuses = self._members(ref, known)
        return statuses is not None and _parsed(self._desk.world.monitoring(ref)) == {
            **statuses,
            "version": known.version,
        }

    def _members(self, ref: Ref, known: Watch) -> dict[str, str] | None:
        hidden = self._desk.options.unpublished.get(ref.type, ())
        return statuses_to_write(known.targets, known.statuses, hidden)

    def answered(self, rid: str) -> None:
        """The bridge wrote or refused: look again (the mirror tells what stands now)."""
        ref = self._writing.pop(rid, None)
        known = self._watches.get(ref) if ref is not None else None
        if ref is not None and known is not None and known.writing is not None and known.writing[0] == rid:
            self._look_again(ref, RETRY_S)

    def retry(self) -> None:
        """Look at the resources whose time has come; only those are touched that a write was begun for."""
        now, self._ticking = self._shard.now(), False
        for ref, due_s in list(self._later.items()):
            known = self._watches.get(ref)
            if due_s > now and known is not None:
                continue
            del self._later[ref]
            if known is None:
                continue
            if known.writing is not None:
                self._writing.pop(known.writing[0], None)
                known.writing = None
            self._publish(ref, known)
        self._tick()

    # ------------------------------------------------------------------------------------------- inside

    def _watch(self, ref: Ref) -> None:
        known = self._watches[ref]
        shown = _parsed(self._desk.world.monitoring(ref))
        fresh = shown is None or shown.get("version") != known.version
        for target in known.targets:
            message = WatchTarget(ref, known.version, target, self._shard.me, fresh)
            self._owed.send(
                (ref, target.device, target.name), self._desk.device_shard(target.device), message
            )

    def _unwatch(self, ref: Ref, targets: Iterable[Target]) -> None:
        for device, name in sorted((t.device, t.name) for t in targets):
            message = UnwatchTargets(ref, device, (name,))
            self._owed.send((ref, device, name), self._desk.device_shard(device), message)

    def _look_again(self, ref: Ref, after_s: float) -> None:
        self._later[ref] = self._shard.now() + after_s
        self._tick()

    def _tick(self) -> None:
        """One timer for all, however many writes are under way."""
        if self._later and not self._ticking:
            self._ticking = True
            self._shard.after(RETRY_S, Tick("board"))

    def _publish(self, ref: Ref, known: Watch) -> None:
        """T5, if it is due."""
        world, outcome = self._desk.world, self._desk.world.outcome(ref)
        if outcome is None or outcome.version != known.version or outcome.error:
            return
        statuses = self._members(ref, known)
        if statuses is None:
            return
        wanted: dict[str, Json] = {**statuses, "version": known.version}
        shown = _parsed(world.monitoring(ref))
        if shown == wanted:
            known.held = False
            if known.writing is not None:
                self._writing.pop(known.writing[0], None)
                known.writing = None
                self._later.pop(ref, None)
            return
        if known.writing is not None:
            return
        now, told = self._shard.now(), shown is not None and shown.get("version") == known.version
        known.held = known.held and not told
        left_s = hold_left_s(known.targets, statuses, now - known.since_s) if known.held else 0.0
        if left_s > 0:
            self._look_again(ref, left_s)
            return
        wait_s = (
            0.0 if known.written_s is None else known.written_s + self._desk.options.snmp_flaps.write_s - now
        )
        if known.flapping and wait_s > 0 and told:
            self._look_again(ref, wait_s)
            return
        self._writes += 1
        rid = f"monitoring:{ref}@{now:.6f}/{self._writes}"
        known.writing, known.written_s = (rid, now), now
        self._writing[rid] = ref
        value = keys.encode_monitoring(statuses, known.version)
        p, targets_revision = paths(world.types, ref), world.targets_revision(ref)
        write_set = publish_monitoring(p, value, outcome.revision, targets_revision)
        commit = Commit(rid, write_set, self._desk.vshard(ref), self._desk.term(ref))
        self._shard.tell(self._desk.bridge, commit)
        self._look_again(ref, RETRY_S)


def _parsed(raw: bytes | None) -> JsonObject | None:
    """A `/monitoring` value, or None if there is none that can be read."""
    if raw is None:
        return None
    try:
        return keys.decode_object("/monitoring", raw)
    except keys.BadValue:
        return None
