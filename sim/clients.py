"""The fakes as one simulated process sees them: etcd, Heat and devices, with the faults of the run.

Guarantees: every fault raises what the real adapter raises in that case (`core.errors`); a write that is
answered with a lost reply did happen or did not, as the fault says; a client lives, stands still and dies with
its process. `holds` of a store is what it took last in etcd: who wrote what is known without trusting what the
product passes along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.core.errors import ErrorClass, PortError
from actors.ports import CommitResult, DeviceAddress, Entry, WriteSet
from sim.fake_agent import FakeAgent
from sim.fake_etcd import FakeEtcd, FakeLease
from sim.fake_store import FakeSession, FakeStore
from sim.process import Process, Sleep

if TYPE_CHECKING:
    from sim.host import SimHost

#: How long the adapters wait for an answer before they give up, in seconds.
ETCD_TIMEOUT_S, HEAT_TIMEOUT_S, SNMP_TIMEOUT_S = 3.0, 10.0, 3.0
#: How long a client goes on believing in a lease that the server has ended.
KEEPALIVE_S = 2.0

_TRANSIENT, _IN_DOUBT = ErrorClass.TRANSIENT, ErrorClass.IN_DOUBT


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: a process of ours, what it holds (key of a virtual shard → the entry as it took it), and what
    it asks etcd to write."""

    process: Process
    held: Mapping[str, Entry]
    sets: Sequence[WriteSet]


class SimSession(FakeSession):
    """A lease whose holder learns of an early end only when it next keeps it alive."""

    def __init__(self, store: SimStore, lease: FakeLease) -> None:
        super().__init__(store.etcd, lease, store.reach)
        self._store = store
        self._now = store.etcd.clock.now
        self._believed_until: float | None = None

    def valid(self) -> bool:
        """As the real one: what its last keep-alive said."""
        if super().valid():
            return True
        if self._lease.deadline != float("-inf") or self._ended:
            return False
        if self._believed_until is None:
            self._believed_until = self._now() + KEEPALIVE_S
        return self._now() < self._believed_until

    def take(self, keys: Sequence[str], owner: str) -> Mapping[str, Entry]:
        """See the port."""
        self._reach("take")
        taken = {entry.key: entry for entry in self._etcd.take(self._lease, keys, owner)}
        self._store.held.update(taken)
        self._reach("take.done")
        return taken


class SimStore(FakeStore):
    """etcd's client in one process. `held`: what it ever took."""

    def __init__(
        self,
        host: SimHost,
        etcd: FakeEtcd,
        process: Process,
        note: Callable[[Writer | None], None],
        tried: Callable[[WriteSet], None],
        refused: Callable[[WriteSet, Writer], None],
    ) -> None:
        super().__init__(etcd, scheduler=self._later, faults=self._fault)
        self._tried, self._refused = tried, refused
        self.etcd = etcd
        self.process = process
        self.held: dict[str, Entry] = {}
        self.stalled_until = 0.0
        self.leaderless_until = 0.0
        self.full_until = 0.0
        self._host = host
        self._note = note
        self._last = 0.0
        process.clients.append(self)

    # ------------------------------------------------------------------------------------------ the port

    def commit(self, sets: Sequence[WriteSet]) -> CommitResult:
        """See the port; whoever looks at the new revision is told who wrote it."""
        writer = Writer(self.process, self.held, sets)
        self._note(writer)
        for one in sets:
            self._tried(one)
        try:
            result = super().commit(sets)
        finally:
            self._note(None)
        for one, accepted in zip(sets, result.accepted, strict=True):
            if not accepted:
                self._refused(one, writer)
        return result

    def session(self, ttl_s: float) -> FakeSession:
        """See the port."""
        self._reach("session")
        lease = self._etcd.grant(ttl_s)
        self._leases.append(lease)
        return SimSession(self, lease)

    def reach(self, point: str) -> None:
        """Every request passes here."""
        if point.endswith(".done"):
            self._faults(point)
        else:
            self._reach(point)

    # ------------------------------------------------------------------------------------------- process

    def freeze(self) -> None:
        """The process stands still: leases are not kept alive."""
        for lease in self._leases:
            if lease.kept:
                self._etcd.keep(lease, kept=False)

    def thaw(self) -> None:
        """It goes on: what still lives is kept alive again."""
        if self._broken or self._closed:
            return
        for lease in self._leases:
            if self._etcd.alive(lease):
                self._etcd.keep(lease, kept=True)

    def kill(self) -> None:
        """The process died."""
        leases = [lease for lease in self._leases if lease.kept]
        super().kill()
        for lease in leases:
            if self._host.faults.hit("etcd.lease_late", self.process.name):
                lease.deadline += 20 * self._host.faults.amount(self._host.faults.last)
                self._host.at(lease.deadline + 0.001, self.etcd.expire)

    @property
    def closed(self) -> bool:
        """Whether nobody uses it any more."""
        return self._closed

    def cut(self) -> None:
        """The watch's stream breaks; requests still work."""
        for watch in self._watches:
            watch.disconnect("stream broken")

    def resume(self) -> None:
        """The stream is there again."""
        if not self._broken:
            for watch in list(self._watches):
                watch.connect()

    # -------------------------------------------------------------------------------------------- inside

    def _later(self, call: Callable[[], None]) -> None:
        due = max(self._host.now + 0.0005, self._last, self.stalled_until)
        self._last = due
        self._host.at(due, call, self.process)

    def _fault(self, point: str) -> None:
        host, faults, place = self._host, self._host.faults, self.process.name
        writes = point.startswith(("commit", "session", "take"))
        lost = _IN_DOUBT if writes else _TRANSIENT
        if point.endswith(".done"):
            if faults.hit("etcd.lost_after", place):
                host.penalty_s += ETCD_TIMEOUT_S
                raise PortError(_IN_DOUBT, "Unavailable", "UNAVAILABLE: transport is closing")
            return
        if host.now < self.leaderless_until:
            host.penalty_s += 0.5
            raise PortError(lost, "Unavailable", "UNAVAILABLE: etcdserver: leader changed")
        if host.now < self.full_until and writes:
            raise PortError(ErrorClass.QUOTA, "NoSpace", "etcdserver: mvcc: database space exceeded")
        if "etcd" not in faults.families:
            return
        if faults.hit("etcd.refused", place):
            raise PortError(_TRANSIENT, "Unreachable", "UNAVAILABLE: failed to connect to all addresses")
        if faults.hit("etcd.token", place):
            raise PortError(_TRANSIENT, "TokenExpired", "etcdserver: invalid auth token")
        if faults.hit("etcd.exhausted", place):
            raise PortError(lost, "Lost", "RESOURCE_EXHAUSTED: received message larger than max")
        if faults.hit("etcd.slow", place):
            host.penalty_s += 1 + 7 * faults.amount(faults.last)
        if point == "commit" and faults.hit("etcd.too_large", place):
            raise PortError(ErrorClass.INVALID, "TooLarge", "etcdserver: request is too large")
        if writes and faults.hit("etcd.lost_before", place):
            host.penalty_s += ETCD_TIMEOUT_S
            raise PortError(_IN_DOUBT, "Timeout", "DEADLINE_EXCEEDED: Deadline Exceeded")


