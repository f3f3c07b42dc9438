"""The `Store` port: one suite over the fake and over a real etcd."""

from __future__ import annotations

import pytest

from actors.core.errors import ErrorClass
from actors.ports import Changes, Compacted, Delete, Entry, Guard, Put, Store, Up, WriteSet
from tests.contract.etcd_worlds import Recorder, World, fails, puts

# ------------------------------------------------------------------------------------------------- reading


def test_pages_show_one_revision_in_key_order(store: Store) -> None:
    """Paging sees every key once, as of the first page, although keys change, come and go meanwhile."""
    store.commit([puts(**{f"k{i}": "old" for i in range(5)})])
    first = store.page("/t/", limit=2)
    store.commit([WriteSet((Put("/t/k3", b"new"), Delete("/t/k4"), Put("/t/k2a", b"new")))])
    entries, page = list(first.entries), first
    while page.more:
        page = store.page("/t/", after=entries[-1].key, limit=2, revision=first.revision)
        entries += page.entries
        assert page.revision == first.revision
    assert [(e.key, e.value) for e in entries] == [(f"/t/k{i}", b"old") for i in range(5)]


def test_page_keeps_to_its_prefix(store: Store) -> None:
    """A page holds the keys of the prefix only, and the empty prefix holds all."""
    store.commit([WriteSet(tuple(Put(key, b"") for key in ("/s/z", "/t/a", "/t/\u00e9", "/t0")))])
    assert [e.key for e in store.page("/t/").entries] == ["/t/a", "/t/\u00e9"]
    assert [e.key for e in store.page("").entries] == ["/s/z", "/t/a", "/t/\u00e9", "/t0"]
    assert not store.page("/t/").more


def test_page_tells_revisions_of_entries(store: Store) -> None:
    """An entry knows which revision created it and which wrote it last."""
    created = store.commit([puts(a="1")]).revision
    written = store.commit([puts(a="2")]).revision
    assert store.page("/t/").entries == (Entry("/t/a", b"2", written, created),)


def test_page_of_a_compacted_revision_is_refused(world: World, store: Store) -> None:
    """History that is gone is a conflict: list anew."""
    old = store.commit([puts(a="1")]).revision
    store.commit([puts(a="2")])
    world.compact()
    with fails(ErrorClass.CONFLICT, "Compacted"):
        store.page("/t/", revision=old)


def test_page_of_a_future_revision_is_refused(store: Store) -> None:
    """A revision that the store has not reached is never answered with present data."""
    with fails(ErrorClass.CONFLICT, "FutureRevision"):
        store.page("/t/", revision=10**9)


def test_large_values_are_read_in_as_many_answers_as_they_need(store: Store) -> None:
    """70 MB under one prefix, each value as large as etcd takes it, can be listed and read."""
    keys = [f"/t/{i:02}" for i in range(50)]
    for key in keys:
        store.commit([WriteSet((Put(key, key.encode() + b"x" * 1_400_000),))])
    page, names = store.page("/t/"), list[str]()
    while True:
        names += [entry.key for entry in page.entries if entry.value.startswith(entry.key.encode())]
        if not page.more:
            break
        page = store.page("/t/", after=names[-1], revision=page.revision)
    assert names == keys
    assert list(store.read(keys)[1]) == keys


def test_read_gives_present_entries_of_one_revision(store: Store) -> None:
    """Reading more keys than fit one request gives those that exist, and the revision."""
    keys = [f"/t/{i:03}" for i in range(250)]
    written = [
        store.commit([WriteSet(tuple(Put(key, key.encode()) for key in keys[i : i + 100]))]).revision
        for i in (0, 100)
    ]
    revision, entries = store.read([*keys, "/t/none"])
    assert revision == written[-1]
    assert sorted(entries) == keys[:200]
    assert entries[keys[7]] == Entry(keys[7], keys[7].encode(), written[0], written[0])


def test_read_of_nothing_gives_the_revision(store: Store) -> None:
    """No keys, no entries, but a revision."""
    revision = store.commit([puts(a="1")]).revision
    assert store.read([]) == (revision, {})


# ------------------------------------------------------------------------------------------------- writing


