"""Keeps etcd's history short: the part of the EtcdBridge that compacts.

Guarantees: one controller compacts, the owner of virtual shard 0, and the others know how old the history is, too, so
that it is shortened however often that shard changes hands; history of the last `history_s` seconds is kept unless
it takes more than `history_bytes`, then only that of the last two looks (`LOOK_S` apart), so that a burst of writes
cannot fill the quota. A watch that is further behind than that is resynchronised by comparison.
Does not give free space inside etcd's file back to the disk: that is defragmentation, an operator's decision.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.bridge_health import ALARM
from actors.core.errors import PortError
from actors.core.ownership import CONTROLLERS
from actors.messages import Tick
from actors.ports import Store, StoreStatus

if TYPE_CHECKING:
    from actors.etcd_bridge import EtcdBridge

LOOK_S = 2.0
#: The owner of this virtual shard compacts.
COMPACTOR = 0
CONDITION = "History"
NOT_PERMITTED = (
    "etcd's history cannot be shortened: etcd 3.4.42, 3.5.28 and later permit that to root only. Give our user that "
    "role, or start etcd with --auto-compaction-mode=periodic --auto-compaction-retention=10m and set "
    "etcd.history_s = 0"
)


@dataclass(frozen=True, slots=True)
class Look:
    """The store at one time: its revision, and what it told of itself."""

    revision: int
    status: StoreStatus


class History:
    """Works on the bridge's thread."""

    def __init__(self, bridge: EtcdBridge) -> None:
        self._bridge = bridge
        self._marks: deque[tuple[float, int]] = deque()
        self._floor = 0
        self._compacted = 0

    def begin(self) -> None:
        """Look from now on."""
        self._bridge.after(LOOK_S, Tick("history"))

    def listed(self, revision: int) -> None:
        """The watch begins there. A store that was further before is another one, restored or wiped: what was known of
        that says nothing of this one."""
        if revision < max((self._compacted, *(at for _, at in self._marks))):
            self._marks.clear()
            self._compacted = self._floor = 0

    def look(self) -> None:
        """How long is the history, and who is to shorten it?"""
        if not self._bridge.holdings.owns(COMPACTOR):
            self._floor = 0
            self._target(self._bridge.now() - self._bridge.boot.options.history_s, burst=False)
            self._mark(self._bridge.feed.revision)  # without asking etcd
            for what in (ALARM, CONDITION):  # the owner tells
                self._bridge.note(what, "")
            self.begin()
            return
        store = self._bridge.store
        self._bridge.submit(lambda: look(store), self._looked, "read")

    def _looked(self, outcome: Look | BaseException) -> None:
        self.begin()
        if isinstance(outcome, BaseException):
            return
        self._bridge.health.alarms(outcome.status.alarms)
        options, now = self._bridge.boot.options, self._bridge.now()
        if not options.history_s:
            return
        used = outcome.status.bytes_in_use
        self._floor = min(self._floor or used, used)
        target = self._target(now - options.history_s, burst=used - self._floor > options.history_bytes)
        self._mark(outcome.revision)
        if target > self._compacted:
            self._compact(target)

    def _mark(self, revision: int) -> None:
        if not self._marks or self._marks[-1][1] != revision:
            self._marks.append((self._bridge.now(), revision))

    def _target(self, before: float, *, burst: bool) -> int:
        """The newest marked revision that need not be kept; 0 if there is none."""
        target = 0
        while self._marks and (self._marks[0][0] <= before or (burst and len(self._marks) > 1)):
            target = self._marks.popleft()[1]
        return target

    def _compact(self, revision: int) -> None:
        def done(outcome: BaseException | None) -> None:
            refused = isinstance(outcome, PortError) and outcome.failure.kind == "PermissionDenied"
            self._bridge.note(CONDITION, NOT_PERMITTED if refused else "")
            if refused:
                self._compacted = revision  # the next time there is more to forget
            elif isinstance(outcome, BaseException):
                self._bridge.log.warning("compacting etcd's history: %s", outcome)
            else:
                self._compacted, self._floor = revision, 0

        store = self._bridge.store
        self._bridge.submit(lambda: store.compact(revision), done, "read")


def look(store: Store) -> Look:
    """On a worker thread."""
    return Look(store.page(CONTROLLERS, limit=1).revision, store.status())
