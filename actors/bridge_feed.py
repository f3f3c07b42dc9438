"""The reading side of the EtcdBridge: listings and changes for the shards.

Guarantees: every subscriber gets a listing as of one revision and then every change after it, in order, whole
revisions only; the watch begins before any listing does, so nothing falls in between; after a compaction (or
another store behind the address) everybody is listed anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from actors.core import keys
from actors.messages import Address, Mirror, Snapshot, Subscribe, Tick
from actors.ports import Changes, Compacted, Down, Page, Up, Watch

if TYPE_CHECKING:
    from actors.etcd_bridge import EtcdBridge

#: What shards mirror. The results of workflows are read on demand instead.
MIRRORED = (
    keys.CONFIG,
    keys.JOBS,
    keys.STATE,
    keys.MONITORING,
    keys.TARGETS,
    keys.ACCEPTED,
    keys.RECONCILE,
    keys.PAUSE,
)
#: Everything of interest is below this prefix: one watch gives one order.
ROOT = "/"
RETRY_S = 0.5


@dataclass(slots=True)
class Subscriber:
    """A shard. Changes wait in `held` until its listing is complete; `revision` is that of the listing."""

    index: int
    address: Address
    epoch: int
    revision: int = 0
    listed: bool = False
    listing: bool = False
    held: list[Changes] = field(default_factory=list)


class Feed:
    """All subscribers of one bridge. Works on the bridge's thread."""

    def __init__(self, bridge: EtcdBridge) -> None:
        self._bridge = bridge
        self._subscribers: dict[int, Subscriber] = {}
        self._watch: Watch | None = None
        self._starting = False

    def subscribe(self, message: Subscribe, sender: Address) -> None:
        """A shard wants everything; what it had before is void."""
        self._subscribers[message.shard] = Subscriber(message.shard, sender, message.epoch)
        self.proceed()

    def proceed(self) -> None:
        """Begin what can begin: the watch when we own the store, then the listings."""
        if self._bridge.ownership is None:
            return
        if self._watch is None:
            self._start_watch()
            return
        for subscriber in self._subscribers.values():
            if not subscriber.listed and not subscriber.listing:
                subscriber.listing, subscriber.held, subscriber.revision = True, [], 0
                self._page(subscriber, 0, "", first=True)

    def _start_watch(self) -> None:
        if self._starting:
            return
        self._starting = True
        store = self._bridge.store
        self._bridge.submit(lambda: store.page(keys.OWNER, limit=1), self._watching, "read")

    def _watching(self, outcome: Page | BaseException) -> None:
        self._starting = False
        if isinstance(outcome, BaseException):
            self._bridge.log.warning("starting the watch: %s", outcome)
            self._bridge.after(RETRY_S, Tick("feed"))
            return
        self._watch = self._bridge.store.watch(ROOT, revision=outcome.revision, sink=self._bridge.post)
        self.proceed()

    def _page(self, subscriber: Subscriber, prefix: int, after: str, *, first: bool) -> None:
        store, name, revision = self._bridge.store, MIRRORED[prefix], subscriber.revision

        def listed(outcome: Page | BaseException) -> None:
            if self._subscribers.get(subscriber.index) is not subscriber or not subscriber.listing:
                return
            if isinstance(outcome, BaseException):
                self._bridge.log.warning("listing %s: %s", name, outcome)
                subscriber.listing = False
                self._bridge.after(RETRY_S, Tick("feed"))
                return
            subscriber.revision = outcome.revision
            last = not outcome.more and prefix == len(MIRRORED) - 1
            page = Snapshot(subscriber.epoch, first, last, outcome.revision, outcome.entries)
            self._bridge.tell(subscriber.address, page)
            if last:
                self._release(subscriber)
            elif outcome.more:
                self._page(subscriber, prefix, outcome.entries[-1].key, first=False)
            else:
                self._page(subscriber, prefix + 1, "", first=False)

        self._bridge.submit(lambda: store.page(name, after=after, revision=revision), listed, "read")

    def _release(self, subscriber: Subscriber) -> None:
        subscriber.listed, subscriber.listing = True, False
        held, subscriber.held = subscriber.held, []
        later = tuple(c for c in held if c.revision > subscriber.revision)
        if later:
            self._bridge.tell(subscriber.address, Mirror(subscriber.epoch, later))

    def posted(self, items: Sequence[object]) -> None:
        """What the watch delivered, in order."""
        batch: list[Changes] = []
        for item in items:
            match item:
                case Changes():
                    ours = tuple(c for c in item.puts_and_deletes if c.key.startswith(MIRRORED))
                    if ours:
                        batch.append(Changes(item.revision, ours))
                case Compacted():
                    self._forward(batch)
                    batch = []
                    self._begin_anew(item.reason)
                case Down():
                    self._bridge.set_health(up=False, reason=item.reason)
                case Up() if self._bridge.ownership is not None:
                    self._bridge.set_health(up=True, reason="")
        self._forward(batch)

    def _begin_anew(self, reason: str) -> None:
        self._bridge.log.warning("the watch must begin anew: %s", reason)
        self._watch = None
        for subscriber in self._subscribers.values():
            subscriber.listed = subscriber.listing = False
        self.proceed()

    def _forward(self, batch: list[Changes]) -> None:
        if not batch:
            return
        for subscriber in self._subscribers.values():
            if subscriber.listed:
                self._bridge.tell(subscriber.address, Mirror(subscriber.epoch, tuple(batch)))
            else:
                subscriber.held.extend(batch)
