"""What only a real etcd can show: crashes, silence, restarts, load, and a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from actors.core.errors import ErrorClass, PortError
from actors.ports import Changes, Compacted, Down, Entry, Put, Up, WriteSet
from sim.etcd_server import EtcdBinary, RunningEtcd, start_etcd
from tests.contract.etcd_worlds import ROOT, Recorder, puts, until


@pytest.fixture
def etcd(etcd_binary: EtcdBinary, tmp_path: Path) -> Iterator[RunningEtcd]:
    """An etcd of this test's own, to be ill-treated."""
    running = start_etcd(etcd_binary, tmp_path, allow_unsafe=True)
    yield running
    running.stop()


@pytest.fixture
def restart(etcd_binary: EtcdBinary, etcd: RunningEtcd) -> Iterator[Callable[[Path], None]]:
    """Start another etcd at the same address, on the given data."""
    started: list[RunningEtcd] = []

    def start(data_dir: Path) -> None:
        started.append(start_etcd(etcd_binary, data_dir, ports=etcd.ports, allow_unsafe=True))

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def open_store() -> Iterator[Callable[..., Any]]:
    """Open stores that are closed at the end."""
    from actors.adapters.etcd3_store import EtcdStore

    stores = []

    def make(endpoints: str | list[str], **options: Any) -> EtcdStore:
        given = [endpoints] if isinstance(endpoints, str) else endpoints
        stores.append(EtcdStore(given, **{"heartbeat_s": 0.5, "timeout_s": 1.0, **options}))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def write_until_stopped(store: Any, stop: threading.Event, acknowledged: dict[str, int]) -> None:
    """Count three keys up, all in one transaction, as fast as can be; remember what was acknowledged."""
    number = 0
    while not stop.is_set():
        number += 1
        try:
            store.commit([puts(a=str(number), b=str(number), c=str(number))])
        except PortError:
            stop.wait(0.05)
        else:
            acknowledged["number"] = number


def test_a_crash_loses_and_repeats_nothing(
    etcd: RunningEtcd, restart: Callable[[Path], None], open_store: Callable[..., Any]
) -> None:
    """Over kill -9 and restart a watch delivers every revision once, whole, and ends equal to the store."""
    store, writer = open_store(etcd.endpoint), open_store(etcd.endpoint)
    recorder = Recorder()
    store.watch("/t/", revision=store.page("/t/").revision, sink=recorder)
    stop, acknowledged = threading.Event(), {"number": 0}
    thread = threading.Thread(target=write_until_stopped, args=(writer, stop, acknowledged))
    thread.start()
    try:
        until(lambda: acknowledged["number"] > 50)
        etcd.kill()
        until(lambda: Down in recorder.kinds())
        restart(etcd.data_dir)
        before = acknowledged["number"]
        until(lambda: acknowledged["number"] > before + 50)
    finally:
        stop.set()
        thread.join()
    final = {entry.key: entry.value for entry in store.page("/t/").entries}
    until(lambda: recorder.state == final)
    revisions = [change.mod_revision for change in recorder.changes() if isinstance(change, Entry)]
    assert revisions == sorted(revisions)
    assert all(revisions.count(revision) == 3 for revision in set(revisions[:30] + revisions[-300:]))
    assert sorted(set(revisions)) == list(range(revisions[0], revisions[-1] + 1))
    assert recorder.kinds().count(Down) == 1
    assert recorder.kinds().count(Up) == 2
    assert int(final["/t/a"]) >= acknowledged["number"]


def test_calls_fail_sorted_while_etcd_is_away_and_recover(
    etcd: RunningEtcd, restart: Callable[[Path], None], open_store: Callable[..., Any]
) -> None:
    """A refused connection is transient even for a write: nothing was sent. Afterwards all works again."""
    store = open_store(etcd.endpoint)
    store.commit([puts(a="1")])
    etcd.kill()

    def refused(call: Callable[[], Any]) -> bool:
        with pytest.raises(PortError) as caught:
            call()
        # The first call may still find the dying connection; what it did is then in doubt.
        assert caught.value.failure.error_class in (ErrorClass.TRANSIENT, ErrorClass.IN_DOUBT)
        return caught.value.failure.kind == "Unreachable"

    until(lambda: refused(lambda: store.commit([puts(a="2")])))
    assert refused(lambda: store.page("/t/"))
    assert refused(lambda: store.read(["/t/a"]))
    assert refused(lambda: store.session(5))
    assert refused(store.version)
    restart(etcd.data_dir)

    def recovered() -> bool:
        try:
            store.commit([puts(a="3")])
        except PortError:
            return False
        return True

    until(recovered)
    assert store.read(["/t/a"])[1]["/t/a"].value == b"3"


