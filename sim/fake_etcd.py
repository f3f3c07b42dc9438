"""What an etcd server holds, in memory: revisions, history, transactions, leases.

Guarantees: the semantics of etcd that the product relies on, with etcd's limits: one revision per transaction
that changes something, all guards evaluated before all writes, history until compaction, a put detaches the
key from its lease. Synchronous and deterministic; the clock is the caller's.
Does not guarantee anything about threads: one thread uses it. There is no cluster, no disk, no permission.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from actors.core.errors import ErrorClass, PortError
from actors.ports import Clock, CommitResult, Delete, Entry, Guard, Page, Put, WriteSet

MAX_OPS = 128
MAX_REQUEST_BYTES = 1536 * 1024
MIN_TTL_S = 2

Change = Entry | Delete


@dataclass(slots=True)
class FakeLease:
    """A lease. While `kept` it never runs out; after that at `deadline` (seconds of the clock)."""

    id: int
    ttl_s: float
    deadline: float
    kept: bool = True
    keys: set[str] = field(default_factory=set)


class FakeEtcd:
    """One store, for any number of `FakeStore` clients. `revision` starts at 1, as in etcd."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.revision = 1
        self.compacted = 0
        self.version = "3.5.30"
        #: Called after every new revision.
        self.listeners: list[Callable[[], None]] = []
        self._order: list[bytes] = []  # all keys with any version, sorted as etcd sorts: by bytes
        self._versions: dict[str, list[Entry | _Gone]] = {}
        self._bytes = 0  # of all entries in _versions
        self._history: list[tuple[int, tuple[Change, ...]]] = []
        self._leases: dict[int, FakeLease] = {}
        self._lease_of: dict[str, FakeLease] = {}
        self._next_lease = 1

    # ------------------------------------------------------------------------------------------------ reads

    def get(self, key: str, revision: int = 0) -> Entry | None:
        """The entry as of `revision` (0: now). The revision must have been checked."""
        versions = self._versions.get(key, ())
        if versions and not revision:
            newest = versions[-1]
            return newest if isinstance(newest, Entry) else None
        for version in reversed(versions):
            if not revision or version.mod_revision <= revision:
                return version if isinstance(version, Entry) else None
        return None

    def page(self, prefix: str, after: str, limit: int, revision: int) -> Page:
        """See `ports.Store.page`."""
        self.expire()
        self.check_revision(revision)
        start = max(_raw(prefix), _raw(after) + b"\0") if after else _raw(prefix)
        entries: list[Entry] = []
        for index in range(bisect.bisect_left(self._order, start), len(self._order)):
            raw = self._order[index]
            if not raw.startswith(_raw(prefix)):
                break
            entry = self.get(raw.decode("utf-8", "surrogateescape"), revision)
            if entry is None:
                continue
            if limit and len(entries) == limit:
                return Page(tuple(entries), revision or self.revision, more=True)
            entries.append(entry)
        return Page(tuple(entries), revision or self.revision, more=False)

    def check_revision(self, revision: int) -> None:
        """Raises CONFLICT/Compacted or CONFLICT/FutureRevision."""
        if revision and revision < self.compacted:
            raise PortError(ErrorClass.CONFLICT, "Compacted", "required revision has been compacted")
        if revision > self.revision:
            raise PortError(ErrorClass.CONFLICT, "FutureRevision", "required revision is a future revision")

    def changes(self, prefix: str, after: int) -> list[Change]:
        """All changes under `prefix` in revisions later than `after`."""
        start = bisect.bisect_right(self._history, after, key=lambda one: one[0])
        return [
            change
            for _, changes in self._history[start:]
            for change in changes
            if change.key.startswith(prefix)
        ]

    # ----------------------------------------------------------------------------------------------- writes

    def commit(self, sets: Sequence[WriteSet]) -> CommitResult:
        """See `ports.Store.commit`."""
        self.expire()
        _check_limits(sets)
        accepted = tuple(all(map(self._holds, one.guards)) for one in sets)
        writes = [write for one, holds in zip(sets, accepted, strict=True) if holds for write in one.writes]
        revision = self._write(writes)
        return CommitResult(revision, accepted)

    def bytes_in_use(self) -> int:
        """Keys and values with all history that is kept."""
        return self._bytes

    def compact(self, revision: int) -> None:
        """Forget what was before `revision`. No error if that is done already."""
        if revision <= self.compacted:
            return
        self.check_revision(revision)
        self.compacted = revision
        self._history = [one for one in self._history if one[0] > revision]
        for key, versions in list(self._versions.items()):
            if len(versions) == 1 and isinstance(versions[0], Entry):
                continue
            newest = max((i for i, one in enumerate(versions) if one.mod_revision <= revision), default=0)
            if isinstance(versions[newest], _Gone) and versions[newest].mod_revision <= revision:
                newest += 1
            self._bytes -= sum(_size(one) for one in versions[:newest])
            del versions[:newest]
            if not versions:
                del self._versions[key]
                del self._order[bisect.bisect_left(self._order, _raw(key))]

    def _holds(self, guard: Guard) -> bool:
        entry = self.get(guard.key)
        return (entry.mod_revision if entry else 0) == guard.mod_revision

    def _write(self, writes: Sequence[Put | Delete], lease: FakeLease | None = None) -> int:
        """The revision of these writes. Listeners may write again: only then does `revision` go on."""
        effective = [one for one in writes if isinstance(one, Put) or self.get(one.key) is not None]
        if not effective:
            return self.revision
        self.revision += 1
        revision = self.revision
        self._history.append((revision, tuple(self._apply(one) for one in effective)))
        if lease is not None:
            for write in effective:
                lease.keys.add(write.key)
                self._lease_of[write.key] = lease
        for listener in list(self.listeners):
            listener()
        return revision

    def _apply(self, write: Put | Delete) -> Change:
        lease = self._lease_of.pop(write.key, None)
        if lease is not None:
            lease.keys.discard(write.key)
        present = self.get(write.key)
        if write.key not in self._versions:
            bisect.insort(self._order, _raw(write.key))
        versions = self._versions.setdefault(write.key, [])
        if isinstance(write, Delete):
            versions.append(_Gone(self.revision))
            return write
        created = present.create_revision if present else self.revision
        entry = Entry(write.key, write.value, self.revision, created)
        versions.append(entry)
        self._bytes += _size(entry)
        return entry

    # ----------------------------------------------------------------------------------------------- leases

    def grant(self, ttl_s: float) -> FakeLease:
        """A new lease, kept alive."""
        ttl = max(math.ceil(ttl_s), MIN_TTL_S)
        lease = FakeLease(self._next_lease, ttl, self.clock.now() + ttl)
        self._next_lease += 1
        self._leases[lease.id] = lease
        return lease

    def take(self, lease: FakeLease, keys: Sequence[str], owner: str) -> list[Entry]:
        """Put `owner` under those keys that are free or hold `owner`, in one revision. See `ports.Session`."""
        if not self.alive(lease):
            raise PortError(ErrorClass.NOT_FOUND, "LeaseNotFound", "requested lease not found")
        value = owner.encode()
        wanted = [key for key in keys if (self.get(key) or Entry(key, value, 0)).value == value]
        self._write([Put(key, value) for key in wanted], lease)
        return [entry for entry in map(self.get, wanted) if entry is not None]

    def keep(self, lease: FakeLease, *, kept: bool) -> None:
        """Begin or cease to keep the lease alive; `ttl_s` runs from the moment of the change."""
        lease.deadline = self.clock.now() + lease.ttl_s
        lease.kept = kept

    def alive(self, lease: FakeLease) -> bool:
        """Whether the store still knows the lease."""
        self.expire()
        return lease.id in self._leases

    def revoke(self, lease: FakeLease) -> None:
        """End the lease and delete its keys, in one revision."""
        if self._leases.pop(lease.id, None) is not None:
            lease.kept, lease.deadline = False, -math.inf
            self._write([Delete(key) for key in sorted(lease.keys)])

    def expire(self) -> None:
        """Let the leases end whose time is over. Every call does that; a simulator may do it on its own."""
        now = self.clock.now()
        for lease in [one for one in self._leases.values() if not one.kept and one.deadline <= now]:
            self.revoke(lease)

    def next_expiry(self) -> float | None:
        """When `expire` will next have something to do, if nothing else happens."""
        return min((one.deadline for one in self._leases.values() if not one.kept), default=None)


@dataclass(frozen=True, slots=True)
class _Gone:
    """A version of a key that says: deleted."""

    mod_revision: int


def _raw(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _size(version: Entry | _Gone) -> int:
    return len(_raw(version.key)) + len(version.value) if isinstance(version, Entry) else 0


def _check_limits(sets: Sequence[WriteSet]) -> None:
    width = max((max(len(one.writes), len(one.guards)) for one in sets), default=0)
    if len(sets) + width > MAX_OPS:
        raise PortError(ErrorClass.INVALID, "TooManyOperations", "too many operations in txn request")
    puts = [write.key for one in sets for write in one.writes]
    if len(set(puts)) != len(puts):
        raise PortError(ErrorClass.INVALID, "DuplicateKey", "duplicate key given in txn request")
    size = sum(
        len(_raw(write.key)) + len(getattr(write, "value", b"")) for one in sets for write in one.writes
    )
    if size > MAX_REQUEST_BYTES:
        raise PortError(ErrorClass.INVALID, "TooLarge", "request is too large")
