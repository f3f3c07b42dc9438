"""Leases kept alive on one stream, and the keys that are held through such a lease.

Guarantees: `valid()` counts from before the request that etcd answered, so it turns False before etcd can
have expired the lease; a lease that was invalid once is never valid again, nor kept alive; two threads
however many leases there are.
Does not guarantee that an owner writes nothing after its time: that is what the fence is for.
"""

from __future__ import annotations

import logging
import math
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from actors.adapters.etcd3_connection import Connection, grpc, rpc
from actors.adapters.etcd3_errors import from_rpc
from actors.adapters.etcd3_txn import TAKE_CHUNK, take_request, taken
from actors.core.errors import ErrorClass, PortError
from actors.ports import Entry

_log = logging.getLogger(__name__)
_LONGEST_PAUSE_S = 1.0


@dataclass(slots=True)
class Lease:
    """A granted lease. Times are monotonic seconds; `asked` holds the times of unanswered keepalives."""

    id: int
    ttl_s: float
    deadline: float
    next_ask: float
    lost: bool = False
    asked: deque[float] = field(default_factory=deque)

    def valid(self) -> bool:
        """Local and conservative; once False, False for ever: the owner has stepped down."""
        self.lost = self.lost or time.monotonic() >= self.deadline
        return not self.lost


