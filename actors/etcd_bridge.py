"""EtcdBridge: the only etcd client. Reads, watches, and the one place from which state keys are written.

Guarantees: every write of a resource is fenced by the ownership of its virtual shard; sets of one key keep their
order; a lost answer is settled by reading back, never by guessing; queues are bounded (a full one refuses, and
the requester backs off); subscribers get a listing as of one revision and then every change after it, or a new
listing; what is wrong with etcd has a name and a beginning. The parts: `ownership`, `bridge_commits`,
`bridge_feed`, `bridge_history`.
Creates no children (gRPC and fork do not mix). Decides nothing about resources.
"""

from __future__ import annotations

import os
from typing import ClassVar

from actors.bridge_commits import RETRY_S, Commits, failure_of
from actors.bridge_feed import Feed
from actors.bridge_health import Health
from actors.bridge_history import History
from actors.bridge_reads import Reads
from actors.core.declaring import declare
from actors.messages import (
    Address,
    Applied,
    Apply,
    Boot,
    Commit,
    More,
    Owned,
    Ping,
    Pong,
    Read,
    Rested,
    Subscribe,
    Tick,
    Topology,
)
from actors.ownership import Holdings
from actors.ports import Guard, Put, Store, WriteSet
from actors.runtime.host import Lane
from actors.runtime.io import IoActor

#: How often shards are told again what they should know.
BEAT_S = 5.0


class EtcdBridge(IoActor):
    """One per controller."""

    lanes: ClassVar = {"commit": Lane(1, 100), "read": Lane(4, 20_000), "own": Lane(1, 1000)}

    def started(self) -> None:
        """Nothing is known before Boot."""
        self._store: Store | None = None
        self._generation = 0
        self._boot: Boot | None = None
        self._shards: tuple[Address, ...] = ()
        self._heat: tuple[Address, ...] = ()
        self._declaring: list[Apply] = []
        self.health = Health(self)
        self.holdings = Holdings(self)
        self.commits = Commits(self)
        self.feed = Feed(self)
        self.history = History(self)
        self._reads = Reads(self)

    def receive(self, message: object, sender: Address) -> None:
        """The closed set of messages that an EtcdBridge takes."""
        match message:
            case Boot() if self._store is None:
                self._boot, self._store = message, message.wiring.store()
                self.holdings.join()
                self.feed.proceed()
                self.history.begin()
                self.after(BEAT_S, Tick("beat"))
            case Topology() if self._store is not None:
                self._wired(message)
            case Subscribe():
                self.feed.subscribe(message, sender)
            case More():
                self.feed.more(message, sender)
            case Read():
                self._reads.add(message, sender)
            case Commit():
                self.commits.add(message, sender)
            case Rested():
                self.holdings.rested(message, sender)
            case Apply():
                self._declaring.append(message)
                self._declare()
            case Tick():
                self._ticked(message.what)
            case Ping():
                self.tell(sender, Pong(message.seq, os.getpid(), self._generation))

    def posted(self, items: list[object]) -> None:
        """What the watch delivered."""
        self.feed.posted(items)

    def stopping(self) -> None:
        """Give everything back, so that successors need not wait for the lease to end."""
        if self._store is not None:
            self._store.close()

    @property
    def booted(self) -> bool:
        """Whether there is a store to ask: other processes may be faster than our Boot."""
        return self._store is not None

    @property
    def store(self) -> Store:
        """The port; there is one from Boot on."""
        assert self._store is not None, "Boot comes first"
        return self._store

    @property
    def boot(self) -> Boot:
        """What we were told at the start."""
        assert self._boot is not None, "Boot comes first"
        return self._boot

    def _wired(self, topology: Topology) -> None:
        """Who the shards are now; one that is new must hear what the others know."""
        self._shards, self._heat = topology.shards, topology.heat
        self._generation = topology.generation
        self._retell()

    def _retell(self) -> None:
        """Everything that is said once when it changes: whoever missed it hears it now."""
        self.tell_shards(self.health.told)
        self.tell_heat(self.holdings.tenure())
        owned = self.holdings.told()
        if owned is not None:
            self.tell_workers(owned)

    def _ticked(self, what: str) -> None:
        match what:
            case "join":
                self.holdings.join()
            case "ownership":
                self.holdings.check()
            case "balance":
                self.holdings.balance()
            case "feed":
                self.feed.proceed()
            case "beat":
                self._retell()
                self.feed.beat()
                self.after(BEAT_S, Tick("beat"))
            case "listing":
                self.feed.overdue()
            case "declare":
                self._declare()
            case "settle":
                self.commits.settle()
            case "history":
                self.history.look()

    # ------------------------------------------------------------------------- what the parts tell each other

    def note(self, what: str, text: str) -> None:
        """`text` is wrong with `what`; empty: nothing is."""
        self.health.note(what, text)

    def trouble(self, outcome: object, write_set: WriteSet | None = None) -> None:
        """A request failed."""
        self.health.trouble(outcome, write_set)

    def tell_shards(self, message: object) -> None:
        """Tell all shards."""
        for shard in self._shards:
            self.tell(shard, message)

    @property
    def workers(self) -> tuple[Address, ...]:
        """Everybody who acts on what is owned."""
        return (*self._shards, *self._heat)

    def tell_workers(self, message: Owned) -> None:
        """Tell them what is owned."""
        for worker in self.workers:
            self.tell(worker, message)

    def tell_heat(self, message: object) -> None:
        """Tell all HeatActors."""
        for one in self._heat:
            self.tell(one, message)

    # ------------------------------------------------------------------------------------- declaring

    def _declare(self) -> None:
        """Write declarations in order, one revision each, as the API server does."""
        if not self._declaring or self._store is None:
            return
        message = self._declaring.pop(0)

        def work() -> int:
            _, present = self.store.read([key for key, _ in message.documents])
            written = 0
            for key, value in message.documents:
                known = present.get(key)
                if known is not None and message.only_missing:
                    continue
                new = declare(key, known.value if known is not None else None, value)
                if new is None:
                    continue
                guard = Guard(key, known.mod_revision if known is not None else 0)
                result = self.store.commit([WriteSet((Put(key, new),), (guard,))])
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
