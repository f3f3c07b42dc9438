"""Who waits for whom, the other way round: a resource → those that wait for it.

Guarantees: nobody is listed twice, and a resource for which nobody waits takes no room.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.core.model import Ref


class Waiters:
    """All waits of one shard."""

    def __init__(self) -> None:
        self._waiting: dict[Ref, set[Ref]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, waiter: Ref, awaited: Iterable[Ref]) -> None:
        """It waits for these."""
        for ref in awaited:
            self._waiting.setdefault(ref, set()).add(waiter)

    def remove(self, waiter: Ref, awaited: Iterable[Ref]) -> None:
        """It does not wait for these any more."""
        for ref in awaited:
            waiters = self._waiting.get(ref)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._waiting[ref]

    def of(self, ref: Ref) -> list[Ref]:
        """Those that wait for it, in order."""
        return sorted(self._waiting.get(ref, ()))
