"""The writing side of the EtcdBridge: queue, group commit, fencing, blame, doubt.

Guarantees: one transaction under way; sets of one key keep their order; every set carries the fence of its own
virtual shard, so losing one shard refuses only its sets; a set whose guard fails, or that etcd refuses for what
it is, is refused alone; writes that change nothing are left out; an answer that was lost is settled by reading
back, after the fences were renewed, so that the lost transaction cannot come late; the queue is bounded by
number and by bytes, and a full one refuses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from actors.bridge_health import OWN
from actors.core.batching import next_batch, size_of
from actors.core.errors import ErrorClass, Failure, PortError
from actors.core.ownership import shard_key
from actors.core.unchanged import Unchanged
from actors.messages import Address, Commit, Committed, Refused, Tick
from actors.ports import CommitResult, Delete, Entry, Guard, Session, Store, WriteSet

if TYPE_CHECKING:
    from actors.etcd_bridge import EtcdBridge

QUEUE_MAX = 50_000
QUEUE_BYTES_MAX = 256 * 1024 * 1024
#: How far into the queue one batch may look.
WINDOW = 1024
RETRY_S = 0.5
_LOST = Failure(ErrorClass.TRANSIENT, "OwnershipLost", "this controller does not own the resource any more")
#: etcd refused the request for what it is: repeating the same is no use, but one set of it may be to blame.
_BLAMED = (ErrorClass.INVALID, ErrorClass.TERMINAL)


@dataclass(slots=True)
class Pending:
    """A write set on its way. `alone`: it was in a batch that etcd refused as a whole."""

    rid: str
    requester: Address
    vshard: int
    term: int
    write_set: WriteSet
    fenced: WriteSet
    size: int
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What a transaction did. `lost`: fences of it that do not hold any more."""

    result: CommitResult
    lost: frozenset[str]


@dataclass(slots=True)
class Counters:
    """What was done since the start, for people and metrics."""

    transactions: int = 0
    sets: int = 0
    skipped: int = 0
    doubts: int = 0
    refused: int = 0
    full: int = 0


@dataclass(slots=True)
class _Queue:
    """Waiting sets in order, and their bytes."""

    items: deque[Pending] = field(default_factory=deque)
    size: int = 0

    def push(self, pending: Pending) -> None:
        self.items.append(pending)
        self.size += pending.size

    def put_back(self, batch: Sequence[Pending]) -> None:
        self.items.extendleft(reversed(batch))
        self.size += sum(p.size for p in batch)

    def pull(self, indexes: Sequence[int]) -> list[Pending]:
        """Take out those at these ascending indexes; the others keep their places."""
        head = [self.items.popleft() for _ in range(indexes[-1] + 1)]
        chosen = set(indexes)
        self.items.extendleft(reversed([p for i, p in enumerate(head) if i not in chosen]))
        batch = [head[i] for i in indexes]
        self.size -= sum(p.size for p in batch)
        return batch

    def full(self, size: int) -> bool:
        return len(self.items) >= QUEUE_MAX or (bool(self.items) and self.size + size > QUEUE_BYTES_MAX)


