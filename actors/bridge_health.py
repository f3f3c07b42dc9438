"""What is wrong with etcd, by name, and since when: the part of the EtcdBridge that tells it.

Guarantees: `up` only while the watch runs and we are a member; `since` is when that changed last; a condition
such as NoSpace stands until the same thing has succeeded; of jobs, until another version is begun. Told to the
shards and logged once per change.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from actors.core import keys
from actors.core.errors import ErrorClass, PortError
from actors.core.job_ids import resource_of
from actors.messages import StoreHealth
from actors.ports import Delete, Put, WriteSet

if TYPE_CHECKING:
    from actors.etcd_bridge import EtcdBridge

#: Without these etcd cannot be used at all.
VITAL = ("watch", "ownership")
NO_SPACE = "NoSpace"
ALARM = "Alarm"
TOO_LARGE = "TooLarge"
#: The part of the store that is the bridge's own: what it takes and reads itself, see `_part`.
OWN = ""
#: Over-size values that are shown at once, at most.
TOO_LARGE_MAX = 20


class Health:
    """Works on the bridge's thread."""

    def __init__(self, bridge: EtcdBridge) -> None:
        self._bridge = bridge
        self._wrong = dict.fromkeys(VITAL, "starting")
        self._too_large: dict[str, str] = {}
        #: kind → where something has to succeed before that is over: parts of the store, see `_part`
        self._refused: dict[str, set[str]] = {}
        self.told = StoreHealth(up=False, since=bridge.now(), reason="starting")

    def note(self, what: str, text: str) -> None:
        """`text` is wrong with `what`; empty: nothing is."""
        if self._wrong.get(what, "") == text:
            return
        if text:
            self._wrong[what] = text
        else:
            del self._wrong[what]
        self._tell()

    def trouble(self, outcome: object, write_set: WriteSet | None = None) -> None:
        """A request failed: whether that is a condition with a name."""
        if not isinstance(outcome, PortError):
            return
        failure = outcome.failure
        if failure.kind == NO_SPACE:
            self.note(NO_SPACE, f"etcd's quota is used up, nothing can be written: {failure.text}")
        elif failure.kind == TOO_LARGE and write_set is not None:
            sizes = {w.key: len(w.value) for w in write_set.writes if isinstance(w, Put)}
            largest = max(sizes, key=lambda key: sizes[key], default="")
            if len(self._too_large) < TOO_LARGE_MAX:
                self._too_large[_about(largest)] = f"{largest} ({sizes.get(largest, 0)} bytes)"
            self._show_too_large()
        elif failure.error_class is ErrorClass.TERMINAL:
            writes = write_set.writes if write_set is not None else ()
            self._refused.setdefault(failure.kind, set()).update(map(_part, writes) if writes else {OWN})
            self.note(failure.kind, failure.text)

    def wrote(self, write_set: WriteSet) -> None:
        """These writes succeeded: what they prove to be over is over."""
        if len(self._wrong) == 0:
            return
        for write in write_set.writes:
            if isinstance(write, Put):
                self.note(NO_SPACE, "")
            begun = isinstance(write, Put) and write.key.startswith(keys.ACCEPTED)
            gone = isinstance(write, Delete) and write.key.startswith((keys.ACCEPTED, keys.STATE))
            over = [_about(write.key), *([_jobs_of(write.key.rpartition("/")[2])] if begun or gone else [])]
            if [one for one in over if self._too_large.pop(one, None) is not None]:
                self._show_too_large()
        self.permitted({_part(write) for write in write_set.writes})

    def permitted(self, parts: Collection[str]) -> None:
        """Etcd let us do something in these parts of the store."""
        for kind, left in list(self._refused.items()):
            left.difference_update(parts)
            if not left:
                del self._refused[kind]
                self.note(kind, "")

    def alarms(self, alarms: Collection[str]) -> None:
        """What etcd itself says: all alarms that are raised now."""
        self.note(ALARM, ", ".join(sorted(alarms)))
        if NO_SPACE in self._wrong and "NOSPACE" not in alarms:
            self.note(NO_SPACE, "")

    def _show_too_large(self) -> None:
        listed = ", ".join(self._too_large.values())
        self.note(TOO_LARGE, f"refused by etcd for their size: {listed}" if listed else "")

    def _tell(self) -> None:
        vital = [self._wrong[what] for what in VITAL if what in self._wrong]
        conditions = {what: text for what, text in self._wrong.items() if what not in VITAL}
        before, up, reason = self.told, not vital, vital[0] if vital else ""
        since = self._bridge.now() if up != before.up else before.since
        self.told = StoreHealth(up, since, reason, conditions)
        if self.told == before:
            return
        log = self._bridge.log
        if up and not before.up:
            log.info("etcd is usable")
        elif not up and reason != before.reason:
            log.warning("etcd is not usable: %s", reason)
        for what in conditions.keys() - before.conditions.keys():
            log.error("%s: %s", what, conditions[what])
        for what in before.conditions.keys() - conditions.keys():
            log.info("%s is over", what)
        self._bridge.tell_shards(self.told)


def _about(key: str) -> str:
    """What is over-size: the value of that key; of a job those of its resource, as a later version has other jobs."""
    found = resource_of(key[len(keys.JOBS) :]) if key.startswith(keys.JOBS) else None
    return _jobs_of(found[0].id) if found is not None else key


def _jobs_of(resource_id: str) -> str:
    return f"{keys.JOBS}{resource_id}"


def _part(write: Put | Delete) -> str:
    """Where permissions may begin and end: the first two names of its key, but not the last."""
    return "/".join(write.key.split("/")[:-1][:3])
