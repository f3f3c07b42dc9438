"""The watch over a server that does by rule what a real one does only under load, or with much history."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from actors.ports import Changes, Down, Put, Up, WriteSet
from tests.contract.etcd_worlds import Recorder, until

BEAT_S = 0.05


class Stream:
    """These responses, each after so many seconds; then silence until it is cancelled, which ends it."""

    def __init__(self, *script: tuple[float, Any]) -> None:
        self._script = script
        self._cancelled = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        for after_s, one in self._script:
            if self._cancelled.wait(after_s):
                return
            yield one
        self._cancelled.wait()

    def cancel(self) -> None:
        """See gRPC."""
        self._cancelled.set()


@dataclass(frozen=True)
class Response:
    """A WatchResponse."""

    created: bool = False
    events: tuple[Any, ...] = ()
    revision: int = 7
    fragment: bool = False
    canceled: bool = False
    compact_revision: int = 0

    @property
    def header(self) -> Any:
        """Whose, and of when."""
        return SimpleNamespace(revision=self.revision, cluster_id=1)


_KV = SimpleNamespace(key=b"/t/a", value=b"1", mod_revision=8, create_revision=8)
CREATED, PROGRESS = Response(created=True), Response()
EVENT = Response(events=(SimpleNamespace(kv=_KV, type=0, DELETE=1),), revision=8)


class Server:
    """As much of a Connection as a watch needs. `stream(n)` makes the n-th; `streams`: how many were opened."""

    def __init__(self, stream: Callable[[int], Stream]) -> None:
        self._stream = stream
        self.cluster_id = 1
        self.streams = 0
        self.kv = SimpleNamespace(Range=None)

    def open_watch(self, _requests: queue.SimpleQueue[Any]) -> Stream:
        """Another stream."""
        self.streams += 1
        return self._stream(self.streams)

    def call(self, *_args: Any, **_options: Any) -> None:
        """Our revision is there."""

    def version(self) -> str:
        """Any."""
        return "3.5.30"


def watched(server: Server) -> Recorder:
    """A watch from revision 7 until the event of revision 8 has come."""
    from actors.adapters.etcd3_watch import EtcdWatch

    connection: Any = server
    recorder = Recorder()
    watch = EtcdWatch(connection, "/t/", 7, recorder, BEAT_S)
    try:
        until(lambda: Changes in recorder.kinds())
    finally:
        watch.cancel()
        watch.join(5.0)
    assert recorder.state == {"/t/a": b"1"}
    return recorder


def test_a_server_that_thinks_long_about_history_is_given_the_time() -> None:
    """It is silent for longer than a watch stands: that is told, and the next stream is given twice the time, until
    the events have come."""
    server = Server(lambda _number: Stream((0.0, CREATED), (BEAT_S * 14, EVENT)))
    recorder = watched(server)
    assert Down in recorder.kinds()
    assert server.streams > 1


def test_a_progress_notice_before_a_stream_is_created_is_not_believed() -> None:
    """Etcd may send one ahead of events that wait for `created`; also after a stream whose notices were exact."""
    first = Stream((0.0, CREATED), (0.0, PROGRESS))
    second = Stream((0.0, replace(PROGRESS, revision=20)), (0.0, CREATED), (0.0, EVENT))
    watched(Server(lambda number: first if number == 1 else second))


def test_what_nobody_foresaw_is_told_and_does_not_end_the_watch() -> None:
    """A stream that cannot be opened, for whatever reason, is opened again later."""
    server = Server(lambda _number: Stream((0.0, CREATED), (0.0, EVENT)))
    opened = server.open_watch

    def not_at_first(_requests: queue.SimpleQueue[Any]) -> Stream:
        stream = opened(_requests)
        if server.streams == 1:
            raise RuntimeError("nobody foresaw this")
        return stream

    server.open_watch = not_at_first  # type: ignore[method-assign]
    recorder = watched(server)
    assert Down("RuntimeError: nobody foresaw this") in recorder.events


def test_what_nobody_foresaw_does_not_end_the_keeping_of_leases() -> None:
    """The stream of keepalives could not be opened, for whatever reason; the next try keeps the lease."""
    from actors.adapters.etcd3_lease import LeaseKeeper

    opened = list[int]()

    def grant(_method: object, request: Any, **_options: Any) -> Any:
        return SimpleNamespace(ID=getattr(request, "ID", 0), TTL=600)

    def open_keepalive(requests: Iterator[Any]) -> Stream:
        opened.append(len(opened))
        if len(opened) == 1:
            raise RuntimeError("nobody foresaw this")
        return Stream()

    connection: Any = SimpleNamespace(
        call=grant,
        open_keepalive=open_keepalive,
        lease=SimpleNamespace(LeaseGrant=None, LeaseRevoke=None),
        timeout_s=1.0,
    )
    keeper = LeaseKeeper(connection)
    keeper.grant(600)
    try:
        until(lambda: len(opened) > 1)
    finally:
        keeper.close()


def test_a_time_without_new_threads_is_outlived(etcd_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system lets us begin no thread while the streams break: the watch tells what it missed, the lease lives."""
    from actors.adapters.etcd3_store import EtcdStore

    store, recorder, refused = (
        EtcdStore([etcd_endpoint], timeout_s=1.0, heartbeat_s=0.5),
        Recorder(),
        list[str](),
    )

    def refuse(thread: threading.Thread) -> None:
        refused.append(thread.name)
        raise RuntimeError("can't start new thread")

    try:
        watch = store.watch("/threads/", revision=store.page("/threads/").revision, sink=recorder)
        session = store.session(6)
        until(lambda: Up in recorder.kinds() and store._keeper._call is not None)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            watch._call.cancel()
            store._keeper._call.cancel()
            until(lambda: Down in recorder.kinds() and len(refused) > 4)
            store.commit([WriteSet((Put("/threads/a", b"1"),))])
        until(lambda: Changes in recorder.kinds())
        left_s = session.left_s()
        until(lambda: session.left_s() > left_s)
    finally:
        store.close()