class LeaseKeeper:
    """Grants, keeps and revokes the leases of one store. Its threads start with the first lease."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._leases: dict[int, Lease] = {}
        self._lock = threading.Condition()
        self._stop = threading.Event()
        self._answered = False
        self._call: Any = None
        self._requests: queue.SimpleQueue[Any] | None = None
        self._threads: tuple[threading.Thread, ...] = ()

    def grant(self, ttl_s: float) -> Lease:
        """A new lease of at least `ttl_s` seconds (etcd counts whole ones), kept alive from now on."""
        asked = time.monotonic()
        # An id of our choice: a grant whose answer is lost can still be revoked.
        lease_id = random.SystemRandom().randrange(1, 1 << 62)
        request = rpc.LeaseGrantRequest(TTL=math.ceil(ttl_s), ID=lease_id)
        try:
            response = self._connection.call(self._connection.lease.LeaseGrant, request, writes=True)
        except PortError as error:
            if error.failure.error_class is ErrorClass.IN_DOUBT:
                self.revoke_quietly(lease_id)
            raise
        lease = Lease(lease_id, response.TTL, asked + response.TTL, asked + response.TTL / 3)
        with self._lock:
            self._leases[lease_id] = lease
            if not self._threads:
                self._start()
            self._lock.notify_all()
        return lease

    def revoke(self, lease_id: int) -> None:
        """Revoke; the keys of the lease vanish. A lease that is gone is no error. Raises PortError."""
        with self._lock:
            lease = self._leases.pop(lease_id, None)
            if lease is not None:
                lease.lost = True
        try:
            request = rpc.LeaseRevokeRequest(ID=lease_id)
            self._connection.call(self._connection.lease.LeaseRevoke, request, writes=True)
        except PortError as error:
            if error.failure.kind != "LeaseNotFound":
                raise

    def revoke_quietly(self, lease_id: int) -> None:
        """Revoke if etcd can be asked; else the lease runs out by itself."""
        try:
            self.revoke(lease_id)
        except PortError as error:
            _log.info("lease not revoked, it will expire: %s", error)

    def close(self) -> None:
        """Revoke everything as far as etcd answers, then end the threads."""
        with self._lock:
            leases = list(self._leases)
        for index, lease_id in enumerate(leases):
            try:
                self.revoke(lease_id)
            except PortError as error:
                _log.info("%d leases not revoked, they will expire: %s", len(leases) - index, error)
                break
        self._stop.set()
        with self._lock:
            for lease in self._leases.values():
                lease.lost = True
            self._leases.clear()
            self._cancel_call()
            self._lock.notify_all()
        for thread in self._threads:
            thread.join(2.0)

    # ---------------------------------------------------------------------------------------------- threads

    def _start(self) -> None:
        self._threads = (
            threading.Thread(target=self._read, daemon=True, name="etcd-lease-read"),
            threading.Thread(target=self._ask, daemon=True, name="etcd-lease-ask"),
        )
        for thread in self._threads:
            thread.start()

    def _cancel_call(self) -> None:
        if self._call is not None:
            self._call.cancel()

    def _ask(self) -> None:
        """Send the keepalives that are due; give up a stream that leaves one unanswered for too long."""
        with self._lock:
            while not self._stop.is_set():
                now = time.monotonic()
                # A lease that we no longer believe in must run out: kept alive, it would lock others out.
                self._leases = {key: one for key, one in self._leases.items() if one.valid()}
                if self._requests is not None:
                    for lease in self._leases.values():
                        if lease.next_ask <= now:
                            lease.next_ask = now + lease.ttl_s / 3
                            lease.asked.append(now)
                            self._requests.put(rpc.LeaseKeepAliveRequest(ID=lease.id))
                    patience = self._connection.timeout_s
                    if any(one.asked and now - one.asked[0] > patience for one in self._leases.values()):
                        self._cancel_call()
                        self._requests = None
                self._lock.wait(self._pause(now))

    def _pause(self, now: float) -> float | None:
        if not self._leases:
            return None
        due = min(lease.next_ask for lease in self._leases.values())
        return min(max(due - now, 0.05), 1.0)

    def _read(self) -> None:
        pause = 0.1
        while not self._stop.is_set():
            try:
                self._stream()
            except PortError as error:
                _log.debug("lease stream: %s", error)
            except grpc.RpcError as error:
                _log.debug("lease stream: %s", from_rpc(error, writes=False))
            except Exception:  # noqa: BLE001 - without this thread no lease is kept
                _log.exception("the lease stream failed")
            answered = self._forget_asked()
            pause = 0.1 if answered else min(pause * 2, _LONGEST_PAUSE_S)
            self._stop.wait(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret

    def _stream(self) -> None:
        self._answered = False
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        call = self._connection.open_keepalive(iter(requests.get, None))
        with self._lock:
            self._call, self._requests = call, requests
            self._lock.notify_all()
        try:
            if self._stop.is_set():
                return
            for response in call:
                self._answered = True
                self._take(response)
        finally:
            with self._lock:
                self._call = self._requests = None
            requests.put(None)
            call.cancel()

    def _take(self, response: Any) -> None:
        with self._lock:
            lease = self._leases.get(response.ID)
            if lease is None or not lease.asked:
                return
            asked = lease.asked.popleft()
            if response.TTL <= 0:  # etcd's way to say that the lease is gone
                lease.lost = True
            elif lease.valid():
                lease.deadline = max(lease.deadline, asked + response.TTL)

    def _forget_asked(self) -> bool:
        """After a break: every unanswered keepalive is due again at once."""
        with self._lock:
            for lease in self._leases.values():
                if lease.asked:
                    lease.asked.clear()
                    lease.next_ask = 0.0
        return self._answered


class EtcdSession:
    """One lease and the keys that hang on it. Made by `EtcdStore.session`."""

    def __init__(self, connection: Connection, keeper: LeaseKeeper, ttl_s: float) -> None:
        self._connection = connection
        self._keeper = keeper
        self._lease = keeper.grant(ttl_s)

    def valid(self) -> bool:
        """False before etcd could have expired the lease."""
        return self._lease.valid()

    def left_s(self) -> float:
        """Until the deadline that the last answered keepalive has set."""
        return max(0.0, self._lease.deadline - time.monotonic()) if self._lease.valid() else 0.0

    def take(self, keys: Sequence[str], owner: str) -> Mapping[str, Entry]:
        """See the port. About 100 keys per transaction."""
        found: dict[str, Entry] = {}
        for start in range(0, len(keys), TAKE_CHUNK):
            request = take_request(keys[start : start + TAKE_CHUNK], owner, self._lease.id)
            response = self._connection.call(self._connection.kv.Txn, request, writes=True)
            found.update((one.key, one) for one in taken(response))
        return found

    def end(self) -> None:
        """Invalid at once, whether etcd answers or not. Raises PortError if others must await the expiry."""
        self._keeper.revoke(self._lease.id)
