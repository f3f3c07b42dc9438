"""Sessions of the `Store` port: keys that hang on a lease, over the fake and over a real etcd."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from actors.core.errors import ErrorClass
from actors.ports import Delete, Entry, Guard, Put, Store, WriteSet
from tests.contract.etcd_worlds import Recorder, World, fails


def fence(taken: Mapping[str, Entry], key: str = "/t/own") -> Guard:
    """The guard that a write of the owner carries."""
    return Guard(key, taken[key].mod_revision)


def test_only_one_owner(world: World, store: Store) -> None:
    """A key that is owned cannot be taken by another owner; its value names the owner."""
    mine = store.session(5)
    taken = mine.take(["/t/own"], "me")
    assert mine.valid()
    assert world.store().session(5).take(["/t/own"], "you") == {}
    assert taken == store.read(["/t/own"])[1]
    assert taken["/t/own"].value == b"me"


def test_many_keys_are_taken_at_once_as_far_as_they_are_free(world: World, store: Store) -> None:
    """Of 256 keys those that others hold are left alone; the rest is ours and hangs on the same lease."""
    other = world.store().session(600)
    held = {f"/t/{number}" for number in range(0, 256, 7)}
    assert other.take(sorted(held), "you").keys() == held
    mine = store.session(600)
    taken = mine.take([f"/t/{number}" for number in range(256)], "me")
    assert taken.keys() == {f"/t/{number}" for number in range(256)} - held
    assert {e.value for e in taken.values()} == {b"me"}
    mine.end()
    assert {e.key for e in store.page("/t/").entries} == held


def test_takeover_by_the_same_owner_fences_the_earlier_life(world: World, store: Store) -> None:
    """A restarted owner has the key at once, and what its earlier life still writes is refused."""
    first = store.session(5).take(["/t/own"], "me")
    second = world.store().session(5).take(["/t/own"], "me")
    assert first["/t/own"].create_revision == second["/t/own"].create_revision
    stale = WriteSet((Put("/t/a", b"1"),), (fence(first),))
    fresh = WriteSet((Put("/t/b", b"2"),), (fence(second),))
    assert store.commit([stale, fresh]).accepted == (False, True)


def test_taking_again_ends_the_former_fence(store: Store) -> None:
    """Whoever takes his own key again knows that nothing sent before can come late."""
    session = store.session(5)
    first, second = session.take(["/t/own"], "me"), session.take(["/t/own"], "me")
    assert first["/t/own"].create_revision == second["/t/own"].create_revision
    assert store.commit([WriteSet((Put("/t/a", b"1"),), (fence(first),))]).accepted == (False,)
    assert store.commit([WriteSet((Put("/t/a", b"1"),), (fence(second),))]).accepted == (True,)


def test_somebody_in_between_is_seen_by_the_term(world: World, store: Store) -> None:
    """A key that was lost and taken again has another create_revision."""
    first = store.session(600)
    before = first.take(["/t/own"], "me")
    first.end()
    between = world.store().session(600)
    assert between.take(["/t/own"], "you")
    between.end()
    assert (
        store.session(5).take(["/t/own"], "me")["/t/own"].create_revision > before["/t/own"].create_revision
    )


def test_the_end_of_an_earlier_life_leaves_the_later_its_key(world: World, store: Store) -> None:
    """Giving up a session whose key was taken over does not take the key from the successor."""
    first = store.session(5)
    first.take(["/t/own"], "me")
    second = world.store().session(5).take(["/t/own"], "me")
    first.end()
    assert store.commit([WriteSet((Put("/t/a", b"1"),), (fence(second),))]).accepted == (True,)


def test_the_end_frees_the_keys_at_once(world: World, store: Store) -> None:
    """After the end the key is gone, the session invalid, the fence broken, and another may take it."""
    mine = store.session(600)
    taken = mine.take(["/t/own"], "me")
    mine.end()
    assert not mine.valid()
    assert store.read(["/t/own"])[1] == {}
    assert store.commit([WriteSet((Put("/t/a", b"1"),), (fence(taken),))]).accepted == (False,)
    assert world.store().session(5).take(["/t/own"], "you")


def test_an_ended_session_takes_nothing(store: Store) -> None:
    """Nothing can be taken through a lease that has ended, not even a free key."""
    mine = store.session(600)
    mine.end()
    with fails(ErrorClass.NOT_FOUND, "LeaseNotFound"):
        mine.take(["/t/own"], "me")
    assert store.read(["/t/own"])[1] == {}


def test_closing_the_store_ends_its_sessions(world: World) -> None:
    """A clean stop does not make the successor wait."""
    closing, other = world.store(), world.store()
    mine = closing.session(600)
    mine.take(["/t/own"], "me")
    closing.close()
    assert not mine.valid()
    assert other.session(5).take(["/t/own"], "you")


@pytest.mark.parametrize("world", ["fake", "etcd", "secure-cluster"], indirect=True)  # it takes seconds
def test_a_dead_owner_loses_the_key_when_its_time_is_over(world: World, store: Store) -> None:
    """The key of a killed process vanishes by itself, and a watch sees that."""
    recorder = Recorder()
    store.watch("/t/", revision=store.page("/t/").revision, sink=recorder)
    world.own_and_die("/t/own", "me", 2)
    session = store.session(5)
    assert session.take(["/t/own"], "you") == {}
    world.until(lambda: Delete("/t/own") in recorder.changes())
    assert session.take(["/t/own"], "you")


@pytest.mark.parametrize("world", ["fake", "etcd"], indirect=True)  # it takes seconds
def test_an_owner_stays_owner_beyond_its_time(world: World, store: Store) -> None:
    """Leases are kept alive in the background, several at once."""
    owned = [store.session(2) for _ in range(20)]
    for number, session in enumerate(owned):
        assert session.take([f"/t/own{number}"], "me")
    for _ in range(2):  # long enough for one renewal not to suffice
        world.own_and_die("/t/own", "other", 2)
        world.until(lambda: "/t/own" not in store.read(["/t/own"])[1])
    # The dead owners' leases of the same length are over: only the kept ones are left.
    assert all(session.valid() for session in owned)
    assert len(store.page("/t/").entries) == 20
