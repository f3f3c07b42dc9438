"""Three real members: leaders and followers killed or frozen, quorum lost, under writes and a watch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.core.errors import PortError
from actors.ports import Compacted, Down, Entry, Up
from sim.etcd_cluster import RunningCluster, start_cluster
from sim.etcd_server import EtcdBinary
from tests.contract.etcd_worlds import Access, Recorder, puts, until


@pytest.fixture
def cluster(etcd_binary: EtcdBinary, tmp_path: Path) -> Iterator[RunningCluster]:
    """Three members of this test's own, to be ill-treated."""
    running = start_cluster(etcd_binary, tmp_path)
    yield running
    running.stop()


@pytest.fixture
def store_at(cluster: RunningCluster) -> Iterator[Callable[..., Any]]:
    """`store_at(first)`: a client of all members that tries this one first; closed at the end."""
    stores = []

    def make(first: int = 0, **options: Any) -> Any:
        order = cluster.endpoints[first:] + cluster.endpoints[:first]
        stores.append(Access(order).open(heartbeat_s=0.5, **{"timeout_s": 1.0, **options}))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def leader(cluster: RunningCluster) -> int:
    """The number of the member that leads."""
    from actors.adapters.etcd3_connection import rpc

    for number, endpoint in enumerate(cluster.endpoints):
        store = Access([endpoint]).open()
        connection = store._connection
        answer = connection.call(connection._client.maintenancestub.Status, rpc.StatusRequest(), writes=False)
        store.close()
        if answer.leader == answer.header.member_id:
            return number
    raise AssertionError("nobody leads")


@contextmanager
def counting(store: Any) -> Iterator[dict[str, int]]:
    """Counts two keys up in one transaction for as long as it lasts; what was acknowledged is in the result."""
    stop, acknowledged = threading.Event(), {"number": 0, "failed": 0}

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                store.commit([puts(a=str(number), b=str(number))])
            except PortError:
                acknowledged["failed"] += 1
                stop.wait(0.02)
            else:
                acknowledged["number"] = number

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        thread.join()


def check(recorder: Recorder, store: Any, acknowledged: int) -> None:
    """What was seen is etcd's own history: every revision, whole, once, in order; nothing acknowledged is missing."""
    final = {entry.key: entry.value for entry in store.page("/t/").entries}
    until(lambda: recorder.state == final)
    revisions = [change.mod_revision for change in recorder.changes() if isinstance(change, Entry)]
    assert sorted(set(revisions)) == list(range(revisions[0], revisions[-1] + 1))
    assert revisions == sorted(revisions)
    assert len(revisions) == 2 * len(set(revisions))
    assert int(final["/t/a"]) >= acknowledged
    assert Compacted not in recorder.kinds()
    entry = store.read(["/t/a"])[1]["/t/a"]
    assert revisions[-1] == entry.mod_revision


def test_each_member_killed_in_turn_loses_nothing(
    cluster: RunningCluster, store_at: Callable[..., Any]
) -> None:
    """Leader and followers die and come back under writes: the watch moves on, and misses and repeats nothing."""
    watching, writing = store_at(0), store_at(1)
    recorder = Recorder()
    watching.watch("/t/", revision=watching.page("/t/").revision, sink=recorder)
    with counting(writing) as acknowledged:
        until(lambda: acknowledged["number"] > 20)
        for number in (leader(cluster), 0, 1, 2):
            if not cluster.members[number].running:
                continue
            cluster.members[number].kill()
            before = acknowledged["number"]
            until(lambda before=before: acknowledged["number"] > before + 20)  # type: ignore[misc]
            cluster.restart(number)
    check(recorder, watching, acknowledged["number"])
    assert recorder.kinds().count(Up) == recorder.kinds().count(Down) + 1 >= 2


def test_a_frozen_member_is_left_for_another(cluster: RunningCluster, store_at: Callable[..., Any]) -> None:
    """A member that is connected but stands still is noticed by its silence; the others go on, nothing is lost."""
    follower = (leader(cluster) + 1) % 3
    watching, writing = store_at(follower), store_at((follower + 1) % 3)
    recorder = Recorder()
    watching.watch("/t/", revision=watching.page("/t/").revision, sink=recorder)
    with counting(writing) as acknowledged:
        until(lambda: len(recorder.changes()) > 20)
        cluster.members[follower].freeze()
        try:
            until(lambda: Down in recorder.kinds())
            until(lambda: recorder.kinds().count(Up) == 2, 30)
            seen = len(recorder.changes())
            until(lambda: len(recorder.changes()) > seen + 20)
        finally:
            cluster.members[follower].thaw()
    check(recorder, watching, acknowledged["number"])


def test_without_quorum_it_is_down_and_says_so(cluster: RunningCluster, store_at: Callable[..., Any]) -> None:
    """A member that lost the others must not look alive: the watch is Down, calls fail; with quorum it resumes."""
    watching, writing = store_at(0), store_at(0)
    recorder = Recorder()
    watching.watch("/t/", revision=watching.page("/t/").revision, sink=recorder)
    with counting(writing) as acknowledged:
        until(lambda: acknowledged["number"] > 20)
        cluster.members[1].kill()
        cluster.members[2].kill()
        until(lambda: Down in recorder.kinds(), 20)
        with pytest.raises(PortError):
            watching.page("/t/")
        failed = acknowledged["failed"]
        until(lambda: acknowledged["failed"] > failed + 2)
        cluster.members[1] = cluster.launch(1)
        cluster.members[2] = cluster.launch(2)
        until(lambda: all(member.healthy() for member in cluster.members), 30)
        before = acknowledged["number"]
        until(lambda: acknowledged["number"] > before + 20)
    check(recorder, watching, acknowledged["number"])


def test_a_session_survives_the_loss_of_its_member(
    cluster: RunningCluster, store_at: Callable[..., Any]
) -> None:
    """The lease is kept alive through another member, and its key stays."""
    number = leader(cluster)
    store = store_at(number)
    session = store.session(10)
    taken = session.take(["/t/own"], "me")
    cluster.members[number].kill()

    def alive() -> bool:
        try:
            return bool(store.read(["/t/own"])[1] == taken) and session.valid()
        except PortError:
            return False

    until(alive)
    other = store_at((number + 1) % 3)
    until(lambda: session._lease.deadline > session._lease.next_ask + 5)  # kept alive since
    assert other.session(10).take(["/t/own"], "you") == {}
