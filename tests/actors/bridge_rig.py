"""One EtcdBridge over a fake etcd, with an outside address in the part of its shard and its requesters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from actors.core.errors import ErrorClass, PortError
from actors.core.model import Ref
from actors.core.options import Options
from actors.core.ownership import vshard
from actors.etcd_bridge import EtcdBridge
from actors.messages import (
    Boot,
    Commit,
    Committed,
    More,
    Owned,
    Refused,
    Snapshot,
    StoreHealth,
    Subscribe,
    Topology,
    Wiring,
)
from actors.ports import CommitResult, Delete, Entry, Guard, Put, WriteSet
from actors.runtime.inline import InlineHost
from sim.fake_etcd import FakeEtcd
from sim.fake_store import FakeSession, FakeStore
from tests.actors.rig import TYPES

Spoil = Callable[[Sequence[WriteSet]], None]


class Clock:
    """The host's time."""

    def __init__(self, host: InlineHost) -> None:
        self._host = host

    def now(self) -> float:
        """See ports.Clock."""
        return self._host.now


class LyingSession(FakeSession):
    """A session that believes in itself for ever, as in a process that stood still."""

    def valid(self) -> bool:
        """Yes."""
        return True


class SpoiledStore(FakeStore):
    """`before` and `after` see each transaction and may raise; `sent`: all of them. `lying`: its sessions do."""

    def __init__(self, etcd: FakeEtcd, *, lying: bool) -> None:
        super().__init__(etcd)
        self.before: Spoil = _nothing
        self.after: Spoil = _nothing
        self.lying = lying
        self.sent: list[tuple[WriteSet, ...]] = []

    def commit(self, sets: Sequence[WriteSet]) -> CommitResult:
        """See the port."""
        self.sent.append(tuple(sets))
        self.before(sets)
        result = super().commit(sets)
        self.after(sets)
        return result

    def session(self, ttl_s: float) -> FakeSession:
        """See the port."""
        session = super().session(ttl_s)
        if self.lying:
            session.__class__ = LyingSession
        return session


def _nothing(_sets: Sequence[WriteSet]) -> None:
    return


def once(error_class: ErrorClass, kind: str) -> Spoil:
    """Raises the first time."""
    left = [True]

    def spoil(_sets: Sequence[WriteSet]) -> None:
        if left:
            left.clear()
            raise PortError(error_class, kind, f"{kind} by the test")

    return spoil


class BridgeRig:
    """A bridge that has joined: no shard has to have its mirror for that, unless `shards` is given. `etcd` is open to
    tests."""

    def __init__(
        self,
        etcd: FakeEtcd | None = None,
        host: InlineHost | None = None,
        owner: str = "me",
        *,
        lying: bool = False,
        **options: Any,
    ) -> None:
        self.host = host or InlineHost(pickling=True)
        self.etcd = etcd or FakeEtcd(Clock(self.host))
        self.store = SpoiledStore(self.etcd, lying=lying)
        self.outside = self.host.external(f"outside {owner}")
        self.owner = owner
        self.address = self.host.spawn(EtcdBridge)
        # the store stays in this process: the boot message does not travel
        self.host.pickling = False
        given = replace(Options(types=tuple(TYPES), shards=0), **options)
        wiring = Wiring(lambda: self.store, _unused, _unused)
        self.host.tell(self.address, Boot(given, wiring, owner))
        topology = Topology(1, self.address, (), (), (self.outside,))
        self.host.tell(self.address, topology)
        self.messages: list[Any] = []
        self.run()

    def run(self, seconds: float = 0.0) -> None:
        """Let time pass."""
        self.host.advance(seconds)
        self.messages += self.host.take(self.outside)

    def tell(self, message: object) -> None:
        """As the shard, and see what comes of it."""
        self.host.tell(self.address, message, sender=self.outside)
        self.run()

    def of(self, cls: type) -> list[Any]:
        """What was received of this class, in order."""
        return [message for message in self.messages if isinstance(message, cls)]

    @property
    def terms(self) -> Mapping[int, int]:
        """What is owned, as told last."""
        owned = self.of(Owned)
        return owned[-1].terms if owned else {}

    @property
    def health(self) -> StoreHealth:
        """What was told of the store last."""
        found: StoreHealth = self.of(StoreHealth)[-1]
        return found

    def commit(self, rid: str, *writes: Put | Delete, ref: Ref, guards: tuple[Guard, ...] = ()) -> None:
        """Ask for a write as the actor of `ref` would, without waiting."""
        number = vshard(str(ref))
        message = Commit(rid, WriteSet(writes, guards), number, self.terms.get(number, 0))
        self.host.tell(self.address, message, sender=self.outside)

    def answers(self) -> dict[str, Any]:
        """rid → the last answer."""
        return {m.rid: m for m in self.messages if isinstance(m, (Committed, Refused))}

    def get(self, key: str) -> bytes | None:
        """A present value."""
        entry: Entry | None = self.etcd.get(key)
        return entry.value if entry is not None else None

    def subscribe(self, epoch: int = 1) -> None:
        """As shard 0."""
        self.tell(Subscribe(0, epoch))

    def more(self, epoch: int = 1) -> None:
        """A page is taken."""
        self.tell(More(0, epoch))

    def pages(self) -> list[Snapshot]:
        """All pages so far."""
        return self.of(Snapshot)


def _unused() -> Any:
    raise AssertionError("a bridge uses the store only")


def ref_in(number: int, *, but: int = -1) -> Ref:
    """A resource in that virtual shard."""
    names = (Ref("network", f"n{i}") for i in range(100_000))
    return next(ref for ref in names if vshard(str(ref)) == number and number != but)
