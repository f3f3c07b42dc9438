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
    known.seen("/b", 7)
    assert not known.same(Put("/a", b"1"))
    assert not known.same(Put("/b", b"1"))


def test_an_answer_that_comes_late_is_not_the_last_word() -> None:
    """Somebody's change was seen before we heard that our write had happened: the value may be gone."""
    known = Unchanged()
    for key, seen_at in (("/a", 6), ("/b", 5), ("/c", 4)):
        known.seen(key, seen_at)
        known.wrote((Put(key, b"1"),), 5)
    assert [known.same(Put(key, b"1")) for key in ("/a", "/b", "/c")] == [False, True, True]


def test_what_was_forgotten_may_have_been_seen() -> None:
    """Beyond the bound, after clearing, or where the watch had to begin anew, an older answer proves nothing."""
    bounded, cleared, begun = Unchanged(keys_max=1), Unchanged(), Unchanged()
    for known in (bounded, cleared):
        known.seen("/a", 6)
    bounded.seen("/b", 7)
    cleared.clear()
    begun.clear(6)
    for known in (bounded, cleared, begun):
        known.wrote((Put("/a", b"1"),), 5)
        assert not known.same(Put("/a", b"1"))
        known.wrote((Put("/a", b"1"),), 8)
        assert known.same(Put("/a", b"1"))


def test_it_is_bounded() -> None:
    """The longest unused are forgotten first."""
    known = Unchanged(keys_max=2)
    for revision, name in enumerate(("/a", "/b", "/c"), 1):
        known.wrote((Put(name, b"1"),), revision)
    assert [known.same(Put(name, b"1")) for name in ("/a", "/b", "/c")] == [False, True, True]


def test_clearing_forgets_all() -> None:
    """Whoever lost the right to write knows nothing any more."""
    known = Unchanged()
    known.wrote((Put("/a", b"1"),), 1)
    known.clear()
    assert not known.same(Put("/a", b"1"))
