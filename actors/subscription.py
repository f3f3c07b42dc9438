"""A subscriber's side of the mirror: nothing lost goes unnoticed, whatever was lost.

Guarantees: pages and changes are taken only in unbroken sequence; a gap, or a listing that makes no progress, or
a bridge that gives no sign of life leads to a new listing. The messages themselves are the subscriber's business.
"""

from __future__ import annotations

from actors.messages import Address, Mirror, More, Snapshot, Subscribe, Tick
from actors.runtime.actor import BaseActor

#: Silence of the bridge after which the subscription is begun anew; it gives a sign of life more often.
SILENCE_S = 15.0


class Subscription:
    """One subscription of one actor. Numbers its listings (`epoch`); answers of older ones are void."""

    def __init__(self, actor: BaseActor, index: int) -> None:
        self._actor, self._index = actor, index
        self._bridge: Address = None
        self._epoch = 0
        self._taken = 0  # pages, then messages, of the present listing
        self._revision = 0  # of the present listing
        self._heard = 0.0
        self.complete = False

    @property
    def epoch(self) -> int:
        """The number of the present listing."""
        return self._epoch

    def begin(self, bridge: Address) -> None:
        """Ask for everything, from this bridge."""
        self._bridge, self.complete = bridge, False
        self._epoch += 1
        self._taken, self._heard = 0, self._actor.now()
        self._actor.tell(bridge, Subscribe(self._index, self._epoch))
        self._actor.after(SILENCE_S, Tick(f"subscription {self._epoch}"))

    def takes_page(self, page: Snapshot) -> bool:
        """Whether this is the next page. With the last one the subscription is complete."""
        if page.epoch != self._epoch:
            return False
        self._actor.tell(self._bridge, More(self._index, page.epoch))
        self._heard = self._actor.now()
        if page.number == 1:  # the bridge may list anew by itself
            self._taken, self.complete, self._revision = 0, False, page.revision
        # all pages of a listing are as of one revision: what follows those of another is not the next
        if self.complete or page.number != self._taken + 1 or page.revision != self._revision:
            return self._lost("a page of the listing")
        self._taken = 0 if page.last else page.number
        self.complete = page.last
        return True

    def takes_changes(self, message: Mirror) -> bool:
        """Whether these are the next changes."""
        if message.epoch != self._epoch:
            return False
        self._heard = self._actor.now()
        if not self.complete or message.number != self._taken + bool(message.changes):
            return self._lost("a message of the mirror")
        self._taken = message.number
        return True

    def ticked(self, what: str) -> None:
        """A timer of the actor; another's, or an older subscription's, means nothing."""
        if what != f"subscription {self._epoch}":
            return
        left = SILENCE_S - (self._actor.now() - self._heard)
        if left > 0:
            self._actor.after(left, Tick(what))
        else:
            self._lost("every sign of life of the bridge")

    def _lost(self, what: str) -> bool:
        self._actor.log.warning("%s was lost: listing anew", what)
        self.begin(self._bridge)
        return False
