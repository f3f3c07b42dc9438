"""What the fake store offers to a simulator beyond the contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.core.errors import ErrorClass, PortError
from actors.ports import Changes, Compacted, Delete, Down, Put, Up, WriteSet
from sim.fake_etcd import FakeEtcd
from sim.fake_store import FakeStore
from tests.contract.etcd_worlds import Recorder, puts


class SetClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        """The time that was set."""
        return self.time


@pytest.fixture
def clock() -> SetClock:
    """Time zero."""
    return SetClock()


@pytest.fixture
def etcd(clock: SetClock) -> FakeEtcd:
    """An empty store."""
    return FakeEtcd(clock)


def test_a_broken_connection_is_down_and_resumes(etcd: FakeEtcd) -> None:
    """Requests fail while it is broken; afterwards the watch has all it missed, at once and in order."""
    store, other = FakeStore(etcd), FakeStore(etcd)
    recorder = Recorder()
    store.watch("/t/", revision=1, sink=recorder)
    store.disconnect()
    with pytest.raises(PortError) as caught:
        store.commit([puts(a="0")])
    assert caught.value.failure.error_class is ErrorClass.TRANSIENT
    other.commit([puts(a="1")])
    other.commit([puts(a="2")])
    store.reconnect()
    assert recorder.kinds() == [Up, Down, Up, Changes]
    assert recorder.state == {"/t/a": b"2"}
    assert recorder.revisions() == [3]


def test_compaction_during_a_break_is_told(etcd: FakeEtcd) -> None:
    """A watch that missed compacted changes hears so, and nothing more."""
    store, other = FakeStore(etcd), FakeStore(etcd)
    recorder = Recorder()
    store.watch("/t/", revision=1, sink=recorder)
    store.disconnect()
    other.commit([puts(a="1")])
    other.commit([puts(a="2")])
    etcd.compact(etcd.revision)
    store.reconnect()
    other.commit([puts(a="3")])
    assert recorder.kinds() == [Up, Down, Compacted]


def test_a_broken_connection_loses_leases_in_time(etcd: FakeEtcd, clock: SetClock) -> None:
    """The owner stops believing in its lease no later than the store; a short break does no harm."""
    store, other = FakeStore(etcd), FakeStore(etcd)
    short, long, rival = store.session(10), store.session(30), other.session(10)
    assert short.take(["/t/short"], "me")
    assert long.take(["/t/long"], "me")
    store.disconnect()
    assert etcd.next_expiry() == 10
    clock.time = 9.9
    assert short.valid()
    assert rival.take(["/t/short"], "you") == {}
    clock.time = 10.0
    assert not short.valid()
    assert rival.take(["/t/short"], "you")
    store.reconnect()
    clock.time = 1000.0
    assert long.valid()
    assert not short.valid()
    assert rival.take(["/t/long"], "you") == {}


def test_the_end_over_a_broken_connection_is_an_error(etcd: FakeEtcd) -> None:
    """The owner ceases at once, and is told that the others must wait."""
    store = FakeStore(etcd)
    mine = store.session(10)
    assert mine.take(["/t/own"], "me")
    store.disconnect()
    with pytest.raises(PortError):
        mine.end()
    assert not mine.valid()
    assert etcd.get("/t/own") is not None


def test_a_lost_answer_is_in_doubt(etcd: FakeEtcd) -> None:
    """A fault after the effect leaves the writes done, as a lost reply does."""

    def lose(point: str) -> None:
        if point == "commit.done":
            raise PortError(ErrorClass.IN_DOUBT, "Timeout", "no answer")

    with pytest.raises(PortError, match="no answer"):
        FakeStore(etcd, faults=lose).commit([puts(a="1")])
    assert etcd.get("/t/a") is not None


def test_deliveries_go_through_the_scheduler(etcd: FakeEtcd) -> None:
    """Nothing is delivered before the scheduler runs it, and a cancelled watch is not delivered at all."""
    calls: list[Callable[[], None]] = []
    store = FakeStore(etcd, scheduler=calls.append)
    recorder, cancelled = Recorder(), Recorder()
    store.watch("/t/", revision=1, sink=recorder)
    watch = store.watch("/t/", revision=1, sink=cancelled)
    store.commit([puts(a="1")])
    watch.cancel()
    assert recorder.events == []
    for call in calls:
        call()
    assert recorder.kinds() == [Up, Changes]
    assert cancelled.events == []


def test_a_sink_may_write(etcd: FakeEtcd) -> None:
    """A write from within a delivery is delivered after it, and revisions stay those of each write."""
    store = FakeStore(etcd)
    recorder = Recorder()

    def echo(event: object) -> None:
        recorder(event)  # type: ignore[arg-type]  # a WatchEvent; the sink's type is checked where it is given
        if isinstance(event, Changes) and "/t/echo" not in recorder.state:
            store.commit([puts(echo="1")])

    store.watch("/t/", revision=1, sink=echo)
    assert store.commit([puts(a="1")]).revision == 2
    assert recorder.revisions() == [2, 3]
    assert etcd.revision == 3


def test_history_is_kept_until_compaction(etcd: FakeEtcd) -> None:
    """Old pages stay readable; compaction drops what only they needed, deleted keys as well."""
    store = FakeStore(etcd)
    store.commit([puts(a="1", b="1")])
    store.commit([WriteSet((Put("/t/a", b"2"),))])
    assert [e.value for e in store.page("/t/", revision=2).entries] == [b"1", b"1"]
    etcd.compact(3)
    assert [e.value for e in store.page("/t/", revision=3).entries] == [b"2", b"1"]
    with pytest.raises(PortError, match="Compacted"):
        store.page("/t/", revision=2)


def test_bytes_in_use_are_those_of_what_is_kept(etcd: FakeEtcd) -> None:
    """Every version of a key counts until it is compacted; what was deleted before that takes nothing."""
    etcd.commit([WriteSet((Put("a", b"12345"), Put("é", b"1")))])
    etcd.commit([WriteSet((Put("a", b""),))])
    assert etcd.bytes_in_use() == (1 + 5) + (2 + 1) + 1
    etcd.commit([WriteSet((Delete("é"),))])
    assert etcd.bytes_in_use() == 10
    etcd.compact(etcd.revision)
    assert etcd.bytes_in_use() == 1
    etcd.commit([WriteSet((Delete("a"),))])
    etcd.compact(etcd.revision)
    assert etcd.bytes_in_use() == 0
