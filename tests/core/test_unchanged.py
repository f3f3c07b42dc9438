"""Writes that would change nothing: never one too many."""

from __future__ import annotations

from actors.core.unchanged import Unchanged
from actors.ports import Delete, Put


def test_the_same_value_again_is_the_same() -> None:
    """Byte for byte what was written last; anything else is not."""
    known = Unchanged()
    assert not known.same(Put("/a", b"1"))
    known.wrote((Put("/a", b"1"),), 5)
    assert known.same(Put("/a", b"1"))
    assert not known.same(Put("/a", b"2"))
    assert not known.same(Put("/b", b"1"))


def test_a_deletion_forgets() -> None:
    """After our own deletion the same value must be written again."""
    known = Unchanged()
    known.wrote((Put("/a", b"1"),), 5)
    known.wrote((Delete("/a"),), 6)
    assert not known.same(Put("/a", b"1"))


def test_what_others_do_forgets_and_our_own_echo_does_not() -> None:
    """The watch shows our own write again; a later one, or a deletion, is somebody else's."""
    known = Unchanged()
    known.wrote((Put("/a", b"1"), Put("/b", b"1")), 5)
    known.seen("/a", 5)
    known.seen("/b", 4)
    assert known.same(Put("/a", b"1"))
    assert known.same(Put("/b", b"1"))
    known.seen("/a", 6)
    known.seen("/b", 0)
    assert not known.same(Put("/a", b"1"))
    assert not known.same(Put("/b", b"1"))


def test_it_is_bounded() -> None:
    """The longest unused are forgotten first."""
    known = Unchanged(keys_max=2)
    for name in ("/a", "/b", "/c"):
        known.wrote((Put(name, b"1"),), 1)
    assert [known.same(Put(name, b"1")) for name in ("/a", "/b", "/c")] == [False, True, True]


def test_clearing_forgets_all() -> None:
    """Whoever lost the right to write knows nothing any more."""
    known = Unchanged()
    known.wrote((Put("/a", b"1"),), 1)
    known.clear()
    assert not known.same(Put("/a", b"1"))
