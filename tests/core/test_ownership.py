"""Who owns which virtual shard: properties for any members, and what follows from what etcd shows."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from actors.core.ownership import (
    VSHARDS,
    Claims,
    Moves,
    assign,
    member_key,
    shard_key,
    shard_number,
    vshard,
)

names = st.text(min_size=1, max_size=12)
members = st.sets(names, max_size=8)
ALL = tuple(range(VSHARDS))


@given(members)
def test_every_shard_has_one_owner_who_lives(living: set[str]) -> None:
    """All 256 are assigned, to members only, and to the same ones in whatever order they are named."""
    owners = assign(living)
    assert len(owners) == (VSHARDS if living else 0)
    assert set(owners) <= living
    assert assign(sorted(living, reverse=True)) == owners


@given(members, names)
def test_a_member_that_joins_moves_only_what_it_gets(living: set[str], joining: str) -> None:
    """Nothing moves between those that were there; read backwards: what a leaving one had is all that moves."""
    before, after = assign(living - {joining}), assign(living | {joining})
    assert all(new in (old, joining) for old, new in zip(before, after, strict=False))
    assert joining in after


def test_the_shares_are_about_even() -> None:
    """Of three controllers none has less than half or more than one and a half of a third."""
    for number in range(50):
        shares = Counter(assign({f"host{number}:{part}" for part in range(3)}))
        assert all(VSHARDS / 6 < share < VSHARDS / 2 for share in shares.values()), shares


def test_the_place_of_a_resource_never_changes() -> None:
    """The hash is part of the contract between controllers, so between versions."""
    assert [vshard("network a"), vshard("port \u00e9"), vshard("")] == [32, 159, 0]
    assert {vshard(f"network {number}") for number in range(5000)} == set(ALL)


@given(st.text(max_size=8))
def test_only_shard_keys_are_shard_keys(text: str) -> None:
    """Keys of others, leading zeros and foreign digits are no virtual shards; all 256 are."""
    number = shard_number(shard_key(0)[:-1] + text)
    assert number is None or shard_key(number) == shard_key(0)[:-1] + text
    assert [shard_number(shard_key(number)) for number in ALL] == list(ALL)
    assert shard_number("/state/7") is None


def claims(*living: str) -> Claims:
    """What `me` sees when these are members."""
    made = Claims("me")
    for number, name in enumerate(living):
        made.put(member_key(name), name, number + 1)
    return made


def test_alone_everything_free_is_taken() -> None:
    """Nothing is held: all is to be taken; all is held by us: nothing is to be done."""
    seen = claims("me")
    assert seen.moves({}) == Moves(ALL, (), ())
    for number in ALL:
        seen.put(shard_key(number), "me", 10)
    assert seen.moves(dict.fromkeys(ALL, 10)) == Moves((), (), ())


def test_what_an_earlier_life_holds_is_taken_again() -> None:
    """Our own name on a shard that we do not know of is ours to take; another's is not."""
    seen = claims("me")
    for number in ALL:
        seen.put(shard_key(number), "me" if number % 2 else "gone", 10)
    assert seen.moves({}).take == ALL[1::2]


def test_before_we_are_a_member_nothing_is_given_or_taken() -> None:
    """A list of members without us is old news: no reason to give anything."""
    seen = claims("other")
    for number in ALL:
        seen.put(shard_key(number), "me", 10)
    assert seen.moves(dict.fromkeys(ALL, 10)) == Moves((), (), ())


def test_what_etcd_shows_otherwise_is_doubtful() -> None:
    """A shard of ours that vanished, changed hands or was taken again is to be read before it is believed."""
    seen = claims("me")
    for number in ALL:
        seen.put(shard_key(number), "me", 10)
    owned = dict.fromkeys(ALL, 10)
    seen.delete(shard_key(3))
    seen.put(shard_key(4), "other", 11)
    seen.put(shard_key(5), "me", 12)
    assert seen.moves(owned) == Moves((), (), (3, 4, 5))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12))
def test_controllers_that_follow_the_moves_come_to_rest(story: list[tuple[str, bool]]) -> None:
    """However members come and go: after as many rounds as there are members every shard is held by its owner, and
    at no time is one held by two."""
    living: set[str] = set()
    holders: dict[int, tuple[str, int]] = {}
    owned: dict[str, dict[int, int]] = {name: {} for name in "abc"}
    revision = 0
    for name, joins in story:
        (living.add if joins else living.discard)(name)
        if not joins:
            owned[name] = {}
            holders = {n: held for n, held in holders.items() if held[0] != name}
    for _ in range(3):
        for name in sorted(living):
            seen = Claims(name)
            seen.listed(
                [(member_key(one), one, 1) for one in living]
                + [(shard_key(n), who, at) for n, (who, at) in holders.items()]
            )
            moves = seen.moves(owned[name])
            for number in moves.give:
                owned[name].pop(number, None)
                holders.pop(number, None)
            for number in moves.take:
                assert number not in holders or holders[number][0] == name
                revision += 1
                holders[number] = (name, revision)
                owned[name][number] = revision
    expected = dict(enumerate(assign(living)))
    assert {number: who for number, (who, _) in holders.items()} == expected
    assert {n: name for name in living for n in owned[name]} == expected
