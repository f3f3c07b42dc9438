"""What stands around the controller in benches: an API server that declares, and an etcd watcher with a clock.

Guarantees: a process of its own with a client of its own, so that neither its work nor its gRPC touches the
measured processes; all times are of one clock in one process. Dies with the process that started it.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from actors.core import keys
from actors.ports import Changes, Delete, Put, Store, WatchEvent, WriteSet
from actors.runtime import safety
from tests.bench.independent import Document, etcd

WATCHED = (keys.CONFIG, keys.STATE)


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of declaring. `seconds`: from the declaration to its `/state`, by the watcher's clock, one per
    resource; `span_s`: from the first declaration to the last `/state`; `revisions`: etcd's, without the
    declarations themselves; `failed`: outcomes with an error."""

    seconds: tuple[float, ...]
    span_s: float
    revisions: int
    failed: int


class ApiServer:
    """The handle, in the bench's own process. One request at a time."""

    def __init__(self, endpoint: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(endpoint, far, os.getpid()), daemon=True)
        self._process.start()
        far.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None, "started in the constructor"
        return self._process.pid

    def declare(
        self, documents: Sequence[Document], *, writers: int = 8, timeout_s: float = 300.0
    ) -> Measured:
        """Write all as fast as etcd takes them, one revision each; wait for every outcome."""
        answer: Measured = self._ask(("declare", tuple(documents), writers, timeout_s))
        return answer

    def declare_singly(self, documents: Sequence[Document], timeout_s: float = 30.0) -> Measured:
        """One at a time: the next is written when the one before has its outcome."""
        answer: Measured = self._ask(("singly", tuple(documents), timeout_s))
        return answer

    def put(self, documents: Sequence[Document]) -> None:
        """Write and wait for nothing (templates have no outcome)."""
        self._ask(("put", tuple(documents)))

    def writes_below(self, prefixes: Sequence[str]) -> int:
        """How many keys below these prefixes were written since the last such question."""
        answer: int = self._ask(("writes", tuple(prefixes)))
        return answer

    def stop(self) -> None:
        """End it."""
        self._pipe.close()
        self._process.join(5.0)
        self._process.kill()

    def _ask(self, question: tuple[object, ...]) -> Any:
        self._pipe.send(question)
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(endpoint: str, pipe: Connection, parent: int) -> None:
    safety.die_with_parent(parent)
    server = _Server(etcd(endpoint))
    while True:
        try:
            name, *arguments = pipe.recv()
        except (EOFError, OSError):
            server.store.close()
            return
        try:
            pipe.send(getattr(server, name)(*arguments))
        except Exception as error:
            pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


class _Server:
    """The far side."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._seen: dict[str, float] = {}
        self._failed: set[str] = set()
        self._changed = threading.Condition()
        self._asked_at = self._revision()
        for prefix in WATCHED:
            store.watch(prefix, revision=self._asked_at, sink=self._take)

    def _take(self, event: WatchEvent) -> None:
        now = time.monotonic()
        if not isinstance(event, Changes):
            return
        with self._changed:
            for change in event.puts_and_deletes:
                self._seen.setdefault(change.key, now)
                if isinstance(change, Delete) or not change.key.startswith(keys.STATE):
                    continue
                if b'"error":""' not in change.value:
                    self._failed.add(change.key)
            self._changed.notify_all()

    def _revision(self) -> int:
        return self.store.page(keys.PAUSE, limit=1).revision

    def _await(self, names: Sequence[str], timeout_s: float) -> None:
        """Until all keys were seen by the watcher."""
        with self._changed:
            if not self._changed.wait_for(lambda: all(name in self._seen for name in names), timeout_s):
                missing = [name for name in names if name not in self._seen]
                raise TimeoutError(
                    f"{len(missing)} of {len(names)} without outcome, for instance {missing[0]}"
                )

    def _put(self, document: Document) -> None:
        self.store.commit([WriteSet((Put(*document),))])

    def put(self, documents: Sequence[Document]) -> None:
        """See ApiServer."""
        for each in documents:
            self._put(each)

    def declare(self, documents: Sequence[Document], writers: int, timeout_s: float) -> Measured:
        """See ApiServer."""
        before = self._revision()
        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(self._put, documents))
        self._await([_state(key) for key, _ in documents], timeout_s)
        return self._measured([key for key, _ in documents], before)

    def singly(self, documents: Sequence[Document], timeout_s: float) -> Measured:
        """See ApiServer."""
        before = self._revision()
        for each in documents:
            self._put(each)
            self._await([_state(each[0])], timeout_s)
            time.sleep(0.02)  # idle means idle: what follows an outcome is over
        return self._measured([key for key, _ in documents], before)

    def _measured(self, names: Sequence[str], before: int) -> Measured:
        time.sleep(0.5)  # /monitoring of the last
        revisions = self._revision() - before - len(names)
        begun = [self._seen[name] for name in names]
        ended = [self._seen[_state(name)] for name in names]
        seconds = tuple(end - begin for begin, end in zip(begun, ended, strict=True))
        failed = sum(_state(name) in self._failed for name in names)
        return Measured(seconds, max(ended) - min(begun), revisions, failed)

    def writes(self, prefixes: Sequence[str]) -> int:
        """See ApiServer."""
        since, self._asked_at = self._asked_at, self._revision()
        changed = 0
        for prefix in prefixes:
            after, more = "", True
            while more:
                page = self.store.page(prefix, after=after)
                changed += sum(entry.mod_revision > since for entry in page.entries)
                after, more = page.entries[-1].key if page.entries else "", page.more
        return changed


def _state(config_key: str) -> str:
    return keys.STATE + config_key[len(keys.CONFIG) :]