def test_an_absent_etcd_costs_little(etcd: RunningEtcd, open_store: Callable[..., Any]) -> None:
    """While etcd is away, watches and leases neither spin nor pile up threads."""
    store = open_store(etcd.endpoint)
    recorders = [Recorder() for _ in range(3)]
    for recorder in recorders:
        store.watch("/t/", revision=1, sink=recorder)
    assert store.session(5).take(["/t/own"], "me")
    until(lambda: all(Up in recorder.kinds() for recorder in recorders))
    threads = (process := psutil.Process()).num_threads()
    etcd.kill()
    until(lambda: all(Down in recorder.kinds() for recorder in recorders))
    before, began = process.cpu_times(), time.monotonic()
    peak = 0
    while time.monotonic() < began + 3:
        peak = max(peak, process.num_threads())
        time.sleep(0.05)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    assert used < 0.9, f"{used:.2f} s CPU in 3 s of outage"
    assert peak <= threads + 12
    assert all(recorder.kinds().count(Down) == 1 for recorder in recorders)


def test_a_frozen_etcd_is_noticed(etcd: RunningEtcd, open_store: Callable[..., Any]) -> None:
    """A server that is silent but connected is Down after three missed heartbeats; nothing is lost by it."""
    store = open_store(etcd.endpoint, timeout_s=0.5)
    recorder = Recorder()
    store.watch("/t/", revision=store.page("/t/").revision, sink=recorder)
    store.commit([puts(a="1")])
    session = store.session(2)
    assert session.take(["/t/own"], "me")
    until(lambda: Up in recorder.kinds())
    etcd.freeze()
    try:
        with pytest.raises(PortError) as caught:
            store.commit([puts(b="1")])
        assert caught.value.failure.error_class is ErrorClass.IN_DOUBT
        until(lambda: Down in recorder.kinds())
        assert any("no sign of life" in event.reason for event in recorder.events if isinstance(event, Down))
        until(lambda: not session.valid())
    finally:
        etcd.thaw()
    until(lambda: recorder.kinds().count(Up) == 2)
    until(lambda: recorder.state == {e.key: e.value for e in store.page("/t/").entries})
    until(lambda: "/t/own" not in recorder.state)  # not kept alive: the owner has stepped down
    assert Compacted not in recorder.kinds() and not session.valid()


def test_an_idle_watch_stays_up(etcd: RunningEtcd, open_store: Callable[..., Any]) -> None:
    """Heartbeats keep a quiet watch alive: silence of the keys is not silence of the server."""
    store = open_store(etcd.endpoint)
    recorder = Recorder()
    store.watch("/t/", revision=store.commit([puts(a="1")]).revision, sink=recorder)
    end = time.monotonic() + 3  # six heartbeats; a silent stream is replaced after three
    while time.monotonic() < end:
        store.commit([WriteSet((Put("/elsewhere", b"x"),))])
        time.sleep(0.1)
    assert recorder.kinds() == [Up]


def test_another_store_at_the_address_is_noticed(
    etcd: RunningEtcd, restart: Callable[[Path], None], open_store: Callable[..., Any], tmp_path: Path
) -> None:
    """If an emptied store comes back at the same address, a watch says so instead of waiting for ever."""
    store = open_store(etcd.endpoint)
    for i in range(5):
        store.commit([puts(a=str(i))])
    recorder = Recorder()
    store.watch("/t/", revision=store.page("/t/").revision, sink=recorder)
    until(lambda: Up in recorder.kinds())
    etcd.kill()
    restart(tmp_path / "other")
    until(lambda: Compacted in recorder.kinds())
    assert store.page("/t/").entries == ()


def test_compaction_during_an_outage_is_noticed(
    etcd: RunningEtcd, restart: Callable[[Path], None], open_store: Callable[..., Any]
) -> None:
    """A watch whose history was compacted while it was away hears Compacted once and ends."""
    store, other = open_store(etcd.endpoint), open_store(etcd.endpoint)
    recorder, release = Recorder(), threading.Event()

    def slow(event: Any) -> None:
        recorder(event)
        if isinstance(event, Changes):
            release.wait(20)

    store.watch("/t/", revision=store.page("/t/").revision, sink=slow)
    other.commit([puts(a="1")])
    until(lambda: len(recorder.changes()) == 1)
    for i in range(5):
        other.commit([puts(a=str(i))])
    etcd.kill()
    restart(etcd.data_dir)

    def compacted() -> bool:
        try:
            other.compact(other.page("/t/").revision)
        except PortError:
            return False
        return True

    until(compacted)
    release.set()
    until(lambda: Compacted in recorder.kinds() or recorder.state == {"/t/a": b"4"})
    values = [change.value for change in recorder.changes() if isinstance(change, Entry)]
    # What the connection had already delivered may come before the loss is told; nothing may be left out.
    assert values == [b"1", b"0", b"1", b"2", b"3", b"4"][: len(values)]


