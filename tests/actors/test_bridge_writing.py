"""The writing side of the EtcdBridge: fences, blame, doubt, bounds, conditions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actors import bridge_commits
from actors.core.errors import ErrorClass, PortError
from actors.core.ownership import VSHARDS, shard_key
from actors.messages import Committed, Owned
from actors.ports import Delete, Guard, Put, WriteSet
from tests.actors.bridge_rig import BridgeRig, once, ref_in

ONE, TWO = ref_in(1), ref_in(2)


@pytest.fixture
def rig() -> BridgeRig:
    """A bridge that owns everything."""
    made = BridgeRig()
    assert len(made.terms) == VSHARDS
    return made


def kind(rig: BridgeRig, rid: str) -> str:
    """How a request ended: "" for written, "guard", or the kind of its failure."""
    answer = rig.answers()[rid]
    if isinstance(answer, Committed):
        return ""
    return answer.failure.kind if answer.failure is not None else "guard"


def test_every_set_carries_the_fence_of_its_own_shard(rig: BridgeRig) -> None:
    """The last guard of each set is the key of its resource's virtual shard, as taken last."""
    rig.commit("a", Put("/state/a", b"1"), ref=ONE)
    rig.commit("b", Put("/state/b", b"1"), ref=TWO)
    rig.run()
    assert (kind(rig, "a"), kind(rig, "b")) == ("", "")
    fences = [one.guards[-1] for sets in rig.store.sent for one in sets if "/state/" in one.writes[0].key]
    expected = [shard_key(1), shard_key(2)]
    assert [fence.key for fence in fences] == expected
    assert all(rig.etcd.get(f.key).mod_revision == f.mod_revision for f in fences)  # type: ignore[union-attr]


def test_losing_one_shard_refuses_only_its_sets(rig: BridgeRig) -> None:
    """Somebody else holds shard 1 and we have not heard of it yet: its set is refused by etcd, the neighbour in the
    same transaction is written, and the shards hear what is left."""

    def steal(_sets: Sequence[WriteSet]) -> None:
        rig.store.before = lambda _: None
        rig.etcd.listeners.clear()  # our watch hears nothing
        rig.etcd.commit([WriteSet((Delete(shard_key(1)),))])
        assert rig.etcd.take(rig.etcd.grant(60), [shard_key(1)], "thief")

    rig.store.before = steal
    rig.commit("first", Put("/state/x", b"1"), ref=TWO)  # goes alone: the queue is pumped at once
    rig.commit("a", Put("/state/a", b"1"), ref=ONE)
    rig.commit("b", Put("/state/b", b"1"), ref=TWO)
    rig.run()
    assert (kind(rig, "a"), kind(rig, "b")) == ("OwnershipLost", "")
    assert (rig.get("/state/a"), rig.get("/state/b")) == (None, b"1")
    assert 1 not in rig.terms
    assert len(rig.terms) == VSHARDS - 1


def test_a_guard_that_fails_is_blamed_on_its_set(rig: BridgeRig) -> None:
    """Not the ownership, not the neighbours."""
    rig.commit("a", Put("/state/a", b"1"), ref=ONE, guards=(Guard("/state/none", 5),))
    rig.commit("b", Put("/state/b", b"1"), ref=ONE)
    rig.run()
    assert (kind(rig, "a"), kind(rig, "b")) == ("guard", "")
    assert len(rig.terms) == VSHARDS


def test_a_write_under_an_old_term_is_refused(rig: BridgeRig) -> None:
    """What was decided before the shard was lost and regained is void, although we own it again."""
    rig.commit("old", Put("/state/a", b"1"), ref=ONE)
    rig.run()
    old = rig.terms[1]
    rig.etcd.commit([WriteSet((Delete(shard_key(1)),))])
    rig.host.run()
    rig.run(1.0)
    assert 1 in rig.terms
    assert rig.terms[1] != old
    rig.messages = [m for m in rig.messages if not isinstance(m, Owned)]
    rig.messages.insert(0, Owned({1: old}))
    rig.commit("late", Put("/state/a", b"2"), ref=ONE)
    rig.run()
    assert kind(rig, "late") == "OwnershipLost"
    assert rig.get("/state/a") == b"1"


