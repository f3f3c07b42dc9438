"""The watch over a server that is slow in a way that a real one is only with much history."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from actors.ports import Changes, Down
from tests.contract.etcd_worlds import Recorder, until

BEAT_S = 0.05


class Stream:
    """`created` at once, then nothing for `thinks_s`, then one event. A stream that is cancelled ends."""

    def __init__(self, thinks_s: float) -> None:
        self._thinks_s = thinks_s
        self._cancelled = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        yield response(created=True)
        if self._cancelled.wait(self._thinks_s):
            return
        kv = SimpleNamespace(key=b"/t/a", value=b"1", mod_revision=8, create_revision=8)
        yield response(events=[SimpleNamespace(kv=kv, type=0, DELETE=1)])
        self._cancelled.wait()

    def cancel(self) -> None:
        """See gRPC."""
        self._cancelled.set()


def response(*, created: bool = False, events: list[Any] | None = None) -> Any:
    """A WatchResponse."""
    header = SimpleNamespace(revision=9, cluster_id=1)
    return SimpleNamespace(
        header=header,
        created=created,
        events=events or [],
        fragment=False,
        canceled=False,
        compact_revision=0,
    )


class ThinkingServer:
    """As much of a Connection as a watch needs. `streams`: how many were opened."""

    def __init__(self, thinks_s: float) -> None:
        self._thinks_s = thinks_s
        self.cluster_id = 1
        self.streams = 0
        self.kv = SimpleNamespace(Range=None)

    def open_watch(self, _requests: queue.SimpleQueue[Any]) -> Stream:
        """Another stream."""
        self.streams += 1
        return Stream(self._thinks_s)

    def call(self, *_args: Any, **_options: Any) -> None:
        """Our revision is there."""

    def version(self) -> str:
        """Any."""
        return "3.5.30"


def test_a_server_that_thinks_long_about_history_is_given_the_time() -> None:
    """It is silent for longer than a watch stands: that is told, and the next stream is given twice the time, until
    the events have come."""
    from actors.adapters.etcd3_watch import EtcdWatch

    server, recorder = ThinkingServer(BEAT_S * 14), Recorder()
    connection: Any = server
    watch = EtcdWatch(connection, "/t/", 7, recorder, BEAT_S)
    until(lambda: Changes in recorder.kinds())
    watch.cancel()
    watch.join(5.0)
    assert Down in recorder.kinds()
    assert server.streams > 1
    assert recorder.state == {"/t/a": b"1"}
