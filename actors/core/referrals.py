"""Who refers to whom, as far as it was asked, and kept until something that it was told from changes.

Guarantees: what `known` and `referring` say was told from the present declarations and templates; finding whoever
refers to a resource costs as much as there are such, not as there are resources. Those that are `follow`ed and not
told (again) yet are `untold`: whoever wants to hear of all who refer to something tells of them first. Everything is
in the order in which it was told. Does not know how references are found (that is `core.ordering`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from actors.core.model import Ref

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class _Told:
    refers: tuple[Ref, ...]
    sources: tuple[Ref | str, ...]


class Referrals:
    """The index. A source of knowledge is a declaration (by its resource) or a template (by its id)."""

    def __init__(self) -> None:
        self._told: dict[Ref, _Told] = {}
        self._referring: dict[Ref, dict[Ref, None]] = {}
        self._readers: dict[Ref | str, dict[Ref, None]] = {}
        #: Not to be changed but by `follow`.
        self.followed: set[Ref] = set()
        self._untold: dict[Ref, None] = {}

    def known(self, ref: Ref) -> tuple[Ref, ...] | None:
        """What it refers to; None if that was not told, or has to be told again."""
        told = self._told.get(ref)
        return told.refers if told is not None else None

    def tell(self, ref: Ref, refers: Iterable[Ref], sources: Iterable[Ref | str]) -> None:
        """`ref` refers to those, by what those sources say now."""
        self._forget(ref)
        told = self._told[ref] = _Told(tuple(dict.fromkeys(refers)), tuple(dict.fromkeys(sources)))
        for other in told.refers:
            self._referring.setdefault(other, {})[ref] = None
        for source in told.sources:
            self._readers.setdefault(source, {})[ref] = None
        self._untold.pop(ref, None)

    def referring(self, ref: Ref) -> Iterable[Ref]:
        """Those that are known to refer to it."""
        return self._referring.get(ref, {})

    def follow(self, ref: Ref, *, followed: bool) -> None:
        """Whether who refers to what matters for `ref` as one that refers."""
        if not followed:
            if ref in self.followed:
                self.followed.discard(ref)
                self._untold.pop(ref, None)
                self._forget(ref)
        elif ref not in self.followed:
            self.followed.add(ref)
            if ref not in self._told:
                self._untold[ref] = None

    def untold(self) -> tuple[Ref, ...]:
        """Those that are followed and of which nothing is known now."""
        return tuple(self._untold)

    def changed(self, source: Ref | str) -> None:
        """A declaration or a template is another one now, or is gone: what was told from it is not known any more."""
        for ref in tuple(self._readers.get(source, ())):
            self._forget(ref)
            if ref in self.followed:
                self._untold[ref] = None

    def _forget(self, ref: Ref) -> None:
        told = self._told.pop(ref, None)
        if told is None:
            return
        for other in told.refers:
            _remove(self._referring, other, ref)
        for source in told.sources:
            _remove(self._readers, source, ref)


def _remove(index: dict[K, dict[Ref, None]], place: K, ref: Ref) -> None:
    those = index[place]
    those.pop(ref, None)
    if not those:
        del index[place]
