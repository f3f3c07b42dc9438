"""Several controllers on one etcd and one Heat, all real: start, kill, freeze, stop, and what etcd remembers.

Guarantees: whatever is started here dies with the test process; a frozen controller is one whose processes all
stand still at once, as on a machine that was suspended.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from actors.core import keys
from actors.core.keys import CONFIG, encode_declared
from actors.core.model import Json, Ref
from actors.core.ownership import CONTROLLERS, SHARDS, assign, shard_key, vshard
from actors.ports import Changes, Compacted, Delete, Entry, Put, WatchEvent, WriteSet
from config.examples import load_templates
from config.types import load_types
from sim.heat_server import launch as heat_launch
from tests.contract.etcd_worlds import ROOT, until

TYPES = load_types()
#: What only the owner of a resource may write.
OURS = (
    *(keys.STATE, keys.MONITORING, keys.JOBS, "/esi-worker/"),
    *(keys.TARGETS, keys.HISTORY, keys.ATTEMPTS),
)


class Controller:
    """One controller in processes of its own. `name` is its id in etcd."""

    def __init__(
        self,
        folder: Path,
        endpoints: Sequence[str],
        heat_url: str,
        *,
        timeout_s: float = 3.0,
        **options: object,
    ) -> None:
        self.name = f"c{uuid.uuid4().hex[:6]}"
        self.notes = folder / f"{self.name}.notes"
        self.notes.touch()
        given = {
            "parent": os.getpid(),
            "endpoints": [f"http://{one}" for one in endpoints],
            "heat": heat_url + "/v1",
            "name": self.name,
            "notes": str(self.notes),
            "timeout_s": timeout_s,
            "options": options,
            "status": False,
        }
        text = base64.b64encode(json.dumps(given).encode()).decode()
        self.log = (folder / f"{self.name}.log").open("w+b")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.controllers.process", text],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.said()
        self.pids = [int(pid) for pid in json.loads(line)["pids"]]

    def said(self) -> str:
        """Its log."""
        self.log.flush()
        return Path(self.log.name).read_text("utf-8", "replace")[-4000:]

    def kill(self) -> None:
        """All processes at once, as when the power goes."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """All processes stand still."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """They go on."""
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to stop, without waiting."""
        self._process.terminate()

    def end(self) -> None:
        """Whatever its state, it is over afterwards."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGKILL)
        self._process.wait()
        until(lambda: not any(psutil.pid_exists(pid) for pid in self.pids))
        if self._process.stdout is not None:
            self._process.stdout.close()
        self.log.close()

    def _signal(self, number: signal.Signals) -> None:
        everyone = set(self.pids)
        with contextlib.suppress(psutil.NoSuchProcess):
            everyone |= {child.pid for child in psutil.Process(self._process.pid).children(recursive=True)}
        for pid in everyone:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def noted(self) -> Iterator[dict[str, Any]]:
        """Its transactions: what it tried and what was done."""
        for line in self.notes.read_bytes().splitlines():
            try:
                yield json.loads(line)
            except ValueError:  # killed in the midst of a line
                continue


@dataclass(frozen=True, slots=True)
class Change:
    """One change in etcd's history; `value` None: deleted."""

    key: str
    value: bytes | None
    revision: int
    seen_s: float


class History:
    """Everything that etcd's own watch tells, from the beginning."""

    def __init__(self, store: Any) -> None:
        self._lock = threading.Lock()
        self._changes: list[Change] = []
        self.values: dict[str, bytes] = {}
        self.lost = False
        self._watch = store.watch("/", revision=1, sink=self._take)

    def _take(self, event: WatchEvent) -> None:
        now = time.monotonic()
        with self._lock:
            if isinstance(event, Compacted):
                self.lost = True
            for change in event.puts_and_deletes if isinstance(event, Changes) else ():
                self._add(change, event.revision if isinstance(event, Changes) else 0, now)

    def _add(self, change: Entry | Delete, revision: int, now: float) -> None:
        if isinstance(change, Entry):
            self.values[change.key] = change.value
            self._changes.append(Change(change.key, change.value, change.mod_revision, now))
        else:
            self.values.pop(change.key, None)
            # A deletion shares its revision with the puts before or after it only if they are of one transaction;
            # what is known for sure is that it is not later than its batch.
            self._changes.append(Change(change.key, None, revision, now))

    def changes(self) -> list[Change]:
        """All so far, in order."""
        with self._lock:
            return list(self._changes)

    def holders(self) -> dict[str, int]:
        """How many virtual shards each controller owns now."""
        counts: dict[str, int] = defaultdict(int)
        with self._lock:
            for key, value in self.values.items():
                if key.startswith(SHARDS):
                    counts[value.decode()] += 1
        return dict(counts)

    def members(self) -> set[str]:
        """Who lives."""
        with self._lock:
            return {key[len(CONTROLLERS) :] for key in self.values if key.startswith(CONTROLLERS)}

    def balanced(self, controllers: Iterable[Controller]) -> bool:
        """Whether exactly these live, and each owns what belongs to it."""
        names = {one.name for one in controllers}
        return self.members() == names and self.holders() == Counter(assign(names))

    def gaps_s(self) -> list[float]:
        """How long each virtual shard that was given away had no owner, in seconds."""
        free: dict[str, float] = {}
        gaps = []
        for change in self.changes():
            if change.key.startswith(SHARDS) and change.value is None:
                free[change.key] = change.seen_s
            elif change.key in free:
                gaps.append(change.seen_s - free.pop(change.key))
        return gaps

    def state(self, ref: Ref) -> dict[str, Any] | None:
        """The outcome of a resource, if there is one."""
        with self._lock:
            raw = self.values.get(keys.STATE + TYPES.path(ref))
        return None if raw is None else json.loads(raw)

    def done(self, refs: Iterable[Ref], version: int = 1) -> bool:
        """Whether all have their outcome at that version."""
        return all((state := self.state(ref)) is not None and state["version"] >= version for ref in refs)

    def open_jobs(self) -> int:
        """Recorded jobs that are not finished."""
        with self._lock:
            return sum(key.startswith(keys.JOBS) for key in self.values)