class Commits:
    """All writes of one bridge. Works on the bridge's thread."""

    def __init__(self, bridge: EtcdBridge) -> None:
        self._bridge = bridge
        self._queue = _Queue()
        self._under_way = False
        self._batch: list[Pending] = []
        self._doubtful: list[Pending] = []
        self._unchanged = Unchanged()
        self.counters = Counters()

    def add(self, message: Commit, sender: Address) -> None:
        """Take over one set; it is answered with Committed or Refused."""
        fence = self._bridge.holdings.fence(message.vshard, message.term)
        if fence is None:
            self._bridge.tell(sender, Refused(message.rid, _LOST))
            return
        size = size_of(message.write_set)
        if self._queue.full(size):
            self.counters.full += 1
            failure = Failure(ErrorClass.TRANSIENT, "Busy", "too many writes are waiting")
            self._bridge.tell(sender, Refused(message.rid, failure))
            return
        write_set = message.write_set
        self._queue.push(
            Pending(
                message.rid, sender, message.vshard, message.term, write_set, _fenced(write_set, fence), size
            )
        )
        self.pump()

    def busy(self, vshards: Collection[int]) -> bool:
        """Whether a write of one of these virtual shards is waiting, under way or in doubt."""
        return any(p.vshard in vshards for p in chain(self._batch, self._doubtful, self._queue.items))

    def refuse(self, vshards: Collection[int], failure: Failure) -> None:
        """These virtual shards are not ours any more: whatever is queued for them was decided before."""
        kept: list[Pending] = []
        gone: list[Pending] = []
        for pending in self._queue.items:
            (gone if pending.vshard in vshards else kept).append(pending)
        self._queue = _Queue(deque(kept), sum(p.size for p in kept))
        self._unchanged.clear()
        self._refuse(gone, failure)

    def refence(self, entries: Mapping[str, Entry]) -> None:
        """These keys were taken again: their fences are new."""
        for pending in self._queue.items:
            entry = entries.get(shard_key(pending.vshard))
            if entry is not None and entry.create_revision == pending.term:
                fence = Guard(entry.key, entry.mod_revision)
                pending.fenced = _fenced(pending.write_set, fence)

    def seen(self, change: Entry | Delete, revision: int) -> None:
        """The watch showed a change, at this revision or before: what we wrote last may be overwritten."""
        self._unchanged.seen(change.key, change.mod_revision if isinstance(change, Entry) else revision)

    def unseen(self, revision: int) -> None:
        """Changes up to this revision were not shown: the watch begins there."""
        self._unchanged.clear(revision)

    def pump(self) -> None:
        """Begin the next transaction: everything that fits into one."""
        holdings = self._bridge.holdings
        if self._under_way or not self._queue.items:
            return
        if not holdings.valid:
            holdings.check()
            return
        self._batch = batch = self._queue.pull(self._choose())
        self._under_way = True
        store, sets = self._bridge.store, [self._slim(p.fenced) for p in batch]
        self._bridge.submit(
            lambda: commit(store, sets), lambda outcome: self._done(batch, sets, outcome), "commit"
        )

    def _choose(self) -> Sequence[int]:
        if self._queue.items[0].alone:
            return (0,)
        window = []
        for pending in islice(self._queue.items, WINDOW):
            if pending.alone:
                break
            window.append(pending.fenced)
        return next_batch(window)

    def _slim(self, write_set: WriteSet) -> WriteSet:
        """Without the writes that would change nothing; the guards are checked all the same."""
        kept = tuple(w for w in write_set.writes if isinstance(w, Delete) or not self._unchanged.same(w))
        if len(kept) == len(write_set.writes):
            return write_set
        self.counters.skipped += len(write_set.writes) - len(kept)
        return WriteSet(kept, write_set.guards)

    def _done(self, batch: list[Pending], sets: list[WriteSet], outcome: Done | BaseException) -> None:
        self._under_way, self._batch = False, []
        if isinstance(outcome, Done):
            self._written(batch, sets, outcome)
        elif isinstance(outcome, PortError) and outcome.failure.error_class is ErrorClass.IN_DOUBT:
            self.counters.doubts += 1
            self.settle(batch)
            return
        else:
            failure = failure_of(outcome)
            if failure.error_class in _BLAMED and len(batch) > 1:
                for pending in batch:
                    pending.alone = True
                self._queue.put_back(batch)
            else:
                self._bridge.trouble(outcome, batch[0].write_set if len(batch) == 1 else None)
                self._refuse(batch, failure)
        self.pump()

    def _written(self, batch: list[Pending], sets: list[WriteSet], done: Done) -> None:
        revision = done.result.revision
        self.counters.transactions += 1
        self.counters.sets += len(batch)
        lost = set()
        for pending, slim, accepted in zip(batch, sets, done.result.accepted, strict=True):
            if accepted:
                self._unchanged.wrote(slim.writes, revision)
                self._bridge.health.wrote(slim)
                self._bridge.tell(pending.requester, Committed(pending.rid, revision))
            elif shard_key(pending.vshard) in done.lost:
                lost.add(pending.vshard)
                self._refuse([pending], _LOST)
            else:
                self._refuse([pending], None)
        self._bridge.holdings.lose(lost)

    def _refuse(self, batch: Sequence[Pending], failure: Failure | None) -> None:
        self.counters.refused += len(batch)
        for pending in batch:
            self._bridge.tell(pending.requester, Refused(pending.rid, failure))

    # --------------------------------------------------------------------------------------------- doubt

    def settle(self, batch: list[Pending] | None = None) -> None:
        """The answer was lost: what is written now tells whether it happened (contract 10.8).

        First the shards concerned are taken again, which ends the fences that the lost transaction carries: from
        then on it has happened or never will. Nothing else is written before that is known. Without `batch`: the
        one that is still in doubt.
        """
        self._under_way = True
        self._doubtful = doubtful = self._doubtful if batch is None else batch
        holdings, store = self._bridge.holdings, self._bridge.store
        session, owner = holdings.session, self._bridge.boot.owner
        if session is None or not session.valid():
            self._abandon()
            return
        self._unchanged.clear()
        names = tuple({write.key for pending in doubtful for write in pending.write_set.writes})
        numbers = sorted({p.vshard for p in doubtful if holdings.fence(p.vshard, p.term) is not None})

        def work() -> tuple[Mapping[str, Entry], Mapping[str, Entry]]:
            return look_back(store, session, owner, numbers, names)

        self._bridge.submit(work, self._settled, "commit")

    def _abandon(self) -> None:
        """The lease is gone: the requesters' successors will read what there is."""
        self._under_way = False
        doubtful, self._doubtful = self._doubtful, []
        self._refuse(doubtful, _LOST)
        self._bridge.holdings.check()

    def _settled(self, outcome: tuple[Mapping[str, Entry], Mapping[str, Entry]] | BaseException) -> None:
        if isinstance(outcome, BaseException):
            self._bridge.log.warning("a write is in doubt and etcd does not answer: %s", outcome)
            self._bridge.trouble(outcome)
            self._bridge.after(RETRY_S, Tick("settle"))
            return
        self._under_way = False
        doubtful, self._doubtful = self._doubtful, []
        taken, present = outcome
        self._bridge.health.permitted({OWN})
        holdings, again = self._bridge.holdings, []
        holdings.took(taken)
        for pending in doubtful:
            revision = happened(pending.write_set, present)
            fence = holdings.fence(pending.vshard, pending.term)
            if revision:
                self._bridge.tell(pending.requester, Committed(pending.rid, revision))
            elif fence is None or shard_key(pending.vshard) not in taken:
                self._refuse([pending], _LOST)
            else:
                pending.fenced = _fenced(pending.write_set, fence)
                again.append(pending)
        self._queue.put_back(again)
        self.pump()


