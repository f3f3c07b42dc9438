"""A family of keys, one per resource, of which only the presence matters.

Guarantees: holds one reference per key and nothing of its value.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.core.keys import TypeTable
from actors.core.model import Ref


class RefKeys:
    """All keys below `root`. `find`: the resource of a key, as the object that others hold too."""

    def __init__(self, types: TypeTable, root: str, find: Callable[[str, str], Ref | None]) -> None:
        self._types, self._root, self._find = types, root, find
        #: The resources that have one.
        self.refs: set[Ref] = set()

    def put(self, key: str, _value: bytes, _revision: int, _created: int) -> Ref | None:
        """A key was written; returns the resource it is about."""
        ref = self._find(key, self._root)
        if ref is not None:
            self.refs.add(ref)
        return ref

    def delete(self, key: str) -> Ref | None:
        """A key vanished; returns the resource it was about."""
        ref = self._types.ref(key, self._root)
        if ref is not None:
            self.refs.discard(ref)
        return ref

    def keys(self) -> list[str]:
        """Those that are there."""
        return [self._root + self._types.path(ref) for ref in self.refs]
