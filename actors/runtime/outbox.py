"""What leaves a process: one queue per destination process, one frame under way to each.

Guarantees: order per destination; many messages share a frame while one is under way; a frame holds a bounded
number of messages and bytes, a queue too; every message is pickled for itself, so one that cannot be pickled
or read harms no other; a frame that is sent again has the same number, so its receiver can tell. A message to
a process that is gone, or beyond the bound, is handed to `lost`; nothing waits for ever.
"""

from __future__ import annotations

import logging
import pickle
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from actors.runtime.address import Address
from actors.runtime.limits import Limits
from actors.runtime.pickling import dumps
from actors.runtime.wire import MAX_BODY

log = logging.getLogger("gatewright.outbox")

#: One message on its way: number of the receiver, number of the sender, pickle.
Item = tuple[int, int, bytes]


class Parcel:
    """The content of a frame. `number` rises per sender; 0 is not checked for repetition."""

    __slots__ = ("items", "number")

    def __init__(self, number: int, items: tuple[Item, ...]) -> None:
        self.number = number
        self.items = items

    def __reduce__(self) -> tuple[type[Parcel], tuple[int, tuple[Item, ...]]]:
        return (Parcel, (self.number, self.items))

    def __str__(self) -> str:
        return f"Parcel {self.number} of {len(self.items)}"


@dataclass(slots=True)
class _Queue:
    to: Address
    waiting: deque[Item] = field(default_factory=deque)
    size: int = 0
    under_way: Parcel | None = None
    attempts: int = 0
    overflowed: int = 0


#: Sends a parcel and calls back once with "sent", "dead" or "failed".
Transmit = Callable[[Address, Parcel, Callable[[str], None]], None]


class Outbox:
    """The queues of one process. Not thread safe: the process's main thread only."""

    def __init__(
        self,
        limits: Limits,
        transmit: Transmit,
        later: Callable[[float, Callable[[], None]], None],
        lost: Callable[[Address, bytes], None],
        counters: Counter[str],
    ) -> None:
        self._limits = limits
        self._transmit = transmit
        self._later = later
        self._lost = lost
        self._counters = counters
        self._queues: dict[Address, _Queue] = {}
        self._fresh: dict[Address, _Queue] = {}
        self._number = 0

    def put(self, to: Address, sender: int, message: object) -> None:
        """Queue a message. Raises what pickling raises; ValueError if it is larger than a frame may be."""
        data = dumps(message)
        if len(data) > MAX_BODY - 4096:
            raise ValueError(f"a message of {len(data)} bytes is too large to be sent")
        process = to.process
        queue = self._queues.get(process)
        if queue is None:
            queue = self._queues[process] = _Queue(process)
        full = queue.size + len(data) > self._limits.queue_bytes and queue.waiting
        if len(queue.waiting) >= self._limits.queue_items or full:
            self._overflow(queue, to, data)
            return
        queue.waiting.append((to.sub, sender, data))
        queue.size += len(data)
        if queue.under_way is None:
            self._fresh[process] = queue

    def flush(self) -> None:
        """Send a frame to every destination that waits for none."""
        while self._fresh:
            _, queue = self._fresh.popitem()
            if queue.under_way is None and queue.waiting:
                self._send_next(queue)

    def idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self._queues

    def waiting(self) -> int:
        """How many messages wait, over all destinations."""
        return sum(len(queue.waiting) for queue in self._queues.values())

    def _send_next(self, queue: _Queue) -> None:
        items: list[Item] = []
        size = 0
        while queue.waiting and len(items) < self._limits.batch_items:
            length = len(queue.waiting[0][2])
            if items and size + length > self._limits.batch_bytes:
                break
            items.append(queue.waiting.popleft())
            size += length
        queue.size -= size
        self._number += 1
        queue.attempts = 0
        queue.under_way = Parcel(self._number, tuple(items))
        self._counters["frames"] += 1
        self._send_again(queue)

    def _send_again(self, queue: _Queue) -> None:
        parcel = queue.under_way
        assert parcel is not None
        queue.attempts += 1
        self._transmit(queue.to, parcel, lambda outcome: self._ended(queue, outcome))

    def _ended(self, queue: _Queue, outcome: str) -> None:
        parcel = queue.under_way
        assert parcel is not None
        if outcome == "failed" and queue.attempts <= self._limits.retries:
            self._counters["frames_retried"] += 1
            self._later(float(queue.attempts), lambda: self._send_again(queue))
            return
        queue.under_way = None
        if outcome != "sent":
            level = logging.DEBUG if outcome == "dead" else logging.ERROR
            log.log(level, "%s to process %s: %d messages lost", outcome, queue.to, len(parcel.items))
            self._give_up(queue, parcel.items)
        if outcome == "dead":
            waiting, queue.waiting, queue.size = queue.waiting, deque(), 0
            self._give_up(queue, tuple(waiting))
        if queue.waiting:
            self._fresh[queue.to] = queue
        else:
            self._queues.pop(queue.to, None)
        self.flush()

    def _give_up(self, queue: _Queue, items: tuple[Item, ...]) -> None:
        for sub, _, data in items:
            self._lost(queue.to.inside(sub), data)

    def _overflow(self, queue: _Queue, to: Address, data: bytes) -> None:
        queue.overflowed += 1
        self._counters["overflowed"] += 1
        if queue.overflowed == 1 or queue.overflowed % 10_000 == 0:
            log.error("queue to process %s is full, %d messages lost so far", queue.to, queue.overflowed)
        self._lost(to, data)


class Repetitions:
    """Tells frames that arrive a second time. Remembers the last `size` senders."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._last: OrderedDict[Address, int] = OrderedDict()

    def is_repeated(self, sender: Address, parcel: Parcel) -> bool:
        """Whether this parcel of `sender` was seen before; it is from now on."""
        if parcel.number == 0:
            return False
        if parcel.number <= self._last.get(sender, 0):
            return True
        self._last[sender] = parcel.number
        self._last.move_to_end(sender)
        if len(self._last) > self._size:
            self._last.popitem(last=False)
        return False


def unpack(parcel: Parcel) -> Iterator[tuple[int, int, Any, Exception | None]]:
    """(receiver, sender, message, None) for each item, or (receiver, sender, None, why it is unreadable)."""
    for to, sender, data in parcel.items:
        try:
            yield to, sender, pickle.loads(data), None  # noqa: S301 - inside an authenticated frame
        except Exception as error:  # noqa: BLE001 - unpickling runs the code of the message's class
            yield to, sender, None, error