def test_a_process_that_stood_still_cannot_write() -> None:
    """Its lease is over, another owns everything, and it believes in itself: etcd refuses every set."""
    rig = BridgeRig(lying=True)
    rig.etcd.listeners.clear()
    for lease in rig.store._leases:
        rig.etcd.revoke(lease)
    assert len(rig.etcd.take(rig.etcd.grant(60), [shard_key(n) for n in range(VSHARDS)], "other")) == VSHARDS
    for number in range(20):
        rig.commit(str(number), Put(f"/state/{number}", b"1"), ref=ref_in(number))
    rig.run()
    assert {kind(rig, str(number)) for number in range(20)} == {"OwnershipLost"}
    assert all(rig.get(f"/state/{number}") is None for number in range(20))


def test_an_answer_that_was_lost_after_the_write_is_settled(rig: BridgeRig) -> None:
    """It happened: the requester hears so, and it is not written again."""
    rig.store.after = once(ErrorClass.IN_DOUBT, "Timeout")
    rig.commit("a", Put("/state/a", b"1"), Put("/esi-worker/b", b"1"), ref=ONE)
    rig.run()
    written = rig.etcd.get("/state/a")
    assert written is not None
    assert rig.answers()["a"] == Committed("a", written.mod_revision)


def test_a_write_that_did_not_happen_is_repeated(rig: BridgeRig) -> None:
    """Lost on its way there: it is sent again, before anything that came later to the same key."""
    rig.store.before = once(ErrorClass.IN_DOUBT, "Timeout")
    rig.commit("a", Put("/state/a", b"1"), ref=ONE)
    rig.commit("b", Put("/state/a", b"2"), ref=ONE)
    rig.run(1.0)
    assert (kind(rig, "a"), kind(rig, "b")) == ("", "")
    history = [getattr(c, "value", None) for _, cs in rig.etcd._history for c in cs if c.key == "/state/a"]
    assert history == [b"1", b"2"]


def test_a_lost_transaction_cannot_come_late(rig: BridgeRig) -> None:
    """One that was delayed somewhere and arrives after its doubt was settled is refused as a whole: the fence that it
    carries has ended, although the ownership has not."""
    terms = dict(rig.terms)
    rig.store.before = once(ErrorClass.IN_DOUBT, "Timeout")
    rig.commit("a", Put("/state/a", b"1"), ref=ONE)
    rig.run(1.0)
    delayed = rig.store.sent[-2]
    rig.commit("b", Put("/state/a", b"2"), ref=ONE)
    rig.run()
    assert [w.key for one in delayed for w in one.writes] == ["/state/a"]
    assert rig.etcd.commit(delayed).accepted == (False,)
    assert rig.get("/state/a") == b"2"
    assert rig.terms == terms


def test_doubt_while_etcd_is_away_waits(rig: BridgeRig) -> None:
    """Nothing else is written before the doubt is settled."""
    rig.store.after = once(ErrorClass.IN_DOUBT, "Timeout")
    rig.commit("a", Put("/state/a", b"1"), ref=ONE)
    rig.store.disconnect()
    rig.commit("b", Put("/state/b", b"1"), ref=ONE)
    rig.run(1.2)
    rig.store.reconnect()
    rig.run(2.0)
    answers = rig.answers()
    assert kind(rig, "a") in ("", "Unreachable")
    assert "b" in answers
    assert rig.get("/state/b") == (b"1" if kind(rig, "b") == "" else None)


def test_a_set_that_etcd_refuses_does_not_take_its_neighbours_along(rig: BridgeRig) -> None:
    """A refusal of the whole transaction is found out one by one."""

    def forbid(sets: Sequence[WriteSet]) -> None:
        if any(write.key.startswith("/forbidden") for one in sets for write in one.writes):
            raise PortError(ErrorClass.TERMINAL, "PermissionDenied", "permission denied")

    rig.store.before = forbid
    for number in range(10):
        name = "/forbidden" if number == 4 else f"/state/{number}"
        rig.commit(str(number), Put(name, b"1"), ref=ONE)
    rig.run()
    assert [kind(rig, str(number)) for number in range(10)].count("") == 9
    assert kind(rig, "4") == "PermissionDenied"


