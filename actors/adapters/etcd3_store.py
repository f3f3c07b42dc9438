"""The `Store` port over a real etcd, by way of the unmodified package etcd3.

Guarantees of the parts: `etcd3_connection` (addresses, deadlines, errors), `etcd3_txn` (one transaction for
many write sets), `etcd3_watch` (no loss, no repetition), `etcd3_lease` (sessions).
All methods are thread-safe and block for at most the deadline per request. Import it only in the process
that is to talk to etcd, and never fork that process afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from actors.adapters.etcd3_connection import Connection, Login, Tls
from actors.adapters.etcd3_lease import EtcdSession, LeaseKeeper
from actors.adapters.etcd3_txn import (
    READ_CHUNK,
    commit_request,
    commit_result,
    entry,
    found,
    page_request,
    read_request,
)
from actors.adapters.etcd3_watch import EtcdWatch
from actors.core.errors import PortError
from actors.ports import CommitResult, Entry, Page, StoreStatus, WatchEvent, WriteSet

__all__ = ["EtcdStore", "Login", "Tls"]


class EtcdStore:
    """One client of one etcd cluster. Connects at the first call; the constructor does no I/O but TLS files.

    `timeout_s`: deadline of each request. `heartbeat_s`: how often a watch asks for a sign of life; a watch
    that is silent for three of them is replaced. Raises ValueError for endpoints that cannot be used.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        timeout_s: float = 3.0,
        tls: Tls | None = None,
        login: Login | None = None,
        heartbeat_s: float = 3.0,
    ) -> None:
        self._connection = Connection(endpoints, timeout_s, tls, login)
        self._keeper = LeaseKeeper(self._connection)
        self._heartbeat_s = heartbeat_s
        self._watches: list[EtcdWatch] = []
        self._lock = threading.Lock()

    def page(self, prefix: str, *, after: str = "", limit: int = 2000, revision: int = 0) -> Page:
        """See the port: fewer entries where those would make an answer too large. Raises CONFLICT/Compacted if
        `revision` is no longer kept: list anew."""

        def ask(count: int) -> Any:
            request = page_request(prefix, after, count, revision)
            return self._connection.call(self._connection.kv.Range, request, writes=False)

        response, _ = _as_fits(ask, limit)
        self._connection.cluster_id = response.header.cluster_id
        entries = tuple(entry(kv) for kv in response.kvs)
        return Page(entries, revision or response.header.revision, response.more)

    def read(self, keys: Sequence[str]) -> tuple[int, Mapping[str, Entry]]:
        """See the port. Raises CONFLICT/Compacted if history was compacted between two chunks (rare)."""
        revision, start, limit = 0, 0, READ_CHUNK
        entries: dict[str, Entry] = {}

        def ask(count: int) -> Any:
            request = read_request(keys[start : start + count], revision)
            return self._connection.call(self._connection.kv.Txn, request, writes=False)

        while start < len(keys) or not revision:
            response, limit = _as_fits(ask, limit)
            start += limit
            revision = revision or response.header.revision
            entries.update((one.key, one) for one in found(response))
        return revision, entries

    def commit(self, sets: Sequence[WriteSet]) -> CommitResult:
        """See the port. Keep batches within `core.batching`: else INVALID/TooLarge or TooManyOperations."""
        request = commit_request(sets)
        response = self._connection.call(self._connection.kv.Txn, request, writes=True)
        return commit_result(response, sets)

    def watch(self, prefix: str, *, revision: int, sink: Callable[[WatchEvent], None]) -> EtcdWatch:
        """See the port. `revision` is that of a page; changes after it are delivered."""
        watch = EtcdWatch(self._connection, prefix, revision, sink, self._heartbeat_s)
        with self._lock:
            self._watches = [one for one in self._watches if one.running] + [watch]
        return watch

    def session(self, ttl_s: float) -> EtcdSession:
        """See the port. etcd counts whole seconds, at least about two."""
        return EtcdSession(self._connection, self._keeper, ttl_s)

    def compact(self, revision: int) -> None:
        """Forget history before `revision`; watches and pages at older revisions end with Compacted."""
        self._connection.compact(revision)

    def status(self) -> StoreStatus:
        """See the port. `alarms` hold names only, such as NOSPACE."""
        return self._connection.status()

    def version(self) -> str:
        """The version of the server that answers, such as "3.5.30"; "" if it does not tell us."""
        return self._connection.version()

    def close(self) -> None:
        """End watches, give leases back, close the channel. Safe to repeat."""
        with self._lock:
            watches, self._watches = self._watches, []
        for watch in watches:
            watch.cancel()
        self._keeper.close()
        self._connection.close()
        for watch in watches:
            watch.join(2.0)


def _as_fits(ask: Callable[[int], Any], limit: int) -> tuple[Any, int]:
    """The answer to `ask` for at most `limit` keys, for fewer if that of so many is too large, and how many it was."""
    while True:
        try:
            return ask(limit), limit
        except PortError as error:
            if error.failure.kind != "TooLarge" or limit <= 1:
                raise
        limit = max(1, limit // 8)