def commit(store: Store, sets: Sequence[WriteSet]) -> Done:
    """One transaction, and whose fence is to blame where a set was refused. On a worker thread."""
    result = store.commit(sets)
    fences = {one.guards[-1] for one, ok in zip(sets, result.accepted, strict=True) if not ok}
    if not fences:
        return Done(result, frozenset())
    try:
        _, present = store.read([fence.key for fence in fences])
    except PortError:  # the requester looks again, and so does the watch
        return Done(result, frozenset())
    lost = (f.key for f in fences if f.key not in present or present[f.key].mod_revision != f.mod_revision)
    return Done(result, frozenset(lost))


def look_back(
    store: Store, session: Session, owner: str, numbers: Sequence[int], names: Sequence[str]
) -> tuple[Mapping[str, Entry], Mapping[str, Entry]]:
    """Renew the fences, then read what stands. On a worker thread; repeating it is safe."""
    taken = session.take([shard_key(number) for number in numbers], owner) if numbers else {}
    return taken, store.read(names)[1]


def happened(write_set: WriteSet, entries: Mapping[str, Entry]) -> int:
    """The revision at which the set was written, if every key is as it wanted; else 0.

    All puts of a set bear the same revision, since they happened together. A set of deletions only is never
    believed to have happened: its guards decide when it is repeated.
    """
    revisions = set()
    for write in write_set.writes:
        entry = entries.get(write.key)
        if isinstance(write, Delete):
            if entry is not None:
                return 0
        elif entry is None or entry.value != write.value:
            return 0
        else:
            revisions.add(entry.mod_revision)
    return max(revisions) if len(revisions) == 1 else 0


def failure_of(outcome: object) -> Failure:
    """A failure out of whatever a thread gave back."""
    if isinstance(outcome, PortError):
        return outcome.failure
    return Failure(ErrorClass.TRANSIENT, type(outcome).__name__, "unexpected error of the store, see log")


def _fenced(write_set: WriteSet, fence: Guard) -> WriteSet:
    """The fence is the last guard."""
    return WriteSet(write_set.writes, (*write_set.guards, fence))