def test_clients_fail_over_between_endpoints(etcd: RunningEtcd, open_store: Callable[..., Any]) -> None:
    """Of several endpoints one that answers is enough."""
    store = open_store(["127.0.0.1:1", etcd.endpoint])
    assert store.commit([puts(a="1")]).accepted == (True,)


def test_large_prefixes_are_paged_within_bounds(etcd_endpoint: str, open_store: Callable[..., Any]) -> None:
    """20,000 keys of 1 KB are written in batches and read in pages; memory grows by little over a page."""
    store = open_store(etcd_endpoint, timeout_s=10)
    value = b"x" * 1000
    for start in range(0, 20_000, 500):
        keys = range(start, start + 500)
        sets = [
            WriteSet(tuple(Put(f"/big/{k:05}", value) for k in keys[i : i + 20])) for i in range(0, 500, 20)
        ]
        assert all(store.commit(sets).accepted)
    process = psutil.Process()
    before = process.memory_info().rss
    count, after, revision, more, peak = 0, "", 0, True, before
    while more:
        page = store.page("/big/", after=after, revision=revision)
        count, after, revision, more = (
            count + len(page.entries),
            page.entries[-1].key,
            page.revision,
            page.more,
        )
        peak = max(peak, process.memory_info().rss)
    assert count == 20_000
    assert peak - before < 60 * 1024 * 1024


def test_catching_up_with_much_history_is_delivered_in_whole_revisions(
    etcd_endpoint: str, open_store: Callable[..., Any]
) -> None:
    """A late watch gets 15 MB of history, more than one gRPC message, without splitting a revision."""
    store = open_store(etcd_endpoint, timeout_s=10, heartbeat_s=3)
    # not from the revision that wiped what the test before has left: etcd needs seconds to cut that into pieces
    start = store.commit([puts(a="1")]).revision
    value = b"x" * 10_000
    for number in range(25):
        sets = [WriteSet(tuple(Put(f"/big/{i}/{j}", value) for j in range(3))) for i in range(20)]
        assert all(store.commit(sets).accepted), number
    recorder = Recorder()
    store.watch("/big/", revision=start, sink=recorder)
    until(lambda: len(recorder.changes()) == 25 * 60, 60)
    batches = [event.puts_and_deletes for event in recorder.events if isinstance(event, Changes)]
    assert all(len(batch) % 60 == 0 for batch in batches)
    assert len(batches) > 1


def test_a_failing_consumer_gets_the_change_again(
    etcd_endpoint: str, open_store: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A sink that raises does not lose the change."""
    store = open_store(etcd_endpoint)
    recorder = Recorder()
    failures = iter([True])

    def failing(event: Any) -> None:
        if isinstance(event, Changes) and next(failures, False):
            raise RuntimeError("the consumer is not ready")
        recorder(event)

    store.watch("/t/", revision=store.page("/t/").revision, sink=failing)
    store.commit([puts(a="1")])
    until(lambda: recorder.state == {"/t/a": b"1"})
    assert "the consumer is not ready" in caplog.text


def test_close_leaves_no_thread(etcd_endpoint: str, open_store: Callable[..., Any]) -> None:
    """Closing ends the threads of watches and leases."""
    before = set(threading.enumerate())
    store = open_store(etcd_endpoint)
    recorder = Recorder()
    store.watch("/t/", revision=store.page("/t/").revision, sink=recorder)
    store.session(5)
    until(lambda: Up in recorder.kinds())
    store.close()
    until(lambda: set(threading.enumerate()) <= before)


def test_the_package_loads_on_the_fast_protobuf_backend(etcd_endpoint: str) -> None:
    """In a fresh interpreter without environment variables, unmodified etcd3 runs on protobuf's upb."""
    code = (
        "import sys; from actors.adapters.etcd3_store import EtcdStore\n"
        "from google.protobuf.internal import api_implementation as api\n"
        "import etcd3; s = EtcdStore([sys.argv[1]]); print(api.Type(), etcd3.__version__, s.version())\n"
        "s.close()"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PROTOCOL_BUFFERS", "GRPC"))}
    command = [sys.executable, "-W", "error", "-c", code, etcd_endpoint]
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 30, "check": True}
    done = subprocess.run(command, cwd=ROOT, env=environment, **options)
    assert done.stdout.split()[:2] == ["upb", "0.12.0"]
    assert done.stderr == ""
