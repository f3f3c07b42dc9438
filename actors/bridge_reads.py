"""Reads on demand of the EtcdBridge: many questions, few requests.

Guarantees: every question is answered with ReadDone or Refused, all its keys as of one revision, which is not
before the question arrived; while requests are under way, what comes in is asked together. The queue is bounded
and a full one refuses.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from actors.bridge_commits import failure_of
from actors.core.errors import ErrorClass, Failure
from actors.messages import Address, Read, ReadDone, Refused
from actors.ports import Entry

if TYPE_CHECKING:
    from actors.etcd_bridge import EtcdBridge

QUEUE_MAX = 20_000
#: Requests under way at once. With more of them there would be less to ask together.
REQUESTS_MAX = 2
#: Keys of one request, as the store can ask them in one transaction (a longer question goes alone).
KEYS_MAX = 100

_Asked = tuple[Read, Address]


class Reads:
    """All reads of one bridge. Works on the bridge's thread."""

    def __init__(self, bridge: EtcdBridge) -> None:
        self._bridge = bridge
        self._queue: deque[_Asked] = deque()
        self._under_way = 0

    def add(self, message: Read, sender: Address) -> None:
        """Take over one question."""
        if not self._bridge.booted or len(self._queue) >= QUEUE_MAX:
            reason = "too many reads are waiting" if self._bridge.booted else "the bridge is starting"
            failure = Failure(ErrorClass.TRANSIENT, "Busy", reason)
            self._bridge.tell(sender, Refused(message.rid, failure))
            return
        self._queue.append((message, sender))
        self._pump()

    def _pump(self) -> None:
        while self._queue and self._under_way < REQUESTS_MAX:
            asked = self._next()
            names = tuple(dict.fromkeys(key for message, _ in asked for key in message.keys))
            self._under_way += 1
            self._ask(asked, names)

    def _next(self) -> list[_Asked]:
        asked = [self._queue.popleft()]
        count = len(asked[0][0].keys)
        while self._queue and count + len(self._queue[0][0].keys) <= KEYS_MAX:
            asked.append(self._queue.popleft())
            count += len(asked[-1][0].keys)
        return asked

    def _ask(self, asked: list[_Asked], names: tuple[str, ...]) -> None:
        store = self._bridge.store
        self._bridge.submit(lambda: store.read(names), lambda outcome: self._done(asked, outcome), "read")

    def _done(self, asked: list[_Asked], outcome: tuple[int, Mapping[str, Entry]] | BaseException) -> None:
        self._under_way -= 1
        for message, sender in asked:
            if isinstance(outcome, BaseException):
                self._bridge.tell(sender, Refused(message.rid, failure_of(outcome)))
                continue
            revision, entries = outcome
            mine = {key: entries[key] for key in message.keys if key in entries}
            self._bridge.tell(sender, ReadDone(message.rid, revision, mine))
        self._pump()
