"""Handing virtual shards over to another controller without leaving anything half done: the three sides of a drain.

Guarantees: before a shard is given away, no new job is begun in it, what its resources are recording is written,
and calls to Heat about its stacks have returned; all this takes at most `DRAIN_S`, then it is given as things are.
Does not guarantee that nothing is under way when it is given: then the fences decide, as after a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Protocol

from actors.core.model import Ref
from actors.core.ownership import vshard
from actors.messages import Address, Owned, Report, Rested, Tick

if TYPE_CHECKING:
    from actors.etcd_bridge import EtcdBridge
    from actors.heat_drive import Drive
    from actors.runtime.host import Timer

#: A drain takes no longer than this; the whole hand-over stays below a second.
DRAIN_S = 0.7
#: While something is under way, it is looked at again after this.
LOOK_S = 0.02
#: A call to Heat that outlasts its drain is looked at this seldom.
HANGS_S = 1.0


class Drain:
    """The EtcdBridge's side: what is leaving, and who has said that nothing of it is under way."""

    def __init__(self, bridge: EtcdBridge) -> None:
        self._bridge = bridge
        #: Virtual shards that are still ours and to be given away.
        self.leaving: frozenset[int] = frozenset()
        #: Numbers the sets of those: an answer to an older one means nothing.
        self.round = 0
        self._since: dict[int, float] = {}
        self._rested: set[Address] = set()
        self._timer: Timer | None = None

    def due(self, wanted: Collection[int]) -> tuple[int, ...]:
        """Which of these may be given away now. Begins to drain what is new among them; whatever is not among them
        any more stays."""
        now = self._bridge.now()
        if self.leaving != frozenset(wanted):
            self.leaving = frozenset(wanted)
            self._since = {number: self._since.get(number, now) for number in wanted}
            self.round += 1
            self._rested.clear()
        if not self.leaving:
            return ()
        if self._rested.issuperset(self._bridge.workers) and not self._bridge.commits.busy(self.leaving):
            return tuple(sorted(self.leaving))
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._bridge.after(LOOK_S, Tick("balance"))
        return tuple(sorted(n for n, since in self._since.items() if now - since >= DRAIN_S))

    def rested(self, message: Rested, sender: Address) -> bool:
        """Whether with this answer all have said it."""
        if message.round != self.round:
            return False
        self._rested.add(sender)
        return self._rested.issuperset(self._bridge.workers)


class Recordings:
    """The Shard's side: which resources of leaving shards are being recorded."""

    def __init__(self) -> None:
        self._told = Owned({})
        self._busy: set[Ref] = set()

    def begin(self, told: Owned, reports: Iterable[Report]) -> Rested | None:
        """What the bridge told last, and the last reports of the living actors; the answer, if it can be given."""
        if told.round != self._told.round:
            self._told = told
            self._busy = {report.ref for report in reports if self._records(report)}
        return self._answer()

    def reported(self, report: Report) -> Rested | None:
        """An actor has gone on; the answer, if that was what it waited for."""
        if report.ref in self._busy:
            if not self._records(report):
                self._busy.discard(report.ref)
                return self._answer()
        elif self._told.leaving and self._records(report):
            self._busy.add(report.ref)
        return None

    def gone(self, ref: Ref) -> Rested | None:
        """Its actor is not there any more; the answer, if that was what it waited for."""
        if ref not in self._busy:
            return None
        self._busy.discard(ref)
        return self._answer()

    def _records(self, report: Report) -> bool:
        return report.stage.startswith("recording") and vshard(str(report.ref)) in self._told.leaving

    def _answer(self) -> Rested | None:
        return Rested(self._told.round) if self._told.leaving and not self._busy else None


class Caller(Protocol):
    """What is needed of a HeatActor."""

    def now(self) -> float:
        """The runtime's clock."""

    def tell(self, target: Address, message: object) -> None:
        """Send."""

    def after(self, delay_s: float, payload: object) -> object:
        """Deliver `payload` to the actor later."""


class Calling:
    """The HeatActor's side: nothing is asked of Heat for resources that are leaving or not ours; who owns them next
    finds their stacks by looking. `drives` and `writers` are the actor's own; `forget` ends a drive."""

    def __init__(
        self,
        actor: Caller,
        drives: Mapping[str, Drive],
        writers: MutableMapping[tuple[str, str], Drive],
        forget: Callable[[Drive], None],
    ) -> None:
        self._actor, self._drives, self._writers, self._forget = actor, drives, writers, forget
        self._told = Owned({})
        self._bridge: Address = None
        self._busy: list[Drive] = []
        self._until = 0.0
        self._looking = False

    def receive(self, message: object, sender: Address) -> None:
        """The bridge told what is ours, or it is time to look whether calls have returned."""
        match message:
            case Owned():
                self._told, self._bridge, self._until = message, sender, self._actor.now() + DRAIN_S
                self._end([drive for drive in self._drives.values() if not self._stays(drive)])
            case Tick():
                self._looking = False
        self._look()

    def _stays(self, drive: Drive) -> bool:
        number, told = vshard(str(drive.request.ref)), self._told
        if drive.request.term > told.newest:
            return True  # a shard has heard of an ownership that is later than what we were told
        return number in told.terms and number not in told.leaving

    def _end(self, drives: Iterable[Drive]) -> None:
        for drive in drives:
            self._forget(drive)
            # until the call under way has returned, nobody else writes to its stack
            calling = drive if drive.busy else drive.predecessor
            if calling is not None and calling.busy:
                self._writers[drive.tenant, drive.name] = calling
                self._busy.append(calling)

    def _look(self) -> None:
        for drive in self._busy:
            if not drive.busy and self._writers.get((drive.tenant, drive.name)) is drive:
                del self._writers[drive.tenant, drive.name]
        self._busy = [drive for drive in self._busy if drive.busy]
        if self._busy and not self._looking:
            self._looking = True
            self._actor.after(LOOK_S if self._actor.now() < self._until else HANGS_S, Tick("rest"))
        elif not self._busy and self._told.leaving:
            self._actor.tell(self._bridge, Rested(self._told.round))
