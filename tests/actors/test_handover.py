"""A controller that joins gets its share by a drain: nothing half done, nothing owned by two, below a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thespian.actors import ActorExitRequest

from actors.core.model import Ref
from actors.core.ownership import VSHARDS, member_key, shard_key
from actors.handover import DRAIN_S, Recordings
from actors.messages import Committed, Owned, Report, Rested, Subscribe, Tenure, Topology
from actors.ports import Delete, Entry, Put, WriteSet
from tests.actors.bridge_rig import BridgeRig, ref_in


def joined() -> tuple[BridgeRig, BridgeRig]:
    """One that owns everything, and one that has just become a member."""
    first = BridgeRig(owner="first")
    first.run(1.0)
    assert len(first.terms) == VSHARDS
    second = BridgeRig(first.etcd, first.host, "second")
    first.run()
    return first, second


def leaving(rig: BridgeRig) -> frozenset[int]:
    """What the shards were told last to be leaving."""
    found: frozenset[int] = rig.of(Owned)[-1].leaving
    return found


def rest(rig: BridgeRig) -> None:
    """Say that nothing of it is under way."""
    rig.tell(Rested(rig.of(Owned)[-1].round))


def test_nothing_is_given_to_one_that_cannot_act_yet() -> None:
    """A controller becomes a member when both its shards have their mirrors, not while the first is being listed."""
    first = BridgeRig(owner="first")
    first.run(1.0)
    second = BridgeRig(first.etcd, first.host, "second", shards=2)
    second.subscribe()
    first.run(5.0)
    assert leaving(first) == frozenset()
    assert first.get(member_key("second")) is None
    second.tell(Subscribe(1, 1))
    first.run(0.05)
    assert leaving(first)


def test_a_new_bridge_of_an_owner_need_not_wait() -> None:
    """Its shards have the mirror that the one before gave them: it takes what is its own before it lists again."""
    before = BridgeRig(owner="me")
    before.run(1.0)
    before.host.crash(before.address)
    after = BridgeRig(before.etcd, before.host, "me", shards=1)
    after.run(0.1)
    assert after.terms == before.terms


def test_who_is_told_of_ownerships_hears_up_to_which_that_is() -> None:
    """The highest term ever had, also when that has gone to another: a request under a later one is not ended."""
    first, second = joined()
    highest = max(first.terms.values())
    rest(first)
    second.run(0.5)
    assert first.of(Owned)[-1].newest == highest
    assert second.of(Owned)[-1].newest == max(second.terms.values()) > highest


def test_what_leaves_is_kept_until_it_rests() -> None:
    """The old owner says what leaves and goes on writing there; once its shards rest the other has it at once."""
    first, second = joined()
    wanted = leaving(first)
    assert 60 < len(wanted) < VSHARDS - 60
    assert len(first.terms) == VSHARDS
    assert second.terms == {}
    one = ref_in(min(wanted))
    first.commit("w", Put("/state/x", b"1"), ref=one)
    first.run(DRAIN_S / 2)
    assert isinstance(first.answers()["w"], Committed)
    assert second.terms == {}
    rest(first)
    second.run(0.02)
    assert set(second.terms) == wanted
    assert set(first.terms) == set(range(VSHARDS)) - wanted
    assert leaving(first) == frozenset()


def test_what_never_rests_is_given_after_its_time() -> None:
    """A shard that does not answer delays a hand-over by the time of a drain and no longer."""
    first, second = joined()
    wanted = leaving(first)
    first.run(DRAIN_S - 0.1)
    second.run()
    assert second.terms == {}
    first.run(0.2)
    second.run()
    assert set(second.terms) == wanted
    assert first.terms.keys() & second.terms.keys() == set()


def test_nothing_is_begun_in_heat_for_what_leaves() -> None:
    """From the beginning of the drain on, whatever a resource asks for that has not heard of it; again if it stays."""
    first, second = joined()
    wanted, heat = leaving(first), first.host.external("heat")
    first.tell(Topology(2, first.address, (heat,), (), (first.outside,)))
    told = [message for message in first.host.take(heat) if isinstance(message, Tenure)]
    assert set(told[-1].terms) == set(range(VSHARDS)) - wanted
    second.host.tell(second.address, ActorExitRequest())
    first.run(0.05)
    told = [message for message in first.host.take(heat) if isinstance(message, Tenure)]
    assert dict(told[-1].terms) == first.terms
    assert len(first.terms) == VSHARDS


def test_an_answer_about_another_round_gives_nothing_away() -> None:
    """What was said before this set of shards began to leave says nothing about it."""
    first, second = joined()
    first.tell(Rested(first.of(Owned)[-1].round - 1))
    second.run(0.05)
    assert second.terms == {}


def test_if_the_other_goes_again_everything_stays() -> None:
    """The joiner ends during the drain: nothing was given, the terms are the same, nothing leaves any more."""
    first, second = joined()
    before = dict(first.terms)
    assert leaving(first)
    second.host.tell(second.address, ActorExitRequest())
    first.run(0.05)
    assert leaving(first) == frozenset()
    assert first.terms == before
    first.run(2 * DRAIN_S)
    assert first.terms == before


def test_what_becomes_free_while_it_is_looked_up_is_taken() -> None:
    """Another had our shard when we looked, and has given it back by the time we hear of that: it does not stay with
    nobody."""
    rig = BridgeRig(owner="me")
    rig.run(1.0)
    key, read = shard_key(7), rig.store.read

    def looked_up(names: Sequence[str]) -> tuple[int, Mapping[str, Entry]]:
        answer = read(names)
        if key in names and answer[1][key].value == b"other":
            rig.etcd.commit([WriteSet((Delete(key),))])
        return answer

    rig.store.read = looked_up  # type: ignore[assignment, method-assign]
    rig.etcd.commit([WriteSet((Put(key, b"other"),))])
    rig.run(0.1)
    assert rig.get(key) == b"me"
    assert 7 in rig.terms


def report(one: Ref, stage: str) -> Report:
    """Where it is."""
    return Report(one, 1, stage, "", {})


def test_a_shard_rests_when_the_last_recording_is_written() -> None:
    """Recordings in what leaves are waited for, those elsewhere are not; each end of them may be the last."""
    mine, other, gone = ref_in(3), ref_in(4), ref_in(5)
    recordings = Recordings()
    told = Owned({3: 1, 4: 1, 5: 1}, frozenset({3, 5}), 7)
    reports = [
        report(mine, "recording-job"),
        report(other, "recording-plan"),
        report(gone, "recording-state"),
    ]
    assert recordings.begin(told, reports) is None
    assert recordings.reported(report(other, "waiting")) is None
    assert recordings.reported(report(mine, "waiting")) is None
    assert recordings.gone(gone) == Rested(7)
    assert recordings.reported(report(mine, "recording-state")) is None
    assert recordings.begin(told, reports) is None  # told again, as every few seconds
    assert recordings.reported(report(mine, "settled")) == Rested(7)
    assert recordings.begin(Owned({4: 1}, frozenset(), 8), reports) is None
