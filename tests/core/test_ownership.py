"""Who owns which virtual shard: properties for any members, and what follows from what etcd shows."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from actors.core.ownership import (
    VSHARDS,
    Claim,
    Claims,
    Holder,
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
    made.listed([Claim(member_key(name), name, number + 1) for number, name in enumerate(living)], 9)
    return made


def shows(seen: Claims, revision: int, *held: tuple[int, str]) -> None:
    """The watch shows that these were taken at that revision."""
    seen.changed([(shard_key(n), Claim(shard_key(n), who, revision)) for n, who in held], revision)


def test_alone_everything_free_is_taken() -> None:
    """Nothing is held: all is to be taken; all is held by us: nothing is to be done."""
    seen = claims("me")
    assert seen.moves({}) == Moves(ALL, (), ())
    shows(seen, 10, *((number, "me") for number in ALL))
    assert seen.moves(dict.fromkeys(ALL, 10)) == Moves((), (), ())


def test_what_an_earlier_life_holds_is_taken_again() -> None:
    """Our own name on a shard that we do not know of is ours to take; another's is not."""
    seen = claims("me")
    shows(seen, 10, *((number, "me" if number % 2 else "gone") for number in ALL))
    assert seen.moves({}).take == ALL[1::2]


def test_before_we_are_a_member_nothing_is_given_or_taken() -> None:
    """A list of members without us is old news: no reason to give anything."""
    seen = claims("other")
    shows(seen, 10, *((number, "me") for number in ALL))
    assert seen.moves(dict.fromkeys(ALL, 10)) == Moves((), (), ())


def test_what_etcd_shows_otherwise_is_doubtful() -> None:
    """A shard of ours that vanished, changed hands or was taken again is to be read before it is believed."""
    seen = claims("me")
    shows(seen, 10, *((number, "me") for number in ALL))
    owned = dict.fromkeys(ALL, 10)
    seen.changed([(shard_key(3), None)], 11)
    shows(seen, 12, (4, "other"))
    shows(seen, 13, (5, "me"))
    assert seen.moves(owned) == Moves((), (), (3, 4, 5))


def test_an_answer_that_comes_late_does_not_undo_what_was_shown() -> None:
    """Another held a shard when it was read, and had given it away by the time we hear of that: it is free."""
    seen = claims("me", "other")
    shows(seen, 10, (3, "other"))
    seen.changed([(shard_key(3), None)], 12)
    seen.learned(shard_key(3), Claim(shard_key(3), "other", 10), 11)
    assert 3 not in seen.holders


def test_the_watch_that_comes_late_does_not_undo_what_was_learned() -> None:
    """What we took is ours although the watch still shows what was before, in changes or in a listing."""
    seen = claims("me", "other")
    seen.learned(shard_key(3), Claim(shard_key(3), "me", 15), 15)
    shows(seen, 12, (3, "other"))
    assert seen.holders[3].owner == "me"
    seen.listed([Claim(shard_key(3), "other", 12)], 13)
    assert seen.holders[3].owner == "me"
    shows(seen, 16, (3, "third"))
    assert seen.holders[3].owner == "third"


def test_another_store_is_believed_whatever_was_learned() -> None:
    """Restored from a backup, its revisions are lower: what we knew of the one before means nothing."""
    seen = claims("me")
    shows(seen, 50)
    seen.learned(shard_key(3), Claim(shard_key(3), "me", 60), 60)
    seen.listed([Claim(shard_key(3), "other", 12)], 20)
    assert seen.holders[3].owner == "other"


writes = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["a", "b", None])), min_size=1, max_size=30)


@given(writes, st.data())
def test_whatever_is_learned_in_between_the_view_ends_as_etcd_is(
    story: list[tuple[int, str | None]], data: st.DataObject
) -> None:
    """The watch shows a history in order, in batches; answers as of any revision come at any time. A key is never
    older than it was, and with the last change everything is as it is."""
    past: list[dict[int, Holder]] = [{}]
    for revision, (number, who) in enumerate(story, 1):
        now = {n: held for n, held in past[-1].items() if n != number}
        past.append({**now, number: Holder(who, revision)} if who is not None else now)
    seen, shown = Claims("me"), 0
    newest = dict.fromkeys(range(3), 0)
    while shown < len(story):
        if data.draw(st.booleans()):
            number, at = data.draw(st.integers(0, 2)), data.draw(st.integers(0, len(story)))
            held = past[at].get(number)
            key = shard_key(number)
            seen.learned(key, Claim(key, held.owner, held.revision) if held is not None else None, at)
            newest[number] = max(newest[number], at)
        else:
            following = data.draw(st.integers(shown + 1, len(story)))
            batch = [(n, who, at) for at, (n, who) in enumerate(story[shown:following], shown + 1)]
            seen.changed(
                [(shard_key(n), Claim(shard_key(n), who, at) if who else None) for n, who, at in batch],
                following,
            )
            shown = following
            newest = {n: max(at, shown) for n, at in newest.items()}
        for number, at in newest.items():
            assert seen.holders.get(number) == past[at].get(number)
    assert seen.holders == past[-1]


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
                [Claim(member_key(one), one, 1) for one in living]
                + [Claim(shard_key(n), who, at) for n, (who, at) in holders.items()],
                revision,
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