def test_a_refused_set_does_not_hinder_its_neighbours(store: Store) -> None:
    """Guards decide per set: the refused set writes nothing, the others all they have, in one revision."""
    before = store.commit([puts(a="1", b="1")]).revision
    result = store.commit(
        [
            WriteSet((Put("/t/a", b"2"), Put("/t/c", b"2")), (Guard("/t/a", before),)),
            WriteSet((Put("/t/b", b"2"), Put("/t/d", b"2")), (Guard("/t/b", before), Guard("/t/x", before))),
            WriteSet((Put("/t/e", b"2"),), (Guard("/t/e", 0),)),
            WriteSet((Put("/t/f", b"2"),), (Guard("/t/a", 0),)),
        ]
    )
    assert result.accepted == (True, False, True, False)
    entries = {e.key: (e.value, e.mod_revision) for e in store.page("/t/").entries}
    new = (b"2", result.revision)
    assert entries == {"/t/a": new, "/t/b": (b"1", before), "/t/c": new, "/t/e": new}
    assert result.revision == before + 1


def test_guards_see_the_store_before_the_transaction(store: Store) -> None:
    """A guard on a key that a neighbour writes is decided by what was there before."""
    result = store.commit([puts(a="1"), WriteSet((Put("/t/b", b"1"),), (Guard("/t/a", 0),))])
    assert result.accepted == (True, True)


def test_delete_removes_and_may_meet_nothing(store: Store) -> None:
    """Deleting a missing key is accepted, and makes no revision if nothing else happens."""
    before = store.commit([puts(a="1")]).revision
    assert store.commit([WriteSet((Delete("/t/none"),))]).revision == before
    result = store.commit([WriteSet((Delete("/t/a"), Delete("/t/none")))])
    assert (result.accepted, result.revision) == ((True,), before + 1)
    assert store.page("/t/").entries == ()


def test_a_recreated_key_does_not_match_an_old_guard(store: Store) -> None:
    """A guard names one write, not one value."""
    old = store.commit([puts(a="1")]).revision
    store.commit([WriteSet((Delete("/t/a"),))])
    store.commit([puts(a="1")])
    result = store.commit([WriteSet((Put("/t/a", b"2"),), (Guard("/t/a", old),))])
    assert result.accepted == (False,)


@pytest.mark.parametrize(
    ("sets", "kind"),
    [
        ([puts(a="1"), puts(a="2")], "DuplicateKey"),
        ([puts(**{f"k{i}": "1"}) for i in range(128)], "TooManyOperations"),
        ([WriteSet((Put("/t/a", b"x" * 1_700_000),))], "TooLarge"),
    ],
)
def test_what_etcd_refuses_is_invalid(store: Store, sets: list[WriteSet], kind: str) -> None:
    """A request beyond the limits is refused as a whole, with a name for the reason."""
    with fails(ErrorClass.INVALID, kind):
        store.commit(sets)
    assert store.page("/t/").entries == ()


@pytest.mark.parametrize(("count", "width"), [(127, 1), (125, 3), (64, 64), (1, 127)])
def test_the_largest_batches_are_accepted(store: Store, count: int, width: int) -> None:
    """Sets plus writes of the widest set may be 128: the rule that the batching counts on."""
    sets = [WriteSet(tuple(Put(f"/t/{i}/{j}", b"x") for j in range(width))) for i in range(count)]
    assert store.commit(sets).accepted == (True,) * count


# ------------------------------------------------------------------------------------------------ watching


def test_watch_delivers_each_change_once_in_order(world: World, store: Store) -> None:
    """A watch from a page's revision sees all later changes under its prefix, and nothing else."""
    store.commit([puts(before="1")])
    recorder = Recorder()
    store.watch("/t/", revision=store.page("/t/").revision, sink=recorder)
    one = store.commit([puts(a="1", b="1")]).revision
    store.commit([WriteSet((Put("/other", b"x"),))])
    two = store.commit([WriteSet((Delete("/t/a"), Put("/t/b", b"2")))]).revision
    world.until(lambda: len(recorder.changes()) == 4)
    assert recorder.changes() == [
        Entry("/t/a", b"1", one, one),
        Entry("/t/b", b"1", one, one),
        Delete("/t/a"),
        Entry("/t/b", b"2", two, one),
    ]
    assert recorder.kinds()[0] is Up