class Heat:
    """The Heat server of a test, and what it knows."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._running = heat_launch.start(folder, seconds)
        self.url = self._running.url

    def names(self, tenants: Iterable[str]) -> list[str]:
        """Names of all living stacks, with repetitions if there are twins."""
        found: list[str] = []
        for tenant in tenants:
            with urllib.request.urlopen(f"{self.url}/v1/{tenant}/stacks", timeout=30) as answer:
                found += [one["stack_name"] for one in json.load(answer)["stacks"]]
        return found

    def stop(self) -> None:
        """End it."""
        self._running.stop()


def tenant_id(number: int) -> str:
    """One of the tenants."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"tenant {number}").hex


def networks(count: int, *, tenants: int = 5) -> list[tuple[Ref, dict[str, Json]]]:
    """Declarations: every second one is a network, the other a subnet of the network before it."""
    found: list[tuple[Ref, dict[str, Json]]] = []
    for number in range(count):
        pair = number // 2
        common: dict[str, Json] = {
            "name": f"n{number}",
            "tenant_id": tenant_id(pair % tenants),
            "description": "",
            "status": "PENDING_CREATE",
            "tags": {},
        }
        network = str(uuid.uuid5(uuid.NAMESPACE_OID, f"network {pair}"))
        if number % 2 == 0:
            own: dict[str, Json] = {"admin_state_up": True, "plane": "data", "shared": False, "subnets": []}
            found.append((Ref("network", network), {"id": network, **common, **own}))
            continue
        subnet = str(uuid.uuid5(uuid.NAMESPACE_OID, f"subnet {pair}"))
        own = {
            "allocation_pools": [],
            "cidr": f"10.{pair // 250}.{pair % 250}.0/24",
            "dhcp_server_address": f"10.{pair // 250}.{pair % 250}.2",
            "dns_nameservers": [],
            "enable_dhcp": True,
            "gateway_ip": None,
            "host_routes": [],
            "ip_version": 4,
            "network_id": network,
            "ntp_servers": [],
        }
        found.append((Ref("subnet", subnet), {"id": subnet, **common, **own}))
    return found


def declare(store: Any, declarations: Sequence[tuple[Ref, dict[str, Json]]], version: int = 1) -> None:
    """Templates and declarations, as an API server writes them (many in one transaction)."""
    documents = load_templates() + [
        (CONFIG + TYPES.path(ref), encode_declared(body, version)) for ref, body in declarations
    ]
    for start in range(0, len(documents), 60):
        chunk = documents[start : start + 60]
        assert all(store.commit([WriteSet((Put(*document),)) for document in chunk]).accepted)


def resource_of(key: str) -> Ref | None:
    """Whose key it is."""
    if key.startswith(keys.JOBS):
        _, _, kind, rid, *_ = key[len(keys.JOBS) :].split(":")
        return Ref(kind, rid)
    for root in (*OURS[:3], keys.HEAT_STACKS, keys.JOB_STATE, keys.ACCEPTED, *OURS[-3:]):
        if key.startswith(root):
            return TYPES.ref(key, root)
    return None


def two_writers(history: History, controllers: Iterable[Controller]) -> list[str]:
    """Every written value that was not written by the owner of its virtual shard at that very revision.

    Who wrote is told by the notes of the controllers; a revision without a note (its answer was lost, or the writer
    died before it could note it) must at least have been tried by the owner.
    """
    did: dict[tuple[int, str], str] = {}
    tried: dict[str, set[str]] = defaultdict(set)
    for controller in controllers:
        for note in controller.noted():
            for key in note.get("did", ()):
                did[(note["revision"], key)] = controller.name
            for written in note.get("try", ()):
                for key in written:
                    tried[key].add(controller.name)
    owner: dict[str, str] = {}
    wrong = []
    for change in history.changes():
        if change.key.startswith(SHARDS):
            if change.value is None:
                owner.pop(change.key, None)
            else:
                owner[change.key] = change.value.decode()
        ref = resource_of(change.key) if change.key.startswith(OURS) else None
        if ref is None or change.value is None:
            continue
        holder = owner.get(shard_key(vshard(str(ref))))
        writer = did.get((change.revision, change.key))
        if writer is None:
            writer = holder if holder in tried[change.key] else "nobody"
        if writer != holder:
            wrong.append(f"{change.key} at {change.revision} by {writer}, owned by {holder}")
    return wrong
