"""The writing side of the EtcdBridge: queue, group commit, fencing, doubt.

Guarantees: one transaction under way; sets of one key keep their order; a set whose guard fails is refused alone;
an answer that was lost is settled by reading back; the queue is bounded and a full one refuses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.core.batching import next_batch
from actors.core.errors import ErrorClass, Failure, PortError
from actors.messages import Address, Committed, Refused, Tick
from actors.ports import CommitResult, Delete, Entry, Guard, WriteSet

if TYPE_CHECKING:
    from actors.etcd_bridge import EtcdBridge

QUEUE_MAX = 50_000
#: How far into the queue one batch may look.
WINDOW = 1024
RETRY_S = 0.5


@dataclass(slots=True)
class Pending:
    """A write set on its way."""

    rid: str
    requester: Address
    write_set: WriteSet


class Commits:
    """All writes of one bridge. Works on the bridge's thread."""

    def __init__(self, bridge: EtcdBridge) -> None:
        self._bridge = bridge
        self._queue: deque[Pending] = deque()
        self._under_way = False
        self._doubtful: list[Pending] = []

    def add(self, pending: Pending) -> None:
        """Take over one set; it is answered with Committed or Refused."""
        if self._bridge.ownership is None or len(self._queue) >= QUEUE_MAX:
            reason = self._bridge.health.reason or "too many writes are waiting"
            self._refuse([pending], Failure(ErrorClass.TRANSIENT, "StoreDown", reason))
            return
        self._queue.append(pending)
        self.pump()

    def refuse_all(self, failure: Failure) -> None:
        """Ownership ended: whatever is queued was decided under it."""
        queued, self._queue = list(self._queue), deque()
        self._refuse(queued, failure)

    def pump(self) -> None:
        """Begin the next transaction: everything that fits into one."""
        ownership = self._bridge.ownership
        if self._under_way or not self._queue or ownership is None:
            return
        window = [self._queue.popleft() for _ in range(min(WINDOW, len(self._queue)))]
        chosen = set(next_batch([p.write_set for p in window]))
        batch = [p for i, p in enumerate(window) if i in chosen]
        self._queue.extendleft(reversed([p for i, p in enumerate(window) if i not in chosen]))
        self._under_way = True
        store, fence, sets = self._bridge.store, ownership.fence, [p.write_set for p in batch]
        self._bridge.submit(
            lambda: store.commit(sets, fence), lambda outcome: self._done(batch, fence, outcome), "commit"
        )

    def _done(self, batch: list[Pending], fence: Guard, outcome: object) -> None:
        self._under_way = False
        if isinstance(outcome, CommitResult):
            if outcome.fenced:
                reason = "another controller took over"
                self._refuse(batch, Failure(ErrorClass.CONFLICT, "OwnershipLost", reason))
                self._bridge.lost(reason, fence)
                return
            for pending, accepted in zip(batch, outcome.accepted, strict=True):
                answer = Committed(pending.rid, outcome.revision) if accepted else Refused(pending.rid)
                self._bridge.tell(pending.requester, answer)
        elif isinstance(outcome, PortError) and outcome.failure.error_class is ErrorClass.IN_DOUBT:
            self.settle(batch)
            return
        else:
            self._refuse(batch, failure_of(outcome))
        self.pump()

    def _refuse(self, batch: list[Pending], failure: Failure) -> None:
        for pending in batch:
            self._bridge.tell(pending.requester, Refused(pending.rid, failure))

    def settle(self, batch: list[Pending] | None = None) -> None:
        """The answer was lost: what is written now tells whether it happened (contract 10.8).

        Nothing else is written before that is known. Without `batch`: the one that is still in doubt.
        """
        self._under_way = True
        self._doubtful = doubtful = self._doubtful if batch is None else batch
        names = tuple({write.key for pending in doubtful for write in pending.write_set.writes})
        store = self._bridge.store
        self._bridge.submit(lambda: store.read(names), self._settled, "commit")

    def _settled(self, outcome: tuple[int, Mapping[str, Entry]] | BaseException) -> None:
        if isinstance(outcome, BaseException):
            self._bridge.log.warning("a write is in doubt and etcd does not answer: %s", outcome)
            self._bridge.after(RETRY_S, Tick("settle"))
            return
        self._under_way = False
        doubtful, self._doubtful = self._doubtful, []
        for pending in reversed(doubtful):
            revision = happened(pending.write_set, outcome[1])
            if revision:
                self._bridge.tell(pending.requester, Committed(pending.rid, revision))
            else:
                self._queue.appendleft(pending)
        self.pump()


def happened(write_set: WriteSet, entries: Mapping[str, Entry]) -> int:
    """The revision at which the set was written, if every key is as it wanted; else 0."""
    revision = 0
    for write in write_set.writes:
        entry = entries.get(write.key)
        if isinstance(write, Delete):
            if entry is not None:
                return 0
        elif entry is None or entry.value != write.value:
            return 0
        else:
            revision = max(revision, entry.mod_revision)
    return revision


def failure_of(outcome: object) -> Failure:
    """A failure out of whatever a thread gave back."""
    if isinstance(outcome, PortError):
        return outcome.failure
    return Failure(ErrorClass.TRANSIENT, type(outcome).__name__, "unexpected error of the store, see log")