def test_watch_resumes_after_a_revision(world: World, store: Store) -> None:
    """A watch that starts in the past catches up with exactly the later revisions, never a part of one."""
    store.commit([puts(a="0", b="0")])
    seen = store.commit([puts(a="1", b="1")]).revision
    revisions = [store.commit([puts(a=str(i), b=str(i))]).revision for i in range(2, 30)]
    recorder = Recorder()
    store.watch("/t/", revision=seen, sink=recorder)
    world.until(lambda: len(recorder.changes()) == 2 * len(revisions))
    found = [change.mod_revision for change in recorder.changes() if isinstance(change, Entry)]
    assert found == [revision for revision in revisions for _ in "ab"]
    assert recorder.revisions()[-1] == revisions[-1]
    batches = [event.puts_and_deletes for event in recorder.events if isinstance(event, Changes)]
    assert all(len(batch) % 2 == 0 for batch in batches)


def test_watch_into_compacted_history_says_so_and_ends(world: World, store: Store) -> None:
    """If changes were lost, the consumer hears Compacted, and nothing after it."""
    old = store.commit([puts(a="1")]).revision
    store.commit([puts(a="2")])
    world.compact()
    recorder = Recorder()
    store.watch("/t/", revision=old, sink=recorder)
    world.until(lambda: Compacted in recorder.kinds())
    control = Recorder()
    store.watch("/t/", revision=store.commit([puts(a="3")]).revision - 1, sink=control)
    world.until(lambda: len(control.changes()) == 1)
    assert recorder.kinds() == [Compacted]


def test_watch_of_a_revision_not_reached_is_another_store(world: World, store: Store) -> None:
    """A store that is behind what we know was restored or wiped: list again."""
    recorder = Recorder()
    store.watch("/t/", revision=store.page("/t/").revision + 1000, sink=recorder)
    world.until(lambda: recorder.kinds() == [Compacted])


def test_compaction_does_not_disturb_a_running_watch(world: World, store: Store) -> None:
    """A watch that is up to date goes on over a compaction."""
    recorder = Recorder()
    store.watch("/t/", revision=store.commit([puts(a="1")]).revision, sink=recorder)
    store.commit([puts(a="2")])
    world.until(lambda: len(recorder.changes()) == 1)
    world.compact()
    store.commit([puts(a="3")])
    world.until(lambda: len(recorder.changes()) == 2)
    assert Compacted not in recorder.kinds()


def test_a_cancelled_watch_is_silent(world: World, store: Store) -> None:
    """After cancel no event comes; another watch of the same store goes on."""
    recorder, other = Recorder(), Recorder()
    revision = store.page("/t/").revision
    watch = store.watch("/t/", revision=revision, sink=recorder)
    store.watch("/t/", revision=revision, sink=other)
    world.until(lambda: recorder.kinds() == other.kinds() == [Up])
    watch.cancel()
    store.commit([puts(a="1")])
    world.until(lambda: len(other.changes()) == 1)
    assert recorder.kinds() == [Up]


def test_compacted_history_is_gone_and_compacting_again_is_no_error(store: Store) -> None:
    """History before a revision can be dropped; what is present stays."""
    old = store.commit([puts(a="1")]).revision
    new = store.commit([puts(a="2")]).revision
    store.compact(new)
    store.compact(new)
    with fails(ErrorClass.CONFLICT, "Compacted"):
        store.page("/t/", revision=old)
    assert store.page("/t/", revision=new).entries[0].value == b"2"


def test_status_tells_version_size_and_alarms(world: World, store: Store) -> None:
    """The server says how much room its data takes; no alarm is raised in a healthy one."""
    before = store.status()
    for number in range(8):
        store.commit([WriteSet((Put(f"/t/{number}", b"x" * 100_000),))])
    world.until(lambda: store.status().bytes_in_use >= before.bytes_in_use + 700_000)
    after = store.status()
    assert (after.version, after.alarms) == (store.version(), ())


def test_version_is_that_of_a_server(store: Store) -> None:
    """`version` is what etcd says, three numbers."""
    assert len([int(part) for part in store.version().split(".")]) == 3


def test_a_closed_store_refuses(store: Store) -> None:
    """Calls after close are PortErrors; closing again is harmless."""
    store.close()
    store.close()
    with fails(ErrorClass.TRANSIENT, "Closed"):
        store.page("/t/")
    with fails(ErrorClass.TRANSIENT, "Closed"):
        store.commit([puts(a="1")])
