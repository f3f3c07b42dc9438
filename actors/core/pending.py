"""What is declared and has neither jobs nor an outcome of its declared version yet, in the order of the declarations.

Guarantees: finding those that were declared before some revision costs as much as there are such. Does not decide what
is pending (that is `core.world`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from actors.core.model import Ref


class Pending:
    """Resources, each with the revision of its declaration."""

    def __init__(self) -> None:
        self._revision: dict[Ref, int] = {}
        self._order: list[tuple[int, Ref]] = []

    def put(self, ref: Ref, revision: int) -> None:
        """It is pending, as declared at that revision."""
        if self._revision.get(ref) != revision:
            self.discard(ref)
            self._revision[ref] = revision
            insort(self._order, (revision, ref))

    def discard(self, ref: Ref) -> None:
        """It is not."""
        revision = self._revision.pop(ref, None)
        if revision is not None:
            del self._order[bisect_left(self._order, (revision, ref))]

    def before(self, revision: int) -> Iterator[Ref]:
        """Those declared before that revision, the earliest first."""
        return (ref for _, ref in self._order[: bisect_left(self._order, (revision,))])
