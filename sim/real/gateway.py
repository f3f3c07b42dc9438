"""etcd's members over HTTP, as an API server and an independent watcher use them.

Guarantees: what `Members` is asked for is done in the end, by whichever member answers, or Ended is raised because
the run is over; writes may be done twice (an answer was lost), so only whole values are written. `Recorder` has every
revision from the beginning, exactly once and in order, with the time at which it was seen.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from actors.ports import CommitResult, Entry, Put, WriteSet
from sim.etcd_http import Change, Compacted, Etcd

T = TypeVar("T")

#: What a call raises while a member is dead, frozen or without a leader.
AWAY = (OSError, http.client.HTTPException, ValueError)
_PAUSE_S, _SILENCE_S = 0.2, 1.5


class Ended(BaseException):
    """The run is over: nobody waits for etcd any more. No `Exception`, so that nothing takes it for a failure."""


class Members:
    """All members of one etcd. `ended`: set when the run is over."""

    def __init__(self, endpoints: Sequence[str], ended: threading.Event) -> None:
        self.members = [Etcd(endpoint) for endpoint in endpoints]
        self._ended = ended
        self._turn = 0

    def ask(self, call: Callable[[Etcd], T]) -> T:
        """The answer of the first member that gives one; asks for as long as the run lasts."""
        while True:
            try:
                return call(self.members[self._turn % len(self.members)])
            except AWAY:
                self._turn += 1
            if self._ended.wait(_PAUSE_S):
                raise Ended

    def get(self, key: str) -> Entry | None:
        """The entry of a key."""
        return self.ask(lambda etcd: etcd.entry(key))

    def commit(self, sets: Sequence[WriteSet]) -> CommitResult:
        """Write all of it; guards are not for an API server."""
        values: dict[str, bytes | None] = {}
        for one in sets:
            values |= {write.key: write.value if isinstance(write, Put) else None for write in one.writes}
        return CommitResult(self.write(values), (True,) * len(sets))

    def write(self, values: Mapping[str, bytes | None]) -> int:
        """See `Etcd.write`."""
        return self.ask(lambda etcd: etcd.write(values))


@dataclass(frozen=True, slots=True)
class Revision:
    """All changes of one revision. `seen`: seconds since the epoch, never before it was committed."""

    number: int
    changes: tuple[Change, ...]
    seen: float


class Recorder:
    """Watches everything below `/` from the first revision on, on a thread of its own. `lost`: why it is not whole."""

    def __init__(self, endpoints: Sequence[str], ended: threading.Event) -> None:
        self._members = [Etcd(endpoint) for endpoint in endpoints]
        self._ended = ended
        self.revision = 1
        self.lost = ""
        #: Everything so far. Appended to by the thread, read by others up to its present length.
        self.all: list[Revision] = []
        self._thread = threading.Thread(target=self._record, name="recorder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for its end, after `ended` was set."""
        self._thread.join(2 * _SILENCE_S)

    def _record(self) -> None:
        turn = 0
        while not self._ended.is_set() and not self.lost:
            try:
                self._follow(self._members[turn % len(self._members)])
            except Compacted as error:
                self.lost = str(error)
            except AWAY:
                turn += 1
                self._ended.wait(_PAUSE_S)

    def _follow(self, member: Etcd) -> None:
        for batch in member.watch(self.revision + 1, _SILENCE_S):
            self._take(batch)
            if self._ended.is_set():
                return

    def _take(self, batch: Sequence[Change]) -> None:
        seen = time.time()
        left = deque(batch)
        while left:
            number = left[0].revision
            if number <= self.revision:
                self.lost = (
                    f"revision {number} after revision {self.revision}: etcd has lost acknowledged writes"
                )
                return
            changes = []
            while left and left[0].revision == number:
                changes.append(left.popleft())
            self.revision = number
            self.all.append(Revision(number, tuple(changes), seen))
