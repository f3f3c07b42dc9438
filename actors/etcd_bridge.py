"""EtcdBridge: the only etcd client. Reads, watches, and the one place from which state keys are written.

Guarantees: every write is fenced by the ownership of this controller; sets of one key keep their order; a lost
answer is settled by reading back, never by guessing; queues are bounded (a full one refuses, and the requester
backs off); subscribers get a listing as of one revision and then every change after it, or a new listing.
Creates no children (gRPC and fork do not mix). Decides nothing about resources.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from actors.core import keys
from actors.core.batching import next_batch
from actors.core.errors import ErrorClass, Failure, PortError
from actors.messages import (
    Address,
    Applied,
    Apply,
    Boot,
    Commit,
    Committed,
    Mirror,
    Ping,
    Pong,
    Read,
    ReadDone,
    Refused,
    Snapshot,
    StoreHealth,
    Subscribe,
    Tick,
    Topology,
)
from actors.ports import (
    Changes,
    CommitResult,
    Compacted,
    Delete,
    Down,
    Entry,
    Guard,
    Ownership,
    Page,
    Put,
    Store,
    Up,
    Watch,
    WriteSet,
)
from actors.runtime.host import Lane
from actors.runtime.io import IoActor

#: What shards mirror. The results of workflows are read on demand instead.
MIRRORED = (keys.CONFIG, keys.JOBS, keys.STATE, keys.MONITORING, keys.TARGETS)
#: Everything of interest is below this prefix: one watch gives one order.
ROOT = "/"
QUEUE_MAX = 50_000
RETRY_S = 0.5


@dataclass(slots=True)
class Pending:
    """A write set on its way."""

    rid: str
    requester: Address
    write_set: WriteSet


@dataclass(slots=True)
class Subscriber:
    """A shard. Changes wait in `held` until its listing is complete; `revision` is that of the listing."""

    address: Address
    epoch: int
    revision: int = 0
    listed: bool = False
    held: list[Changes] = field(default_factory=list)


class EtcdBridge(IoActor):
    """One per controller."""

    lanes: ClassVar = {"commit": Lane(1, 100), "read": Lane(4, 20_000), "own": Lane(1, 10)}

    def started(self) -> None:
        """Nothing is known before Boot."""
        self._store: Store | None = None
        self._boot: Boot | None = None
        self._ownership: Ownership | None = None
        self._watch: Watch | None = None
        self._watched_from = 0
        self._subscribers: dict[int, Subscriber] = {}
        self._shards: tuple[Address, ...] = ()
        self._queue: deque[Pending] = deque()
        self._committing = False
        self._doubtful: list[Pending] = []
        self._health = StoreHealth(up=False, since=self.now(), reason="starting")
        self._waiting: list[Apply] = []

    def receive(self, message: object, sender: Address) -> None:
        """The closed set of messages that an EtcdBridge takes."""
        match message:
            case Boot():
                self._boot, self._store = message, message.wiring.store()
                self._acquire()
            case Topology():
                self._shards = message.shards
                for shard in self._shards:
                    self.tell(shard, self._health)
            case Subscribe():
                self._subscribers[message.shard] = Subscriber(sender, message.epoch)
                self._list(self._subscribers[message.shard])
            case Read():
                self._read(message, sender)
            case Commit():
                self._enqueue(Pending(message.rid, sender, message.write_set))
            case Apply():
                self._waiting.append(message)
                self._apply()
            case Tick():
                self._ticked(message.what)
            case Ping():
                self.tell(sender, Pong(message.seq, os.getpid()))

    def stopping(self) -> None:
        """Give the ownership back, so that a successor need not wait for the lease to end."""
        if self._store is not None:
            self._store.close()

    @property
    def store(self) -> Store:
        """The port; there is one from Boot on."""
        assert self._store is not None, "Boot comes first"
        return self._store

    # ------------------------------------------------------------------------------------- ownership

    def _acquire(self) -> None:
        boot = self._boot
        assert boot is not None, "Boot comes first"
        owner, ttl_s = boot.owner, boot.options.owner_ttl_s
        self.submit(lambda: self.store.acquire(keys.OWNER, owner, ttl_s), self._acquired, "own")

    def _acquired(self, outcome: object) -> None:
        if outcome is None or isinstance(outcome, BaseException):
            reason = str(outcome) if outcome is not None else "another controller owns this etcd"
            self._set_health(up=False, reason=reason)
            self.after(RETRY_S, Tick("acquire"))
            return
        self._ownership = outcome  # type: ignore[assignment]
        self._set_health(up=True, reason="")
        self.after(self._boot.options.owner_ttl_s / 4 if self._boot else RETRY_S, Tick("ownership"))
        for subscriber in self._subscribers.values():
            self._list(subscriber)
        self._apply()
        self._pump()

    def _ticked(self, what: str) -> None:
        if what == "acquire":
            self._acquire()
        elif what == "ownership":
            if self._ownership is not None and self._ownership.valid():
                self.after(self._boot.options.owner_ttl_s / 4 if self._boot else RETRY_S, Tick(what))
            else:
                self._lost("the lease could not be kept alive")
        elif what == "watch":
            self._start_watch()
        elif what == "apply":
            self._apply()
        elif what == "settle":
            self._settle(self._doubtful)
        elif what.startswith("list "):
            subscriber = self._subscribers.get(int(what[5:]))
            if subscriber is not None and not subscriber.listed:
                self._list(subscriber)
        else:
            self._pump()

    def _lost(self, reason: str) -> None:
        """Ownership ended: whatever is queued was decided under it and is refused."""
        if self._ownership is None:
            return
        self._ownership = None
        self._set_health(up=False, reason=reason)
        failure = Failure(ErrorClass.CONFLICT, "OwnershipLost", reason)
        while self._queue:
            pending = self._queue.popleft()
            self.tell(pending.requester, Refused(pending.rid, failure))
        self._acquire()

    def _set_health(self, *, up: bool, reason: str) -> None:
        if (up, reason) == (self._health.up, self._health.reason):
            return
        since = self.now() if up != self._health.up else self._health.since
        self._health = StoreHealth(up, since, reason)
        self.log.log(20 if up else 30, "etcd %s", "is ours" if up else f"is not usable: {reason}")
        for shard in self._shards:
            self.tell(shard, self._health)

    # ----------------------------------------------------------------------------- listing and watching

    def _list(self, subscriber: Subscriber) -> None:
        """(Re)start: everything as of one revision, then all changes after it."""
        subscriber.listed, subscriber.held, subscriber.revision = False, [], 0
        if self._ownership is None:
            return  # begun by _acquired
        if self._watch is None:
            self._start_watch()
            return  # begun by _watching
        self._page(subscriber, subscriber.epoch, 0, "", first=True)

    def _page(self, subscriber: Subscriber, epoch: int, prefix: int, after: str, *, first: bool) -> None:
        revision = subscriber.revision

        def listed(outcome: Page | BaseException) -> None:
            if subscriber.epoch != epoch or self._subscribers_none(subscriber):
                return
            if isinstance(outcome, BaseException):
                self.log.warning("listing %s: %s", MIRRORED[prefix], outcome)
                index = next(i for i, s in self._subscribers.items() if s is subscriber)
                self.after(RETRY_S, Tick(f"list {index}"))
                return
            subscriber.revision = outcome.revision
            at_end = not outcome.more and prefix == len(MIRRORED) - 1
            page = Snapshot(epoch, first, at_end, outcome.revision, outcome.entries)
            self.tell(subscriber.address, page)
            if at_end:
                self._release(subscriber)
            elif outcome.more:
                self._page(subscriber, epoch, prefix, outcome.entries[-1].key, first=False)
            else:
                self._page(subscriber, epoch, prefix + 1, "", first=False)

        name = MIRRORED[prefix]
        self.submit(lambda: self.store.page(name, after=after, revision=revision), listed, "read")

    def _subscribers_none(self, subscriber: Subscriber) -> bool:
        return all(known is not subscriber for known in self._subscribers.values())

    def _release(self, subscriber: Subscriber) -> None:
        subscriber.listed = True
        held, subscriber.held = subscriber.held, []
        later = tuple(c for c in held if c.revision > subscriber.revision)
        if later:
            self.tell(subscriber.address, Mirror(subscriber.epoch, later))

    def _start_watch(self) -> None:
        """The watch begins before any listing does, so that nothing falls in between."""
        self.submit(lambda: self.store.page(keys.OWNER, limit=1), self._watching, "read")

    def _watching(self, outcome: Page | BaseException) -> None:
        if self._watch is not None:
            return
        if isinstance(outcome, BaseException):
            self.log.warning("starting the watch: %s", outcome)
            self.after(RETRY_S, Tick("watch"))
            return
        self._watch = self.store.watch(ROOT, revision=outcome.revision, sink=self.post)
        for subscriber in self._subscribers.values():
            self._list(subscriber)

    def posted(self, items: list[object]) -> None:
        """What the watch delivered, in order."""
        batch: list[Changes] = []
        for item in items:
            if isinstance(item, Changes):
                ours = tuple(c for c in item.puts_and_deletes if c.key.startswith(MIRRORED))
                if ours:
                    batch.append(Changes(item.revision, ours))
            elif isinstance(item, Compacted):
                self._forward(batch)
                batch = []
                self.log.warning("the watch must begin anew: %s", item.reason)
                self._watch = None
                for subscriber in self._subscribers.values():
                    subscriber.listed = False
                self._start_watch()
            elif isinstance(item, Down):
                self._set_health(up=False, reason=item.reason)
            elif isinstance(item, Up) and self._ownership is not None:
                self._set_health(up=True, reason="")
        self._forward(batch)

    def _forward(self, batch: list[Changes]) -> None:
        if not batch:
            return
        for subscriber in self._subscribers.values():
            if subscriber.listed:
                self.tell(subscriber.address, Mirror(subscriber.epoch, tuple(batch)))
            else:
                subscriber.held.extend(batch)

    # ---------------------------------------------------------------------------- reading and writing

    def _read(self, message: Read, sender: Address) -> None:
        def done(outcome: tuple[int, Mapping[str, Entry]] | BaseException) -> None:
            if isinstance(outcome, BaseException):
                # no answer: the requester asks again at its deadline, which is the back-off for an outage
                self.tell(sender, Refused(message.rid, failure_of(outcome)))
            else:
                self.tell(sender, ReadDone(message.rid, *outcome))

        self.submit(lambda: self.store.read(message.keys), done, "read")

    def _enqueue(self, pending: Pending) -> None:
        if self._ownership is None or len(self._queue) >= QUEUE_MAX:
            reason = self._health.reason or "too many writes are waiting"
            self.tell(
                pending.requester, Refused(pending.rid, Failure(ErrorClass.TRANSIENT, "StoreDown", reason))
            )
            return
        self._queue.append(pending)
        self._pump()

    def _pump(self) -> None:
        """Group commit: one transaction under way, everything that fits in the next."""
        if self._committing or not self._queue or self._ownership is None:
            return
        window = list(self._queue)[:1024] if len(self._queue) > 1024 else list(self._queue)
        chosen = next_batch([p.write_set for p in window])
        batch = [window[i] for i in chosen]
        taken = set(chosen)
        rest = [p for i, p in enumerate(window) if i not in taken]
        for _ in window:
            self._queue.popleft()
        self._queue.extendleft(reversed(rest))
        self._committing = True
        fence = self._ownership.fence
        sets = [p.write_set for p in batch]
        self.submit(
            lambda: self.store.commit(sets, fence),
            lambda outcome: self._committed(batch, fence, outcome),
            "commit",
        )

    def _committed(self, batch: list[Pending], fence: Guard, outcome: object) -> None:
        self._committing = False
        if isinstance(outcome, CommitResult):
            if outcome.fenced:
                self._refuse(
                    batch, Failure(ErrorClass.CONFLICT, "OwnershipLost", "another controller took over")
                )
                if self._ownership is not None and self._ownership.fence == fence:
                    self._lost("another controller took over")
                return
            for pending, accepted in zip(batch, outcome.accepted, strict=True):
                answer = Committed(pending.rid, outcome.revision) if accepted else Refused(pending.rid)
                self.tell(pending.requester, answer)
        elif isinstance(outcome, PortError) and outcome.failure.error_class is ErrorClass.IN_DOUBT:
            self._settle(batch)
            return
        else:
            self._refuse(batch, failure_of(outcome))
        self._pump()

    def _refuse(self, batch: list[Pending], failure: Failure) -> None:
        for pending in batch:
            self.tell(pending.requester, Refused(pending.rid, failure))

    def _settle(self, batch: list[Pending]) -> None:
        """The answer was lost: what is written now tells whether it happened (contract 10.8)."""
        names = tuple({write.key for pending in batch for write in pending.write_set.writes})
        self._committing = True

        def read(outcome: tuple[int, Mapping[str, Entry]] | BaseException) -> None:
            self._committing = False
            if isinstance(outcome, BaseException):
                self._committing = True
                self.log.warning("a write is in doubt and etcd does not answer: %s", outcome)
                self._doubtful = batch
                self.after(RETRY_S, Tick("settle"))
                return
            for pending in reversed(batch):
                revision = happened(pending.write_set, outcome[1])
                if revision:
                    self.tell(pending.requester, Committed(pending.rid, revision))
                else:
                    self._queue.appendleft(pending)
            self._pump()

        self.submit(lambda: self.store.read(names), read, "commit")

    # -------------------------------------------------------------------------------------- declaring

    def _apply(self) -> None:
        """Write declarations in order, one revision each, as the API server does; equal ones are left alone."""
        if self._ownership is None or not self._waiting:
            return
        message = self._waiting.pop(0)
        fence = self._ownership.fence

        def work() -> int:
            _, present = self.store.read([key for key, _ in message.documents])
            written = 0
            for key, value in message.documents:
                known = present.get(key)
                if known is not None and known.value == value:
                    continue
                revision = known.mod_revision if known is not None else 0
                result = self.store.commit([WriteSet((Put(key, value),), (Guard(key, revision),))], fence)
                written += bool(result.accepted and result.accepted[0])
            return written

        def done(outcome: int | BaseException) -> None:
            if isinstance(outcome, BaseException):
                failure = failure_of(outcome)
                if failure.retryable:
                    self._waiting.insert(0, message)
                    self.after(RETRY_S, Tick("apply"))
                    return
                self.tell(message.reply_to, Applied(message.rid, 0, failure))
            else:
                self.tell(message.reply_to, Applied(message.rid, outcome))
            self._apply()

        self.submit(work, done, "read")


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
