"""Families of keys with one value per resource, as the mirror keeps them.

Guarantees: a key that names no resource of a known type is ignored; a value that cannot be read is a BadValue that
names the key, and what was known before stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from actors.core.keys import BadValue, TypeTable
from actors.core.members import reason
from actors.core.model import Ref

#: What a reader may raise for a value that it did not expect.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)

V = TypeVar("V")
Find = Callable[[str, str], Ref | None]


class Family(Generic[V]):
    """The keys `root + path`. `find` gives the resource of a key under a root; `decode` raises one of
    UNREADABLE for what is not `what`. `revisions`: when each was written last, if `dated`."""

    def __init__(
        self,
        types: TypeTable,
        root: str,
        find: Find,
        decode: Callable[[bytes], V],
        what: str = "",
        *,
        dated: bool = False,
    ) -> None:
        self._types, self._root, self._find, self._decode, self._what = types, root, find, decode, what
        self.values: dict[Ref, V] = {}
        self.revisions: dict[Ref, int] = {}
        self._dated = dated

    def put(self, key: str, value: bytes, revision: int, _created: int) -> Ref | None:
        """Take over one value. Raises BadValue."""
        ref = self._find(key, self._root)
        if ref is None:
            return None
        if self._dated:
            self.revisions[ref] = revision
        try:
            self.values[ref] = self._decode(value)
        except UNREADABLE as error:
            raise BadValue(f"{key}: not {self._what} ({type(error).__name__}: {reason(error)})") from error
        return ref

    def delete(self, key: str) -> Ref | None:
        """Forget one key."""
        ref = self._types.ref(key, self._root)
        if ref is not None:
            self.values.pop(ref, None)
            self.revisions.pop(ref, None)
        return ref

    def keys(self) -> list[str]:
        """All that are known."""
        return [self._root + self._types.path(ref) for ref in self.values]
