"""Turns for work that comes under keys (tenants) and shares a bounded number of slots.

Guarantees: pure; first in, first out within a key; round robin over the keys that may run, so that a key with
one piece of work waits for at most one piece of every other key, however much those have; never more than
`slots` under way, nor more than `slots_per_key` of one key; at most `waiting_max` waiting.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


class FullError(Exception):
    """Too much is waiting already; nothing was taken in."""


@dataclass(slots=True)
class _Line:
    waiting: deque[object] = field(default_factory=deque)
    under_way: int = 0


class Turns(Generic[T]):
    """Call `add`, then `take` until it gives None; and `done` for whatever was taken and has ended."""

    def __init__(self, slots: int, slots_per_key: int, waiting_max: int = 1_000_000) -> None:
        assert slots >= 1, "nothing could ever run"
        assert slots_per_key >= 1, "nothing could ever run"
        self.slots = slots
        self.slots_per_key = slots_per_key
        self._waiting_max = waiting_max
        self._lines: dict[str, _Line] = {}
        #: Keys that have work waiting and a slot of their own free, in the order of their turns.
        self._ready: deque[str] = deque()
        self.waiting = 0
        self.under_way = 0

    def add(self, key: str, item: T) -> None:
        """Put `item` at the end of its key's line. Raises FullError."""
        if self.waiting >= self._waiting_max:
            raise FullError(f"{self.waiting} are waiting")
        line = self._lines.setdefault(key, _Line())
        line.waiting.append(item)
        self.waiting += 1
        if len(line.waiting) == 1 and line.under_way < self.slots_per_key:
            self._ready.append(key)

    def take(self) -> tuple[str, T] | None:
        """Whose turn it is, and what; None if nothing may run now. The slot is held until `done(key)`."""
        if not self._ready or self.under_way >= self.slots:
            return None
        key = self._ready.popleft()
        line = self._lines[key]
        item: T = line.waiting.popleft()  # type: ignore[assignment]  # a line holds what `add` put in
        self.waiting -= 1
        self.under_way += 1
        line.under_way += 1
        if line.waiting and line.under_way < self.slots_per_key:
            self._ready.append(key)
        return key, item

    def done(self, key: str) -> None:
        """A piece of work of `key` has ended."""
        line = self._lines[key]
        assert line.under_way > 0, "more ended than was taken"
        self.under_way -= 1
        line.under_way -= 1
        if line.waiting and line.under_way == self.slots_per_key - 1:
            self._ready.append(key)
        if not line.waiting and not line.under_way:
            del self._lines[key]

    def ahead(self, key: str) -> int:
        """How many pieces of this key are waiting."""
        line = self._lines.get(key)
        return len(line.waiting) if line is not None else 0
