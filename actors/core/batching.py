"""Which queued write sets go into one transaction: pure arithmetic over etcd's limits.

Guarantees: a batch holds no key twice; no guard in it is on a key that the same batch writes before it (etcd
evaluates all guards first, so such a guard would see the past); sets that touch the same key keep their order
over all batches; a batch is within the limits unless it is one single set that is too large by itself.

etcd's limit on operations, with each set as a nested transaction: (number of sets) + (writes or guards of the
widest set) <= 128. So 127 sets of one write, or 125 sets of three, fit in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

#: Bytes that a write or a guard takes in a request besides its key and value.
OVERHEAD = 48


class Keyed(Protocol):
    """A guard or a write. A write that sets a value has it as `value` (bytes)."""

    @property
    def key(self) -> str:
        """The key it is about."""


class Batchable(Protocol):
    """The shape of `ports.WriteSet`; the core does not know the ports."""

    @property
    def writes(self) -> Sequence[Keyed]:
        """What happens together."""

    @property
    def guards(self) -> Sequence[Keyed]:
        """Its conditions."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """`width`: etcd's --max-txn-ops. `size`: bytes of a request (etcd refuses 1.5 MiB).

    `look_ahead`: how many queued sets are looked at for one batch (bounds the work).
    """

    width: int = 128
    size: int = 1024 * 1024
    look_ahead: int = 1024


LIMITS = BatchLimits()


def size_of(one: Batchable) -> int:
    """Bytes that the set takes in a request, never too low."""
    total = OVERHEAD
    for write in one.writes:
        total += OVERHEAD + _bytes_of(write.key) + len(getattr(write, "value", b""))
    return total + sum(OVERHEAD + _bytes_of(guard.key) for guard in one.guards)


def _bytes_of(key: str) -> int:
    return len(key) if key.isascii() else len(key.encode("utf-8", "surrogateescape"))


def fits(sets: Sequence[Batchable], limits: BatchLimits = LIMITS) -> bool:
    """Whether these sets are within the limits of one transaction. Keys are not compared."""
    widest = max((_width(one) for one in sets), default=0)
    return len(sets) + widest <= limits.width and sum(map(size_of, sets)) <= limits.size


def next_batch(queue: Sequence[Batchable], limits: BatchLimits = LIMITS) -> tuple[int, ...]:
    """Indexes into `queue`, ascending, of the sets for the next transaction. Empty only for an empty queue.

    A set that has to wait for an earlier one is passed over, and so is whatever depends on it; one that has
    merely no room ends the batch, so that a large set is never overtaken for ever.
    """
    batch: list[int] = []
    keys = _Keys()
    widest = size = 0
    for index, one in enumerate(queue[: limits.look_ahead]):
        writes = {write.key for write in one.writes}
        guards = {guard.key for guard in one.guards}
        if keys.hinder(writes, guards):
            keys.pass_over(writes, guards)
            continue
        wider, larger = max(widest, _width(one)), size + size_of(one)
        if batch and (len(batch) + 1 + wider > limits.width or larger > limits.size):
            break
        batch.append(index)
        keys.take(writes)
        widest, size = wider, larger
    return tuple(batch)


def _width(one: Batchable) -> int:
    return max(len(one.writes), len(one.guards))


class _Keys:
    """The keys of the batch so far, and those of the sets that were passed over."""

    def __init__(self) -> None:
        self._written: set[str] = set()
        self._awaited_writes: set[str] = set()
        self._awaited_guards: set[str] = set()

    def hinder(self, writes: set[str], guards: set[str]) -> bool:
        """Whether a set must wait: for a write of this batch, or behind a set that waits itself."""
        return not (
            self._written.isdisjoint(writes)
            and self._written.isdisjoint(guards)
            and self._awaited_writes.isdisjoint(writes)
            and self._awaited_writes.isdisjoint(guards)
            and self._awaited_guards.isdisjoint(writes)
        )

    def take(self, writes: set[str]) -> None:
        self._written |= writes

    def pass_over(self, writes: set[str], guards: set[str]) -> None:
        self._awaited_writes |= writes
        self._awaited_guards |= guards
