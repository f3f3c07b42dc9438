"""The reading side of the EtcdBridge: listings and changes for the shards, and for the ownership.

Guarantees: every subscriber gets a listing as of one revision and then every change after it, in order, whole
revisions only; the watch begins before any listing does, so nothing falls in between; after a compaction (or
another store behind the address) everybody is listed anew. Bounded memory: a page is fetched when the shard has
taken one of those before, and a shard that is listed for too long, while much changes, is listed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from actors.core.mirrored import MIRRORED
from actors.core.ownership import CONTROLLERS, SHARDS
from actors.messages import Address, Mirror, More, Snapshot, Subscribe, Tick
from actors.ownership import PREFIXES
from actors.ports import Changes, Compacted, Down, Entry, Page, Store, Up, Watch

if TYPE_CHECKING:
    from actors.etcd_bridge import EtcdBridge

#: Everything of interest is below this prefix: one watch gives one order.
ROOT = "/"
RETRY_S = 0.5
#: Pages that a shard has not taken yet, at most.
PAGES_AHEAD = 2
#: Changes that wait for the end of a listing, at most.
HELD_MAX = 100_000
#: Bytes of changes in one message, about: one that is too large for the transport could only be lost.
MESSAGE_BYTES = 8 * 1024 * 1024
#: A shard that has taken no page for so long is listed again (its answer was lost, or it is stuck).
SILENCE_S = 30.0


@dataclass(slots=True)
class Subscriber:
    """A shard. Changes wait in `held` until its listing is complete; `revision` is that of the listing.

    `number` tells listings of one subscription apart; `ahead`: pages sent and not taken yet; `next_page`: what
    to fetch (index of the prefix, last key) as soon as one is taken; `heard`: when the last one was taken.
    `pages` and `sent` count the pages and then the messages of this listing, so that the shard misses a lost one.
    """

    index: int
    address: Address
    epoch: int
    revision: int = 0
    listed: bool = False
    listing: bool = False
    held: list[Changes] = field(default_factory=list)
    held_count: int = 0
    number: int = 0
    ahead: int = 0
    next_page: tuple[int, str] | None = None
    heard: float = 0.0
    pages: int = 0
    sent: int = 0


class Feed:
    """All subscribers of one bridge. Works on the bridge's thread."""

    def __init__(self, bridge: EtcdBridge) -> None:
        self._bridge = bridge
        self._subscribers: dict[int, Subscriber] = {}
        self._watch: Watch | None = None
        self._starting = False
        self._timing = False
        self._begun = float("-inf")  # when the watch had to begin anew last
        #: Of what the watch has shown last.
        self.revision = 0

    def subscribe(self, message: Subscribe, sender: Address) -> None:
        """A shard wants everything; what it had before is void."""
        self._subscribers[message.shard] = Subscriber(message.shard, sender, message.epoch)
        self.proceed()

    def proceed(self) -> None:
        """Begin what can begin: the watch, then the listings."""
        if self._watch is None:
            self._start_watch()
            return
        for subscriber in self._subscribers.values():
            if not subscriber.listed and not subscriber.listing:
                self._list(subscriber)

    def _start_watch(self) -> None:
        if self._starting or not self._bridge.booted:  # Boot begins it, whoever was faster
            return
        self._starting = True
        store = self._bridge.store
        self._bridge.submit(lambda: survey(store), self._watching, "read")

    def _watching(self, outcome: tuple[int, tuple[Entry, ...]] | BaseException) -> None:
        self._starting = False
        if isinstance(outcome, BaseException):
            self._bridge.note("watch", str(outcome))
            self._bridge.after(RETRY_S, Tick("feed"))
            return
        revision, entries = outcome
        self.revision = revision
        self._bridge.commits.unseen(revision)
        self._bridge.history.listed(revision)
        self._watch = self._bridge.store.watch(ROOT, revision=revision, sink=self._bridge.post)
        self._bridge.holdings.listed(entries, revision)
        self.proceed()

    # ------------------------------------------------------------------------------------------- listing

    def _list(self, subscriber: Subscriber) -> None:
        subscriber.listing, subscriber.revision = True, 0
        subscriber.held, subscriber.held_count = [], 0
        subscriber.number += 1
        subscriber.ahead, subscriber.heard = 0, self._bridge.now()
        # that of the listing before: a shard that has just taken a page of it still says so
        subscriber.next_page = None
        subscriber.pages = subscriber.sent = 0
        self._fetch(subscriber, 0, "")
        if not self._timing:
            self._timing = True
            self._bridge.after(SILENCE_S, Tick("listing"))

    def _fetch(self, subscriber: Subscriber, prefix: int, after: str) -> None:
        store, name = self._bridge.store, MIRRORED[prefix]
        revision, number = subscriber.revision, subscriber.number

        def fetched(outcome: Page | BaseException) -> None:
            current = self._subscribers.get(subscriber.index) is subscriber
            if not current or not subscriber.listing or subscriber.number != number:
                return
            if isinstance(outcome, BaseException):
                self._bridge.log.warning("listing %s: %s", name, outcome)
                subscriber.listing = False
                self._bridge.after(RETRY_S, Tick("feed"))
                return
            self._send(subscriber, prefix, outcome)

        self._bridge.submit(lambda: store.page(name, after=after, revision=revision), fetched, "read")

    def _send(self, subscriber: Subscriber, prefix: int, page: Page) -> None:
        subscriber.revision = page.revision
        last = not page.more and prefix == len(MIRRORED) - 1
        following = (prefix, page.entries[-1].key) if page.more else (prefix + 1, "")
        if page.entries or not subscriber.pages or last:
            subscriber.pages += 1
            snapshot = Snapshot(subscriber.epoch, subscriber.pages, last, page.revision, page.entries)
            self._bridge.tell(subscriber.address, snapshot)
            subscriber.ahead += 1
        if last:
            self._release(subscriber)
            return
        if subscriber.ahead < PAGES_AHEAD:
            self._fetch(subscriber, *following)
        else:
            subscriber.next_page = following

    def more(self, message: More, sender: Address) -> None:
        """A shard has taken a page."""
        subscriber = self._subscribers.get(message.shard)
        if subscriber is None or (subscriber.address, subscriber.epoch) != (sender, message.epoch):
            return
        subscriber.heard = self._bridge.now()
        subscriber.ahead = max(0, subscriber.ahead - 1)
        following, subscriber.next_page = subscriber.next_page, None
        if following is not None and subscriber.listing:
            self._fetch(subscriber, *following)

    def overdue(self) -> None:
        """Is a shard silent in the midst of its listing?"""
        listing = [s for s in self._subscribers.values() if s.listing]
        for subscriber in listing:
            if self._bridge.now() - subscriber.heard >= SILENCE_S:
                self._bridge.log.warning("shard %d takes no pages; listing it again", subscriber.index)
                self._list(subscriber)
        self._timing = bool(listing)
        if listing:
            self._bridge.after(SILENCE_S, Tick("listing"))

    def _release(self, subscriber: Subscriber) -> None:
        subscriber.listed, subscriber.listing = True, False
        held, subscriber.held, subscriber.held_count = subscriber.held, [], 0
        self._tell_later(subscriber, held)
        if self.complete:
            self._bridge.holdings.mirrored()

    @property
    def complete(self) -> bool:
        """Whether every shard has had its listing."""
        known, count = self._subscribers, self._bridge.boot.options.shards
        return all(index in known and known[index].listed for index in range(count))

    def _tell_later(self, subscriber: Subscriber, changes: Sequence[Changes]) -> None:
        """What came after its listing: the watch may be further behind than the member that was asked for that."""
        later = tuple(c for c in changes if c.revision > subscriber.revision)
        if later:
            self._mirror(subscriber, later)

    def _mirror(self, subscriber: Subscriber, changes: tuple[Changes, ...]) -> None:
        for part in portions(changes):
            subscriber.sent += bool(part)
            self._bridge.tell(subscriber.address, Mirror(subscriber.epoch, subscriber.sent, part))

    def beat(self) -> None:
        """A sign of life, which also tells every shard how many messages it should have."""
        for subscriber in self._subscribers.values():
            if subscriber.listed:
                self._mirror(subscriber, ())

    # ------------------------------------------------------------------------------------------- changes

    def posted(self, items: Sequence[object]) -> None:
        """What the watch delivered, in order."""
        batch: list[Changes] = []
        for item in items:
            match item:
                case Changes():
                    self._sort(item, batch)
                case Compacted():
                    self._forward(batch)
                    batch = []
                    self._begin_anew(item.reason)
                case Down():
                    self._bridge.note("watch", item.reason)
                case Up():
                    self._bridge.note("watch", "")
        self._forward(batch)

    def _sort(self, item: Changes, batch: list[Changes]) -> None:
        commits, self.revision = self._bridge.commits, item.revision
        for change in item.puts_and_deletes:
            commits.seen(change, item.revision)
        ours = tuple(c for c in item.puts_and_deletes if c.key.startswith(MIRRORED))
        if ours:
            batch.append(Changes(item.revision, ours))
        holders = [c for c in item.puts_and_deletes if c.key.startswith(PREFIXES)]
        self._bridge.holdings.changed(holders, item.revision)

    def _begin_anew(self, reason: str) -> None:
        self._bridge.log.warning("the watch must begin anew: %s", reason)
        self._watch = None
        for subscriber in self._subscribers.values():
            subscriber.listed = subscriber.listing = False
        now = self._bridge.now()
        again, self._begun = now - self._begun < 2 * RETRY_S, now
        if again:
            # history is forgotten faster than we read it, or the server says so: listing costs it the most
            self._bridge.after(RETRY_S, Tick("feed"))
        else:
            self.proceed()

    def _forward(self, batch: list[Changes]) -> None:
        if not batch:
            return
        count = sum(len(changes.puts_and_deletes) for changes in batch)
        for subscriber in self._subscribers.values():
            if subscriber.listed:
                self._tell_later(subscriber, batch)
            elif subscriber.listing:
                subscriber.held.extend(batch)
                subscriber.held_count += count
                if subscriber.held_count > HELD_MAX:
                    self._bridge.log.warning(
                        "shard %d: too many changes during its listing", subscriber.index
                    )
                    self._list(subscriber)


def portions(changes: Sequence[Changes]) -> Iterator[tuple[Changes, ...]]:
    """All of these, in order, in as many messages as they need; nothing is one message, too."""
    part: list[Changes] = []
    size = 0
    for one in changes:
        weight = sum(len(c.key) + len(getattr(c, "value", b"")) for c in one.puts_and_deletes)
        if part and size + weight > MESSAGE_BYTES:
            yield tuple(part)
            part, size = [], 0
        part.append(one)
        size += weight
    yield tuple(part)


def survey(store: Store) -> tuple[int, tuple[Entry, ...]]:
    """Members and holders as of one revision: where the watch begins. On a worker thread."""
    members = store.page(CONTROLLERS)
    holders = store.page(SHARDS, revision=members.revision)
    return members.revision, (*members.entries, *holders.entries)
