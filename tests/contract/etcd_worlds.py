"""The two worlds in which the `Store` contract must hold: the fake, and a real etcd."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from actors.core.errors import ErrorClass, PortError
from actors.ports import Changes, Delete, Entry, Put, Store, WatchEvent, WriteSet
from sim.fake_etcd import FakeEtcd
from sim.fake_store import FakeStore
from tests.contract.certificates import AUTHORITY

if TYPE_CHECKING:
    from actors.adapters.etcd3_store import EtcdStore

ROOT = Path(__file__).resolve().parents[2]
_OWNER_PROCESS = """
import json, sys, time
from tests.contract.etcd_worlds import Access
access, key, owner, ttl = sys.argv[1:]
session = Access(**json.loads(access)).open().session(float(ttl))
print(session.take([key], owner)[key].mod_revision, flush=True)
time.sleep(600)
"""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a real etcd: addresses, files of TLS (ca, and cert and key of the client), user and password."""

    endpoints: Sequence[str]
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    user: str = ""
    password: str = ""

    def open(self, **options: Any) -> EtcdStore:
        """A client. The adapter is imported here, so that collecting tests does not load gRPC."""
        from actors.adapters.etcd3_store import EtcdStore, Login, Tls

        tls = Tls(self.ca_file, self.cert_file, self.key_file, AUTHORITY) if self.ca_file else None
        login = Login(self.user, self.password) if self.user else None
        return EtcdStore(self.endpoints, tls=tls, login=login, **options)

    def wipe(self) -> None:
        """Delete every key."""
        from actors.adapters.etcd3_connection import rpc

        store = self.open()
        connection = store._connection
        everything = rpc.DeleteRangeRequest(key=b"\0", range_end=b"\0")
        connection.call(connection.kv.DeleteRange, everything, writes=True)
        store.close()

    def enable_auth(self, password: str) -> None:
        """Make a user "root" and let etcd ask everybody who he is."""
        from actors.adapters.etcd3_connection import rpc

        store = self.open()
        connection = store._connection
        auth = connection._auth
        for method, request in (
            (auth.UserAdd, rpc.AuthUserAddRequest(name="root", password=password)),
            (auth.RoleAdd, rpc.AuthRoleAddRequest(name="root")),
            (auth.UserGrantRole, rpc.AuthUserGrantRoleRequest(user="root", role="root")),
            (auth.AuthEnable, rpc.AuthEnableRequest()),
        ):
            connection.call(method, request, writes=True)
        store.close()


class World(Protocol):
    """What a test of the contract can do with a store besides the port."""

    def store(self) -> Store:
        """Another client."""

    def compact(self) -> None:
        """Forget all history before now."""

    def own_and_die(self, key: str, owner: str, ttl_s: float) -> None:
        """A process acquires the key and is killed."""

    def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Let time pass until the condition holds; fails after `timeout_s`."""

    def close(self) -> None:
        """Close all clients."""


class FakeWorld:
    """A FakeEtcd and a clock that moves only in `until`."""

    def __init__(self) -> None:
        self.time = 100.0
        self.etcd = FakeEtcd(self)
        self._stores: list[FakeStore] = []

    def now(self) -> float:
        """The virtual time."""
        return self.time

    def store(self) -> FakeStore:
        """See `World`."""
        self._stores.append(FakeStore(self.etcd))
        return self._stores[-1]

    def compact(self) -> None:
        """See `World`."""
        self.etcd.compact(self.etcd.revision)

    def own_and_die(self, key: str, owner: str, ttl_s: float) -> None:
        """See `World`."""
        store = FakeStore(self.etcd)
        assert store.session(ttl_s).take([key], owner)
        store.kill()

    def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """See `World`."""
        end = self.time + timeout_s
        while not condition():
            assert self.time < end, "the condition did not come true"
            self.time += 0.1
            self.etcd.expire()

    def close(self) -> None:
        """See `World`."""
        for store in self._stores:
            store.close()


class EtcdWorld:
    """A real etcd."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._stores: list[EtcdStore] = []

    def store(self) -> Store:
        """See `World`."""
        self._stores.append(self._access.open(heartbeat_s=0.5))
        return self._stores[-1]

    def compact(self) -> None:
        """See `World`."""
        store = self._access.open()
        store.compact(store.page("/").revision)
        store.close()

    def own_and_die(self, key: str, owner: str, ttl_s: float) -> None:
        """See `World`."""
        access = json.dumps(asdict(self._access))
        command = [sys.executable, "-c", _OWNER_PROCESS, access, key, owner, str(ttl_s)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert int(process.stdout.readline()) > 0
            finally:
                os.kill(process.pid, signal.SIGKILL)

    def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """See `World`."""
        until(condition, timeout_s)

    def close(self) -> None:
        """See `World`."""
        for store in self._stores:
            store.close()


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Poll until the condition holds; fails after `timeout_s` seconds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.01)


class Recorder:
    """A sink that remembers. `state` is what the prefix holds according to the events."""

    def __init__(self) -> None:
        self.events: list[WatchEvent] = []
        self.state: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def __call__(self, event: WatchEvent) -> None:
        """Take one event."""
        with self.lock:
            self.events.append(event)
            for change in event.puts_and_deletes if isinstance(event, Changes) else ():
                if isinstance(change, Delete):
                    self.state.pop(change.key, None)
                else:
                    self.state[change.key] = change.value

    def kinds(self) -> list[type]:
        """The types of all events so far."""
        with self.lock:
            return [type(event) for event in self.events]

    def changes(self) -> list[Entry | Delete]:
        """All changes so far, in order."""
        with self.lock:
            batches = [event for event in self.events if isinstance(event, Changes)]
            return [change for batch in batches for change in batch.puts_and_deletes]

    def revisions(self) -> list[int]:
        """The revisions of the batches of changes."""
        with self.lock:
            return [event.revision for event in self.events if isinstance(event, Changes)]


def puts(**values: str) -> WriteSet:
    """A set of puts under `/t/`, without guards."""
    return WriteSet(tuple(Put(f"/t/{name}", value.encode()) for name, value in values.items()))


def fails(error_class: ErrorClass, kind: str):
    """Expect a PortError of that class and kind."""
    return pytest.raises(
        PortError, check=lambda e: (e.failure.error_class, e.failure.kind) == (error_class, kind)
    )
