"""A watch that neither loses nor repeats a change, whatever happens to the connection or to etcd.

Guarantees: whole revisions only, in order, each once; after a break it goes on from the last revision that
the consumer took; a stream that is silent, cancelled or without quorum is replaced, with back-off and jitter;
if history is gone, or another (older) store answers, the consumer hears `Compacted` and the watch ends.
Two threads for its whole life, none more while etcd is away.

Does not guarantee: notice of a store that was wiped behind the same address and has since grown past our
revision with the same cluster id. A sink that raises is logged and gets the same changes again.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from actors.adapters.etcd3_connection import Connection, grpc, rpc
from actors.adapters.etcd3_errors import from_rpc, sort_error
from actors.adapters.etcd3_txn import decode_key, entry, page_request, prefix_range
from actors.core.errors import PortError
from actors.ports import Changes, Compacted, Delete, Down, Entry, Up, WatchEvent

_log = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
#: A stream that lived this long was a good one: the next break begins with a short pause again.
_GOOD_STREAM_S = 2.0
_SILENT_BEATS = 3
#: A server may think for long before it sends much history: cutting a message into fragments costs it the square of
#: the number of events (20,000 deletions at one revision: 11 s). Cut off each time, it would never get through.
_PATIENCE_MAX = 16


class _HistoryGoneError(Exception):
    """The changes after our revision cannot be had any more."""


class _BrokenError(Exception):
    """The stream is of no use; another will be opened."""


def progress_is_exact(version: str) -> bool:
    """Whether a progress notice of this server never runs ahead of events (3.4.25 / 3.5.8 and later).

    A server that does not tell us its version ("") is new enough.
    """
    if not version:
        return True
    try:
        major, minor, patch = (int(part.split("-")[0]) for part in version.split(".")[:3])
    except ValueError:
        return False
    return (major, minor, patch) >= (3, 5, 8) or ((major, minor) == (3, 4) and patch >= 25)


class EtcdWatch:
    """One prefix. Made by `EtcdStore.watch`; `sink` is called on the watch's own thread."""

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        revision: int,
        sink: Callable[[WatchEvent], None],
        heartbeat_s: float,
    ) -> None:
        self._connection = connection
        self._prefix = prefix
        # The consumer has taken everything up to this revision. Never 0: to etcd that means "from now on".
        self._last = max(revision, 1)
        self._sink = sink
        self._heartbeat_s = heartbeat_s
        self._cluster_id = connection.cluster_id
        self._exact_progress = False
        self._up: bool | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._call: Any = None
        self._requests: queue.SimpleQueue[Any] | None = None
        self._heard = time.monotonic()
        self._delivering = False
        self._silence = ""
        self._created = False
        self._patience = 1  # how many times longer a stream that was created may be silent
        self._buffer: list[Any] = []
        self._threads = (
            threading.Thread(target=self._run, daemon=True, name=f"etcd-watch {prefix}"),
            threading.Thread(target=self._beat, daemon=True, name=f"etcd-watch-beat {prefix}"),
        )
        for thread in self._threads:
            thread.start()

    def cancel(self) -> None:
        """End it without waiting; callable from the sink."""
        self._stop.set()
        with self._lock:
            if self._call is not None:
                self._call.cancel()

    @property
    def running(self) -> bool:
        """False once cancelled or ended by Compacted."""
        return not self._stop.is_set()

    def join(self, timeout_s: float) -> None:
        """Wait until its threads have ended, at most `timeout_s` seconds."""
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    # ------------------------------------------------------------------------------------ the reading thread

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._stream()
            except _HistoryGoneError as gone:
                self._deliver(Compacted(str(gone)))
                self._stop.set()
                return
            except (PortError, _BrokenError) as error:
                self._report_down(str(error))
            except grpc.RpcError as error:
                self._report_down(self._silence or str(from_rpc(error, writes=False)))
            except Exception as error:  # noqa: BLE001 - nobody is told of a thread that ended
                _log.exception("the watch on %s failed", self._prefix)
                self._report_down(f"{type(error).__name__}: {error}")
            if time.monotonic() - began > _GOOD_STREAM_S and self._up:
                pause = _FIRST_PAUSE_S
            self._stop.wait(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _stream(self) -> None:
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        first, end = prefix_range(self._prefix)
        # From the last known revision, not from the next: etcd from 3.4.38 and 3.5.22 on answers no progress
        # request while the start lies in the future, and an idle store would look dead.
        create = rpc.WatchCreateRequest(
            key=first, range_end=end, start_revision=self._last, progress_notify=True, fragment=True
        )
        requests.put(rpc.WatchRequest(create_request=create))
        self._buffer = []
        # Before a stream is announced as created, etcd may send a progress notice ahead of events that wait for that.
        self._silence, self._created, self._exact_progress = "", False, False
        self._heard = time.monotonic()
        call = self._connection.open_watch(iter(requests.get, None))
        with self._lock:
            self._call, self._requests = call, requests
        try:
            if self._stop.is_set():
                return
            for response in call:
                self._heard = time.monotonic()
                self._take(response)
            raise _BrokenError("the stream ended")
        finally:
            with self._lock:
                self._call = self._requests = None
            requests.put(None)
            call.cancel()

    def _take(self, response: Any) -> None:
        if response.compact_revision:
            raise _HistoryGoneError(
                f"revision {self._last} is compacted, oldest is {response.compact_revision}"
            )
        if response.canceled:  # also sent together with `created`: permission, expired token
            self._connection.forget_token()
            raise sort_error("CANCELLED", response.cancel_reason or "watch cancelled", writes=False)
        if response.created:
            self._created = True
            self._established(response.header)
            return
        self._patience = 1
        if response.events:
            self._buffer.extend(event for event in response.events if event.kv.mod_revision > self._last)
            self._hand_over(complete=not response.fragment)
        elif self._exact_progress and not self._buffer:
            self._last = max(self._last, response.header.revision)

    def _established(self, header: Any) -> None:
        if self._cluster_id not in (0, header.cluster_id):
            raise _HistoryGoneError("another etcd cluster answers")
        self._cluster_id = header.cluster_id
        self._check_history()
        try:
            self._exact_progress = progress_is_exact(self._connection.version())
        except PortError:
            self._exact_progress = False
        self._up = True
        self._deliver(Up(self._last))

    def _check_history(self) -> None:
        """Whether the store has our revision. A linearizable read: a member may lag behind its cluster."""
        request = page_request(self._prefix, "", 1, self._last)
        try:
            self._connection.call(self._connection.kv.Range, request, writes=False)
        except PortError as error:
            if error.failure.kind in ("Compacted", "FutureRevision"):
                raise _HistoryGoneError(f"revision {self._last}: {error.failure.text}") from error
            raise

    def _hand_over(self, *, complete: bool) -> None:
        """Deliver all whole revisions of the buffer. A fragment may end in the midst of its last revision."""
        events = self._buffer
        if not events:
            return
        count = len(events)
        if not complete:
            unfinished = events[-1].kv.mod_revision
            while count and events[count - 1].kv.mod_revision == unfinished:
                count -= 1
        if not count:
            return
        whole, self._buffer = events[:count], events[count:]
        revision = whole[-1].kv.mod_revision
        self._deliver(Changes(revision, tuple(_change(event) for event in whole)))
        self._last = revision

    def _deliver(self, event: WatchEvent) -> None:
        if self._stop.is_set():
            return
        self._delivering = True
        try:
            self._sink(event)
        except Exception as error:
            _log.exception("the consumer of the watch on %s failed; it gets the change again", self._prefix)
            raise _BrokenError("the consumer failed") from error
        finally:
            self._heard = time.monotonic()
            self._delivering = False

    def _report_down(self, reason: str) -> None:
        if self._up is False:
            return
        self._up = False
        with contextlib.suppress(_BrokenError):
            self._deliver(Down(reason))

    # ------------------------------------------------------------------------------------ the beating thread

    def _beat(self) -> None:
        while not self._stop.wait(self._heartbeat_s):
            if self._delivering:
                continue
            with self._lock:
                call, requests = self._call, self._requests
                if call is None or requests is None:
                    continue
                silent_s = time.monotonic() - self._heard
                patience = self._patience if self._created else 1
                if silent_s > _SILENT_BEATS * self._heartbeat_s * patience:
                    self._silence = f"no sign of life from etcd for {silent_s:.1f} s"
                    if self._created:
                        self._patience = min(2 * patience, _PATIENCE_MAX)
                    call.cancel()
                else:
                    requests.put(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))


def _change(event: Any) -> Entry | Delete:
    return Delete(decode_key(event.kv.key)) if event.type == event.DELETE else entry(event.kv)
