"""What one shard owes the others of its controller: messages that must arrive, over a transport that may lose them.

Guarantees: at least once: a message is sent again, ever less often, until its receiver says Got or is gone; of
messages with one key only the newest is repeated, so nothing old comes after something new (the transport keeps the
order between two processes). Within a process nothing is lost, so nothing is numbered. Bounded by the number of keys.
Receivers must stand hearing the same twice. Does not: remember anything over the end of its own process.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass

from actors.messages import Address, Lasting, TargetStatus, Tick, UnwatchTargets, WatchTarget
from actors.runtime.actor import BaseActor

#: A message without an answer is sent again after this, then after twice as long …
AGAIN_S = 1.0
#: … up to this.
AGAIN_MAX_S = 16.0
#: The name of the timer.
TICK = "owed"


@dataclass(slots=True)
class _Sent:
    key: Hashable
    to: Address
    message: Lasting
    due_s: float
    patience_s: float = AGAIN_S


class Owed:
    """All open messages of one shard. Works through its shard's `tell`; not an actor of its own."""

    def __init__(self, shard: BaseActor) -> None:
        self._shard = shard
        self._open: dict[int, _Sent] = {}
        self._newest: dict[Hashable, int] = {}
        self._number = 0
        self._ticking = False

    def __len__(self) -> int:
        return len(self._open)

    def send(self, key: Hashable, to: Address, message: WatchTarget | UnwatchTargets | TargetStatus) -> None:
        """Send it until it has arrived, instead of whatever is still open under `key`."""
        if to == self._shard.me:
            self._shard.tell(to, message)
            return
        self._close(self._newest.get(key, 0))
        self._number += 1
        lasting = Lasting(self._number, message)
        self._open[self._number] = _Sent(key, to, lasting, self._shard.now() + AGAIN_S)
        self._newest[key] = self._number
        self._shard.tell(to, lasting)
        self._tick()

    def got(self, number: int) -> None:
        """It has arrived."""
        self._close(number)

    def retain(self, alive: Collection[Address]) -> None:
        """Only these receivers are still there: what others have not got is not theirs to get any more."""
        for number in [n for n, sent in self._open.items() if sent.to not in alive]:
            self._close(number)

    def again(self) -> None:
        """The timer fired: repeat what is due."""
        self._ticking, now = False, self._shard.now()
        for sent in self._open.values():
            if sent.due_s <= now:
                sent.patience_s = min(2 * sent.patience_s, AGAIN_MAX_S)
                sent.due_s = now + sent.patience_s
                self._shard.tell(sent.to, sent.message)
        self._tick()

    def _close(self, number: int) -> None:
        sent = self._open.pop(number, None)
        if sent is not None:
            del self._newest[sent.key]

    def _tick(self) -> None:
        if self._open and not self._ticking:
            self._ticking = True
            self._shard.after(AGAIN_S, Tick(TICK))