class HeatFaults:
    """The fault hook of `FakeStacks`."""

    def __init__(self, host: SimHost, asked: Callable[[str, str], None]) -> None:
        self._host = host
        self._asked = asked
        self.down_until = 0.0

    def __call__(self, point: str, name: str) -> None:
        """Told of each point of each request."""
        host, faults = self._host, self._host.faults
        place = f"{point} {name}"
        action, _, done = point.partition(".")
        writes = action in ("create", "update", "delete")
        lost = _IN_DOUBT if writes else _TRANSIENT
        if done:
            if faults.hit("heat.lost_after", place):
                host.penalty_s += HEAT_TIMEOUT_S
                raise PortError(lost, "Timeout", "read timed out")
            return
        host.record("heat", point, name)
        if faults.hit("heat.slow", place):
            host.penalty_s += 5 + 55 * faults.amount(faults.last)
        if host.now < self.down_until or faults.hit("heat.refused", place):
            raise PortError(_TRANSIENT, "Unreachable", "connection refused")
        if faults.hit("heat.token", place):
            raise PortError(_TRANSIENT, "Unauthorized", "401: the request requires authentication")
        if faults.hit("heat.html", place):
            raise PortError(_TRANSIENT, "HTTP404", "404: <html>not found</html>")
        if faults.hit("heat.error_5xx", place):
            host.penalty_s += 1.0
            raise PortError(lost, "HTTP503", "503: service unavailable")
        if writes and faults.hit("heat.busy", place):
            text = f"Stack {name} already has an action in progress."
            raise PortError(ErrorClass.CONFLICT, "ActionInProgress", text)
        if writes and faults.hit("heat.conflict", place):
            raise PortError(ErrorClass.CONFLICT, "HTTP409", "409: Concurrent transaction")
        if action in ("create", "update") and faults.hit("heat.refuses", place):
            raise PortError(ErrorClass.TERMINAL, "StackValidationFailed", "400: Property error")
        if action == "create" and faults.hit("heat.quota", place):
            text = "You have reached the maximum stacks per tenant, 10."
            raise PortError(ErrorClass.QUOTA, "RequestLimitExceeded", text)
        if writes:
            self._asked(action, name)


class SimAgent(FakeAgent):
    """SNMP in one process: every request takes time, and may be lost. `heard`: told of every answer."""

    def __init__(self, host: SimHost, world: FakeAgent, heard: Callable[[str], None]) -> None:
        super().__init__(world._clock, {}, world._communities)
        self.devices = world.devices
        self._host = host
        self._heard = heard

    async def get(self, device: DeviceAddress, oids: Sequence[str]) -> Mapping[str, int | bytes | str | None]:
        """See `ports.Agent`."""
        await self._travel(device)
        self._heard(device.host)
        known = await super().get(device, oids)
        return dict.fromkeys(known) if self._host.faults.hit("snmp.missing", device.host) else known

    async def walk(self, device: DeviceAddress, root: str) -> Mapping[str, int | bytes | str | None]:
        """See `ports.Agent`."""
        await self._travel(device)
        return await super().walk(device, root)

    async def _travel(self, device: DeviceAddress) -> None:
        faults, where = self._host.faults, device.host
        tables = self.devices.get((device.host, device.port))
        silent = tables is None or tables.quiet
        if silent or faults.hit("snmp.silent", where):
            await Sleep(SNMP_TIMEOUT_S)
            raise PortError(_TRANSIENT, "Timeout", f"{where}: no answer")
        await Sleep(0.002)
        if faults.hit("snmp.slow", where):
            await Sleep(12 * faults.amount(faults.last))
        if faults.hit("snmp.garbage", where):
            raise PortError(ErrorClass.TERMINAL, "Malformed", f"{where}: not BER")