def test_an_over_size_value_is_a_named_condition(rig: BridgeRig) -> None:
    """It is refused alone, shown with its key, and forgotten when the key is written."""
    rig.commit("big", Put("/state/big", b"x" * 1_700_000), ref=ONE)
    rig.commit("small", Put("/state/small", b"1"), ref=ONE)
    rig.run()
    assert (kind(rig, "big"), kind(rig, "small")) == ("TooLarge", "")
    assert "/state/big (1700000 bytes)" in rig.health.conditions["TooLarge"]
    assert rig.health.up
    rig.commit("fits", Put("/state/big", b"x"), ref=ONE)
    rig.run()
    assert (kind(rig, "fits"), dict(rig.health.conditions)) == ("", {})


def test_a_full_store_is_a_named_condition_that_ends(rig: BridgeRig) -> None:
    """NOSPACE: the requester is told to come again, everybody that it is so; the first write that succeeds ends it."""

    def full(_sets: Sequence[WriteSet]) -> None:
        raise PortError(ErrorClass.QUOTA, "NoSpace", "mvcc: database space exceeded")

    rig.store.before = full
    rig.commit("a", Put("/state/a", b"1"), ref=ONE)
    rig.run()
    assert kind(rig, "a") == "NoSpace"
    assert rig.health.up
    assert "NoSpace" in rig.health.conditions
    rig.store.before = lambda _: None
    rig.commit("again", Put("/state/a", b"1"), ref=ONE)
    rig.run()
    assert kind(rig, "again") == ""
    assert "NoSpace" not in rig.health.conditions


def test_the_queue_is_bounded_by_number_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is refused at once with a name, and what was accepted is written."""
    for name, value in (("QUEUE_MAX", 5), ("QUEUE_BYTES_MAX", 5_000)):
        with monkeypatch.context() as patch:
            patch.setattr(bridge_commits, name, value)
            rig = BridgeRig()
            for number in range(30):
                rig.commit(str(number), Put(f"/state/{number}", b"x" * 1_000), ref=ONE)
            rig.run()
            kinds = [kind(rig, str(number)) for number in range(30)]
            assert set(kinds) == {"", "Busy"}, kinds
            assert sum(rig.get(f"/state/{n}") is not None for n in range(30)) == kinds.count("") < 30


def test_a_write_that_changes_nothing_is_left_out(rig: BridgeRig) -> None:
    """The same value again makes no revision, is answered as written, and its guards are checked all the same."""
    rig.commit("a", Put("/state/a", b"1"), ref=ONE)
    rig.run()
    before = rig.etcd.revision
    rig.commit("same", Put("/state/a", b"1"), ref=ONE)
    rig.commit("guarded", Put("/state/a", b"1"), ref=ONE, guards=(Guard("/state/none", 5),))
    rig.run()
    assert (kind(rig, "same"), kind(rig, "guarded")) == ("", "guard")
    assert rig.etcd.revision == before
    rig.etcd.commit([WriteSet((Delete("/state/a"),))])
    rig.run()
    rig.commit("needed", Put("/state/a", b"1"), ref=ONE)
    rig.run()
    assert rig.get("/state/a") == b"1"


def test_what_was_taken_away_before_we_heard_of_our_write_is_written_again(rig: BridgeRig) -> None:
    """The API server was quicker than the answer to our write: the same value is not left out the next time."""
    one, after = ref_in(0), rig.store.after

    def cleared_away(_sets: Sequence[WriteSet]) -> None:
        rig.etcd.commit([WriteSet((Delete("/state/x"),))])

    rig.store.after = cleared_away
    rig.commit("a", Put("/state/x", b"1"), ref=one)
    rig.run()
    assert rig.get("/state/x") is None
    rig.store.after = after
    rig.commit("b", Put("/state/x", b"1"), ref=one)
    rig.run()
    assert isinstance(rig.answers()["b"], Committed)
    assert rig.get("/state/x") == b"1"
