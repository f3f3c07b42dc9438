"""One controller as a process: `python -m tests.controllers.process <json>`; every write it makes is on record.

Guarantees: the product's own actors and adapters; only the store is wrapped, so that each transaction is noted in a
file before it is sent and after it was answered. Dies with the process that started it.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from actors import wiring
from actors.core.options import Options
from actors.messages import Boot, StatusQuery, StatusReply, Wiring
from actors.ports import CommitResult, Entry, Page, Session, Store, StoreStatus, Watch, WatchEvent, WriteSet
from actors.runtime import safety, system
from actors.runtime.logs import LogConfig
from actors.supervisor import Supervisor
from config.sections import EtcdSection, HeatSection, Snapshot
from config.types import load_types


class Noting:
    """A store that notes the keys of every transaction: `try` before it is sent, `did` with its revision."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store = store
        self._file = path.open("ab", buffering=0)

    def commit(self, sets: Sequence[WriteSet]) -> CommitResult:
        """Note, write, note."""
        self._note({"try": [[write.key for write in one.writes] for one in sets]})
        result = self._store.commit(sets)
        written = [w.key for one, ok in zip(sets, result.accepted, strict=True) if ok for w in one.writes]
        refused = [w.key for one, ok in zip(sets, result.accepted, strict=True) if not ok for w in one.writes]
        self._note({"did": written, "revision": result.revision, "refused": refused})
        return result

    def _note(self, what: dict[str, Any]) -> None:
        self._file.write(json.dumps(what).encode() + b"\n")

    def page(self, prefix: str, *, after: str = "", limit: int = 2000, revision: int = 0) -> Page:
        """See the port."""
        return self._store.page(prefix, after=after, limit=limit, revision=revision)

    def read(self, keys: Sequence[str]) -> tuple[int, Mapping[str, Entry]]:
        """See the port."""
        return self._store.read(keys)

    def watch(self, prefix: str, *, revision: int, sink: Callable[[WatchEvent], None]) -> Watch:
        """See the port."""
        return self._store.watch(prefix, revision=revision, sink=sink)

    def session(self, ttl_s: float) -> Session:
        """See the port."""
        return self._store.session(ttl_s)

    def compact(self, revision: int) -> None:
        """See the port."""
        self._store.compact(revision)

    def status(self) -> StoreStatus:
        """See the port."""
        return self._store.status()

    def version(self) -> str:
        """See the port."""
        return self._store.version()

    def close(self) -> None:
        """See the port."""
        self._store.close()


def noting(settings: Snapshot, path: Path) -> Store:
    """The factory for the bridge's process."""
    return Noting(wiring.etcd(settings), path)


def options(settings: Snapshot, changed: Mapping[str, Any]) -> Options:
    """The product's options with some changed."""
    return replace(settings.options(tuple(load_types())), **changed)


def main() -> None:
    """Run until SIGTERM."""
    given = json.loads(base64.b64decode(sys.argv[1]))
    safety.die_with_parent(given["parent"])
    settings = Snapshot(
        etcd=EtcdSection(endpoints=tuple(given["endpoints"]), timeout_s=given["timeout_s"]),
        heat=HeatSection(endpoint=given["heat"]),
    )
    real = wiring.wiring(settings)
    parts = Wiring(partial(noting, settings, Path(given["notes"])), real.stacks, real.agent)
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    running = system.start(Supervisor, log_config=LogConfig(level=logging.WARNING))
    try:
        running.tell(Boot(options(settings, given["options"]), parts, given["name"]))
        print(json.dumps({"pids": [os.getpid(), *running.pids()]}), flush=True)
        while not stopped and running.alive():
            time.sleep(0.05)
            if given["status"]:
                reply = running.ask(StatusQuery("s", limit=1), 30.0, StatusReply)
                print(json.dumps({"counts": reply.counts, "store": reply.store}), flush=True)
    finally:
        running.stop()


if __name__ == "__main__":
    main()
