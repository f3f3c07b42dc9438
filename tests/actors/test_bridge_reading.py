"""The reading side of the EtcdBridge: listings with bounded memory, changes, resync; history and membership."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from thespian.actors import ActorExitRequest

from actors import bridge_feed, bridge_history
from actors.core.errors import ErrorClass, PortError
from actors.core.ownership import CONTROLLERS, VSHARDS, assign, shard_key
from actors.messages import Mirror, More
from actors.ports import Delete, Entry, Page, Put, WriteSet
from actors.runtime.pickling import dumps
from actors.runtime.wire import MAX_BODY
from sim.fake_etcd import FakeEtcd
from sim.fake_store import FakeSession
from tests.actors.bridge_rig import BridgeRig


def fill(etcd: FakeEtcd, count: int) -> None:
    """So many declarations."""
    for start in range(0, count, 100):
        keys = range(start, min(start + 100, count))
        etcd.commit([WriteSet((Put(f"/config/v2.0/networks/{n:06}", b"{}"),)) for n in keys])


def listed(rig: BridgeRig) -> list[str]:
    """The keys of all pages since the last first one."""
    pages = rig.pages()
    start = max(i for i, page in enumerate(pages) if page.number == 1)
    return [entry.key for page in pages[start:] for entry in page.entries]


@pytest.fixture
def rig() -> BridgeRig:
    """A bridge over 20,000 declarations."""
    made = BridgeRig()
    fill(made.etcd, 20_000)
    return made


def test_pages_are_fetched_as_they_are_taken(rig: BridgeRig) -> None:
    """A shard that takes nothing is sent two pages; each that it takes brings one more, all of one revision."""
    rig.subscribe()
    assert len(rig.pages()) == bridge_feed.PAGES_AHEAD
    rig.run(5.0)
    assert len(rig.pages()) == bridge_feed.PAGES_AHEAD
    while not rig.pages()[-1].last:
        before = len(rig.pages())
        rig.more()
        assert len(rig.pages()) == before + 1
    names = [key for key in listed(rig) if key.startswith("/config/")]
    assert names == sorted(set(names))
    assert len(names) == 20_000
    assert len({page.revision for page in rig.pages()}) == 1


def test_changes_during_a_listing_come_after_it(rig: BridgeRig) -> None:
    """Nothing falls between the listing and the changes, and nothing comes twice."""
    rig.subscribe()
    rig.etcd.commit([WriteSet((Put("/config/v2.0/networks/late", b"{}"),))])
    rig.run()
    assert rig.of(Mirror) == []
    while not rig.pages()[-1].last:
        rig.more()
    changes = [c.key for m in rig.of(Mirror) for one in m.changes for c in one.puts_and_deletes]
    assert changes == ["/config/v2.0/networks/late"]
    assert "/config/v2.0/networks/late" not in listed(rig)


def test_a_silent_shard_is_listed_again(rig: BridgeRig) -> None:
    """Its answer was lost: after a while it gets everything from the beginning."""
    rig.subscribe()
    rig.run(bridge_feed.SILENCE_S * 2 + 1)
    assert sum(page.number == 1 for page in rig.pages()) >= 2
    while not rig.pages()[-1].last:
        rig.more()
    assert len(listed(rig)) == 20_000


def test_a_page_of_the_listing_before_is_taken_in_the_midst_of_the_next(
    rig: BridgeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the next one does not go on where the other was: what it lists is whole."""
    rig.subscribe()
    page, told = rig.store.page, list[bool]()

    def meanwhile(prefix: str, *, after: str = "", revision: int = 0) -> Page:
        if not told:
            told.append(True)
            rig.host.tell(rig.address, More(0, 1), sender=rig.outside)
        return page(prefix, after=after, revision=revision)

    monkeypatch.setattr(rig.store, "page", meanwhile)
    rig.run(bridge_feed.SILENCE_S + 1)
    while not rig.pages()[-1].last:
        rig.more()
    assert told
    names = [key for key in listed(rig) if key.startswith("/config/")]
    assert len(names) == 20_000
    assert names == sorted(set(names))


