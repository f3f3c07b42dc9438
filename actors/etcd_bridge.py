"""EtcdBridge: the only etcd client. Reads, watches, and the one place from which state keys are written.

Guarantees: every write is fenced by the ownership of this controller; sets of one key keep their order; a lost
answer is settled by reading back, never by guessing; queues are bounded (a full one refuses, and the requester
backs off); subscribers get a listing as of one revision and then every change after it, or a new listing.
Creates no children (gRPC and fork do not mix). Decides nothing about resources.
"""

from __future__ import annotations

import os
from typing import ClassVar

from actors.bridge_commits import RETRY_S, Commits, Pending, failure_of
from actors.bridge_feed import Feed
from actors.bridge_reads import Reads
from actors.core import keys
from actors.core.errors import ErrorClass, Failure
from actors.messages import (
    Address,
    Applied,
    Apply,
    Boot,
    Commit,
    Ping,
    Pong,
    Read,
    StoreHealth,
    Subscribe,
    Tick,
    Topology,
)
from actors.ports import Guard, Ownership, Put, Store, WriteSet
from actors.runtime.host import Lane
from actors.runtime.io import IoActor


class EtcdBridge(IoActor):
    """One per controller."""

    lanes: ClassVar = {"commit": Lane(1, 100), "read": Lane(4, 20_000), "own": Lane(1, 10)}

    def started(self) -> None:
        """Nothing is known before Boot."""
        self._store: Store | None = None
        self._boot: Boot | None = None
        self._shards: tuple[Address, ...] = ()
        self._declaring: list[Apply] = []
        self.ownership: Ownership | None = None
        self.health = StoreHealth(up=False, since=self.now(), reason="starting")
        self._commits = Commits(self)
        self._feed = Feed(self)
        self._reads = Reads(self)

    def receive(self, message: object, sender: Address) -> None:
        """The closed set of messages that an EtcdBridge takes."""
        match message:
            case Boot():
                self._boot, self._store = message, message.wiring.store()
                self._acquire()
            case Topology():
                self._shards = message.shards
                for shard in self._shards:
                    self.tell(shard, self.health)
            case Subscribe():
                self._feed.subscribe(message, sender)
            case Read():
                self._reads.add(message, sender)
            case Commit():
                self._commits.add(Pending(message.rid, sender, message.write_set))
            case Apply():
                self._declaring.append(message)
                self._declare()
            case Tick():
                self._ticked(message.what)
            case Ping():
                self.tell(sender, Pong(message.seq, os.getpid()))

    def posted(self, items: list[object]) -> None:
        """What the watch delivered."""
        self._feed.posted(items)

    def stopping(self) -> None:
        """Give the ownership back, so that a successor need not wait for the lease to end."""
        if self._store is not None:
            self._store.close()

    @property
    def store(self) -> Store:
        """The port; there is one from Boot on."""
        assert self._store is not None, "Boot comes first"
        return self._store

    def _ticked(self, what: str) -> None:
        match what:
            case "acquire":
                self._acquire()
            case "ownership":
                self._check_ownership()
            case "feed":
                self._feed.proceed()
            case "declare":
                self._declare()
            case "settle":
                self._commits.settle()

    # ------------------------------------------------------------------------------------- ownership

    def _acquire(self) -> None:
        boot = self._boot
        assert boot is not None, "Boot comes first"
        owner, ttl_s = boot.owner, boot.options.owner_ttl_s
        self.submit(lambda: self.store.acquire(keys.OWNER, owner, ttl_s), self._acquired, "own")

    def _acquired(self, outcome: Ownership | BaseException | None) -> None:
        if outcome is None or isinstance(outcome, BaseException):
            reason = "another controller owns this etcd" if outcome is None else str(outcome)
            self.set_health(up=False, reason=reason)
            self.after(RETRY_S, Tick("acquire"))
            return
        self.ownership = outcome
        self.set_health(up=True, reason="")
        self._check_ownership()
        self._feed.proceed()
        self._declare()
        self._commits.pump()

    def _check_ownership(self) -> None:
        assert self._boot is not None, "Boot comes first"
        if self.ownership is None:
            return
        if self.ownership.valid():
            self.after(self._boot.options.owner_ttl_s / 4, Tick("ownership"))
        else:
            self.lost("the lease could not be kept alive", self.ownership.fence)

    def lost(self, reason: str, fence: Guard) -> None:
        """The ownership with that fence has ended: stop writing, and try to become the owner again."""
        if self.ownership is None or self.ownership.fence != fence:
            return
        self.ownership = None
        self.set_health(up=False, reason=reason)
        self._commits.refuse_all(Failure(ErrorClass.CONFLICT, "OwnershipLost", reason))
        self._acquire()

    def set_health(self, *, up: bool, reason: str) -> None:
        """Tell the shards when it changes, and since when it is so."""
        if (up, reason) == (self.health.up, self.health.reason):
            return
        since = self.now() if up != self.health.up else self.health.since
        self.health = StoreHealth(up, since, reason)
        if up:
            self.log.info("etcd is ours")
        else:
            self.log.warning("etcd is not usable: %s", reason)
        for shard in self._shards:
            self.tell(shard, self.health)

    # ------------------------------------------------------------------------------------- declaring

    def _declare(self) -> None:
        """Write declarations in order, one revision each, as the API server does."""
        if self.ownership is None or not self._declaring:
            return
        message, fence = self._declaring.pop(0), self.ownership.fence

        def work() -> int:
            _, present = self.store.read([key for key, _ in message.documents])
            written = 0
            for key, value in message.documents:
                known = present.get(key)
                if known is not None and message.only_missing:
                    continue
                new = keys.declare(key, known.value if known is not None else None, value)
                if new is None:
                    continue
                guard = Guard(key, known.mod_revision if known is not None else 0)
                result = self.store.commit([WriteSet((Put(key, new),), (guard,))], fence)
                written += sum(result.accepted)
            return written

        def done(outcome: int | BaseException) -> None:
            if not isinstance(outcome, BaseException):
                self.tell(message.reply_to, Applied(message.rid, outcome))
            elif failure_of(outcome).retryable:
                self._declaring.insert(0, message)
                self.after(RETRY_S, Tick("declare"))
                return
            else:
                self.tell(message.reply_to, Applied(message.rid, 0, failure_of(outcome)))
            self._declare()

        self.submit(work, done, "read")
