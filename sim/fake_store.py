"""The `Store` port over `FakeEtcd`: one client, with a connection that can break and a process that can die.

Guarantees: the same behaviour as `EtcdStore` in everything that the contract suite asks; deterministic; each
event of a watch is handed to the injected scheduler, in order, and never from within another event.
Does not guarantee anything about threads: one thread uses it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from actors.core.errors import ErrorClass, PortError
from actors.ports import (
    Changes,
    CommitResult,
    Compacted,
    Down,
    Entry,
    Page,
    StoreStatus,
    Up,
    WatchEvent,
    WriteSet,
)
from sim.fake_etcd import FakeEtcd, FakeLease

#: Runs a call now or later; calls are run in the order in which they were given.
Scheduler = Callable[[Callable[[], None]], None]
#: Told of each point of each request: "page", "read", "commit", "session", "take", "compact", "status", "version"
#: before it takes effect, "commit.done" and "take.done" after.
#: May raise PortError: a lost answer is IN_DOUBT at a ".done".
FaultHook = Callable[[str], None]


def _at_once(call: Callable[[], None]) -> None:
    call()


def _no_fault(_point: str) -> None:
    return


class FakeWatch:
    """A running watch of a `FakeStore`."""

    def __init__(
        self,
        etcd: FakeEtcd,
        prefix: str,
        revision: int,
        sink: Callable[[WatchEvent], None],
        scheduler: Scheduler,
    ) -> None:
        self._etcd = etcd
        self._prefix = prefix
        self._last = max(revision, 1)
        self._sink = sink
        self._scheduler = scheduler
        self._pending: deque[WatchEvent] = deque()
        self._delivering = False
        self._connected = False
        self.running = True

    def cancel(self) -> None:
        """No event is delivered after this."""
        self.running = False
        self._pending.clear()

    def connect(self) -> None:
        """(Re)established: Up and what was missed, or Compacted."""
        if not self.running:
            return
        if self._last < self._etcd.compacted or self._last > self._etcd.revision:
            self._post(Compacted(f"revision {self._last} is not in the history"))
            return
        self._connected = True
        self._post(Up(self._last))
        self.catch_up()

    def disconnect(self, reason: str) -> None:
        """The connection broke."""
        self._connected = False
        self._post(Down(reason))

    def catch_up(self) -> None:
        """Post the changes since the last ones, if connected."""
        if not (self.running and self._connected):
            return
        changes = self._etcd.changes(self._prefix, self._last)
        self._last = self._etcd.revision
        if changes:
            self._post(Changes(self._etcd.revision, tuple(changes)))

    def _post(self, event: WatchEvent) -> None:
        if self.running:
            self._pending.append(event)
            self._scheduler(self._deliver)

    def _deliver(self) -> None:
        """Deliver all that is pending; if that is under way further up the stack, it will do it."""
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._pending and self.running:
                event = self._pending.popleft()
                if isinstance(event, Compacted):
                    self.running = False
                self._sink(event)
        finally:
            self._delivering = False


class FakeSession:
    """A lease of ours in a `FakeEtcd`."""

    def __init__(self, etcd: FakeEtcd, lease: FakeLease, reach: FaultHook) -> None:
        self._etcd = etcd
        self._lease = lease
        self._reach = reach
        self._ended = False

    def valid(self) -> bool:
        """False from the moment on at which the store expires the lease."""
        if self._ended:
            return False
        return self._lease.kept or self._etcd.clock.now() < self._lease.deadline

    def left_s(self) -> float:
        """See the port. While it is kept alive, it has just been prolonged."""
        if not self.valid():
            return 0.0
        lease = self._lease
        return lease.ttl_s if lease.kept else lease.deadline - self._etcd.clock.now()

    def take(self, keys: Sequence[str], owner: str) -> Mapping[str, Entry]:
        """See the port."""
        self._reach("take")
        entries = self._etcd.take(self._lease, keys, owner)
        self._reach("take.done")
        return {entry.key: entry for entry in entries}

    def end(self) -> None:
        """Give everything up at once. Raises PortError if others must await the expiry."""
        self._ended = True
        if self._lease.kept:
            self._etcd.revoke(self._lease)
        elif self._etcd.alive(self._lease):
            raise PortError(ErrorClass.TRANSIENT, "Unreachable", "the lease could not be revoked")


class FakeStore:
    """One client. `scheduler` runs the deliveries (default: at once); `faults` may spoil requests."""

    def __init__(
        self, etcd: FakeEtcd, *, scheduler: Scheduler = _at_once, faults: FaultHook = _no_fault
    ) -> None:
        self._etcd = etcd
        self._scheduler = scheduler
        self._faults = faults
        self._watches: list[FakeWatch] = []
        self._leases: list[FakeLease] = []
        self._broken = ""
        self._closed = False
        etcd.listeners.append(self._changed)

    # --------------------------------------------------------------------------------------------- the port

    def page(self, prefix: str, *, after: str = "", limit: int = 2000, revision: int = 0) -> Page:
        """See the port."""
        self._reach("page")
        return self._etcd.page(prefix, after, limit, revision)

    def read(self, keys: Sequence[str]) -> tuple[int, Mapping[str, Entry]]:
        """See the port."""
        self._reach("read")
        self._etcd.expire()
        entries = (self._etcd.get(key) for key in keys)
        return self._etcd.revision, {entry.key: entry for entry in entries if entry is not None}

    def commit(self, sets: Sequence[WriteSet]) -> CommitResult:
        """See the port."""
        self._reach("commit")
        result = self._etcd.commit(sets)
        self._faults("commit.done")
        return result

    def watch(self, prefix: str, *, revision: int, sink: Callable[[WatchEvent], None]) -> FakeWatch:
        """See the port."""
        watch = FakeWatch(self._etcd, prefix, revision, sink, self._scheduler)
        self._watches.append(watch)
        if self._broken:
            watch.disconnect(self._broken)
        else:
            watch.connect()
        return watch

    def session(self, ttl_s: float) -> FakeSession:
        """See the port."""
        self._reach("session")
        lease = self._etcd.grant(ttl_s)
        self._leases.append(lease)
        return FakeSession(self._etcd, lease, self._reach)

    def compact(self, revision: int) -> None:
        """Forget history before `revision`."""
        self._reach("compact")
        self._etcd.compact(revision)

    def status(self) -> StoreStatus:
        """See the port."""
        self._reach("status")
        return StoreStatus(self._etcd.version, self._etcd.bytes_in_use())

    def version(self) -> str:
        """See the port."""
        self._reach("version")
        return self._etcd.version

    def close(self) -> None:
        """End watches, give leases back. Safe to repeat."""
        for lease in self._leases:
            if lease.kept:
                self._etcd.revoke(lease)
        self._end()

    # --------------------------------------------------------------------------------------- for simulators

    def kill(self) -> None:
        """The process died: watches end silently, leases are no longer kept alive and run out."""
        for lease in self._leases:
            if lease.kept:
                self._etcd.keep(lease, kept=False)
        self._end()

    def disconnect(self, reason: str = "connection refused") -> None:
        """The way to the store broke: requests fail, watches go Down, leases begin to run out."""
        if self._broken or self._closed:
            return
        self._broken = reason
        for lease in self._leases:
            self._etcd.keep(lease, kept=False)
        for watch in self._watches:
            watch.disconnect(reason)

    def reconnect(self) -> None:
        """The way is open again: what lives is kept alive, watches resume or hear Compacted."""
        if not self._broken or self._closed:
            return
        self._broken = ""
        self._leases = [lease for lease in self._leases if self._etcd.alive(lease)]
        for lease in self._leases:
            self._etcd.keep(lease, kept=True)
        for watch in self._watches:
            watch.connect()

    # ------------------------------------------------------------------------------------------------ inside

    def _reach(self, point: str) -> None:
        if self._closed:
            raise PortError(ErrorClass.TRANSIENT, "Closed", "the store is closed")
        if self._broken:
            raise PortError(ErrorClass.TRANSIENT, "Unreachable", self._broken)
        self._faults(point)

    def _changed(self) -> None:
        self._watches = [watch for watch in self._watches if watch.running]
        for watch in self._watches:
            watch.catch_up()

    def _end(self) -> None:
        for watch in self._watches:
            watch.cancel()
        self._watches = []
        self._leases = []
        self._closed = True
        if self._changed in self._etcd.listeners:
            self._etcd.listeners.remove(self._changed)