def test_too_many_changes_during_a_listing_begin_it_again(
    rig: BridgeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held changes are bounded: a newer listing replaces them."""
    monkeypatch.setattr(bridge_feed, "HELD_MAX", 50)
    rig.subscribe()
    fill(rig.etcd, 200)
    rig.run()
    assert sum(page.number == 1 for page in rig.pages()) >= 2
    while not rig.pages()[-1].last:
        rig.more()
    assert listed(rig)[0] == "/config/v2.0/networks/000000"
    assert rig.pages()[-1].revision > rig.pages()[0].revision


def test_a_watch_that_lags_behind_the_listing_repeats_nothing_of_it() -> None:
    """What the watch shows after a listing that was newer is not told: it would take the mirror back into the past."""
    rig = BridgeRig()
    watch = rig.store._watches[-1]
    watch.disconnect("a member that lags")
    fill(rig.etcd, 2)
    rig.subscribe()
    watch.connect()
    rig.run()
    assert len(listed(rig)) == 2
    assert rig.of(Mirror) == []
    rig.etcd.commit([WriteSet((Delete("/config/v2.0/networks/000001"),))])
    rig.run()
    assert [message.number for message in rig.of(Mirror)] == [1]


def test_changes_are_told_in_messages_that_can_be_sent(rig: BridgeRig) -> None:
    """70 MB that changed during a listing, and as much at once after it, are more than the transport takes at once."""
    rig.subscribe()
    for turn in range(2):
        for number in range(70):
            rig.etcd.commit([WriteSet((Put(f"/config/v2.0/networks/{turn}{number}", b"x" * 1_000_000),))])
        rig.run()
        while not rig.pages()[-1].last:
            rig.more()
    told = rig.of(Mirror)
    assert sum(len(changes.puts_and_deletes) for message in told for changes in message.changes) == 140
    assert [message.number for message in told] == list(range(1, len(told) + 1))
    assert max(len(dumps(message)) for message in told) < MAX_BODY / 2


def test_after_a_compaction_everybody_is_listed_anew() -> None:
    """The watch missed history: a new listing, then the changes after it."""
    rig = BridgeRig()
    fill(rig.etcd, 10)
    rig.subscribe()
    assert rig.pages()[-1].last
    rig.store.disconnect()
    fill(rig.etcd, 20)
    rig.etcd.compact(rig.etcd.revision)
    rig.run()
    assert not rig.health.up
    since = rig.health.since
    rig.store.reconnect()
    rig.run(2.0)
    assert rig.health.up
    assert rig.health.since >= since
    assert len(listed(rig)) == 20
    fill(rig.etcd, 1)
    rig.run()
    assert rig.of(Mirror)


def test_since_when_etcd_is_away_is_told() -> None:
    """`since` is the beginning of the outage, whatever reasons follow each other during it."""
    rig = BridgeRig()
    rig.run(7.0)
    rig.store.disconnect("connection refused")
    rig.run(1.0)
    assert (rig.health.up, rig.health.since, rig.health.reason) == (False, 7.0, "connection refused")
    rig.run(30.0)
    assert (rig.health.up, rig.health.since) == (False, 7.0)
    assert rig.terms == {}
    rig.store.reconnect()
    rig.run(5.0)
    assert rig.health.up
    assert rig.health.since > 30.0
    assert len(rig.terms) == VSHARDS


def test_two_controllers_share_and_the_one_that_is_left_takes_all() -> None:
    """Joining moves a part, leaving moves it back; nothing is ever owned by two."""
    first = BridgeRig(owner="first")
    second = BridgeRig(first.etcd, first.host, "second")
    first.run(1.0)
    second.run(1.0)
    assert first.terms.keys() & second.terms.keys() == set()
    assert first.terms.keys() | second.terms.keys() == set(range(VSHARDS))
    assert min(len(first.terms), len(second.terms)) > 60
    second.host.tell(second.address, ActorExitRequest())
    first.run(0.1)
    assert len(first.terms) == VSHARDS
    assert [e.key for e in first.store.page(CONTROLLERS).entries] == [CONTROLLERS + "first"]


def test_a_controller_that_died_is_replaced_when_its_lease_ends() -> None:
    """Not before, and completely."""
    first = BridgeRig(owner="first", owner_ttl_s=10.0)
    second = BridgeRig(first.etcd, first.host, "second", owner_ttl_s=10.0)
    first.run(1.0)
    held = len(first.terms)
    assert 0 < held < VSHARDS
    second.host.crash(second.address)
    second.store.kill()
    first.run(9.0)
    assert len(first.terms) == held
    first.run(2.0)
    first.etcd.expire()
    first.run(1.0)
    assert len(first.terms) == VSHARDS


def test_another_bridge_of_the_same_boot_owns_at_once_under_the_same_terms() -> None:
    """A restarted bridge: actors go on with the terms that they know, writes of the life before are fenced."""
    before = BridgeRig(owner="me", owner_ttl_s=300.0)
    before.host.crash(before.address)
    after = BridgeRig(before.etcd, before.host, "me", owner_ttl_s=300.0)
    assert after.terms == before.terms
    assert before.etcd.get("/gatewright/shards/1").mod_revision > before.terms[1]  # type: ignore[union-attr]


@pytest.mark.parametrize("keeps", [True, False])
def test_history_is_compacted_by_one_controller_after_its_time(keeps: bool) -> None:
    """The owner of shard 0 keeps what it was told to, and no more; nobody else compacts."""
    first = BridgeRig(owner="first", history_s=60.0 if keeps else 0.0)
    second = BridgeRig(first.etcd, first.host, "second", history_s=0.0 if keeps else 60.0)
    first.run(1.0)
    second.run(1.0)
    compacting = keeps if 0 in first.terms else not keeps
    marks = {}
    for second_s in range(0, 200, 10):
        marks[second_s] = first.etcd.revision
        fill(first.etcd, 300)
        first.run(10.0)
    if compacting:
        assert marks[120] <= first.etcd.compacted <= marks[140]
    else:
        assert first.etcd.compacted == 0


def test_history_is_compacted_whoever_comes_and_goes() -> None:
    """Controllers that own shard 0 for a part of the time that history is kept, one after the other: it is kept for
    about that time, not for as long as this goes on."""
    first, marks = BridgeRig(owner="first", history_s=60.0), dict[float, int]()
    names = [name for name in map(str, range(100)) if assign(["first", name])[0] == name]
    for name in names[:8]:
        other = BridgeRig(first.etcd, first.host, name, history_s=60.0)
        first.run(20.0)
        assert first.get(shard_key(0)) == name.encode()
        other.host.tell(other.address, ActorExitRequest())
        for _ in range(2):
            marks[first.host.now] = first.etcd.revision
            fill(first.etcd, 300)
            first.run(10.0)
        assert first.get(shard_key(0)) == b"first"
    now = first.host.now
    kept = [revision for at, revision in marks.items() if at >= now - 60.0]
    gone = [revision for at, revision in marks.items() if at < now - 120.0]
    assert max(gone) <= first.etcd.compacted <= min(kept)


def test_a_burst_is_compacted_before_its_time() -> None:
    """History that takes more room than allowed is not kept for its time."""
    rig = BridgeRig(history_s=3600.0, history_bytes=1_000_000)
    for number in range(40):
        rig.etcd.commit([WriteSet((Put("/config/v2.0/networks/big", bytes([number]) * 100_000),))])
        rig.run(bridge_history.LOOK_S / 2)
    assert rig.etcd.bytes_in_use() < 2_000_000
    assert rig.etcd.compacted > 0


def test_history_that_may_not_be_shortened_is_a_named_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Etcd lets only root compact: that is told with its remedy for as long as it is so, and nothing stops."""
    rig = BridgeRig(history_s=10.0)
    compact = rig.store.compact

    def refuse(_revision: int) -> None:
        raise PortError(ErrorClass.TERMINAL, "PermissionDenied", "etcdserver: permission denied")

    monkeypatch.setattr(rig.store, "compact", refuse)
    fill(rig.etcd, 10)
    rig.run(30.0)
    assert "root" in rig.health.conditions["History"]
    assert rig.health.up
    monkeypatch.setattr(rig.store, "compact", compact)
    fill(rig.etcd, 10)
    rig.run(30.0)
    assert rig.health.conditions == {}
    assert rig.etcd.compacted > 0


def test_a_member_key_that_was_deleted_comes_back_even_if_the_first_try_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody deletes it, and etcd does not answer at that moment: it is tried again, and nothing is lost."""
    rig = BridgeRig(owner_ttl_s=10.0)
    before = dict(rig.terms)
    take, failed = FakeSession.take, list[int]()

    def fail_once(self: FakeSession, names: Sequence[str], owner: str) -> Mapping[str, Entry]:
        if not failed:
            failed.append(1)
            raise PortError(ErrorClass.TRANSIENT, "Timeout", "by the test")
        return take(self, names, owner)

    monkeypatch.setattr(FakeSession, "take", fail_once)
    rig.etcd.commit([WriteSet((Delete(CONTROLLERS + "me"),))])
    rig.run(5.0)
    assert failed
    assert rig.get(CONTROLLERS + "me") == b"me"
    assert rig.terms == before
