"""What is declared and has neither jobs nor an outcome of its declared version yet, by the revision of its declaration.

Guarantees: costs as much as is asked for, however much is pending. Does not decide what is (that is `core.world`).
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.core.model import Ref


class Pending:
    """Resources, each with the revision of its declaration."""

    def __init__(self) -> None:
        self._revision: dict[Ref, int] = {}

    def note(self, ref: Ref, revision: int | None) -> None:
        """It is pending, as declared at that revision; None: it is not."""
        if revision is None:
            self._revision.pop(ref, None)
        else:
            self._revision[ref] = revision

    def among(self, refs: Iterable[Ref], revision: int) -> list[Ref]:
        """Those of `refs` that are pending and were declared before that revision, the earliest first."""
        found = ((self._revision[ref], ref) for ref in refs if ref in self._revision)
        return [ref for declared, ref in sorted(found) if declared < revision]

    def __contains__(self, ref: object) -> bool:
        return ref in self._revision
