"""What really is, as seen from outside the product: etcd, Heat and the devices, revision by revision.

Guarantees: built from etcd's own history and Heat's own transitions, never from what the product says of
itself. Invariants look here. Keeps the latest and what promises about the past need.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from actors.core import keys, ownership
from actors.core.model import Json, Ref
from actors.core.ownership import CONTROLLERS, SHARDS, shard_key, vshard
from actors.ports import Entry
from sim import catalog
from sim.api_server import TYPES
from sim.clients import Writer
from sim.fake_etcd import Change
from sim.heat.outputs import resolve
from sim.heat.records import Record

_ROOTS = (
    keys.TEMPLATES, keys.CONFIG, keys.JOBS, keys.STATE, keys.MONITORING, keys.HEAT_STACKS, keys.JOB_STATE,
    keys.ACCEPTED, keys.TARGETS, keys.HISTORY, keys.ATTEMPTS, keys.RECONCILE, SHARDS, CONTROLLERS,
)  # fmt: skip
#: Their values are no JSON.
_TEXT = frozenset({SHARDS, CONTROLLERS})
#: What only the product may write.
OURS = frozenset(_ROOTS) - {keys.TEMPLATES, keys.CONFIG, keys.RECONCILE} - _TEXT


class Write(NamedTuple):
    """One change of one key. `value`: decoded, None when deleted or unreadable; `old`: what was there."""

    root: str
    key: str
    ref: Ref | None
    value: Any
    old: Any
    revision: int
    deleted: bool


@dataclass(slots=True)
class Stack:
    """What is known of the stacks of one name. `outputs`: version tag → what Heat gave out for it."""

    outputs: dict[str, list[dict[str, Json]]] = field(default_factory=lambda: defaultdict(list))
    #: Others have been at it: a twin, a foreign update or delete.
    meddled: bool = False
    failed: set[str] = field(default_factory=set)
    #: The process that asked last for a create or update, and for which version.
    asker: object = None
    asked_tags: tuple[str, ...] = ()


@dataclass(slots=True)
class Truth:
    """The state of the outside world. `values`: key → decoded value."""

    values: dict[str, Any] = field(default_factory=dict)
    config_revision: dict[Ref, int] = field(default_factory=dict)
    #: resource → version → the body last accepted for it: a request may reach Heat after the next version is planned.
    bodies: dict[Ref, dict[int, dict[str, Json]]] = field(default_factory=lambda: defaultdict(dict))
    #: key of a virtual shard → its present entry
    owners: dict[str, Entry] = field(default_factory=dict)
    stacks: dict[str, Stack] = field(default_factory=lambda: defaultdict(Stack))
    #: (resource, version) of every outcome that was an error.
    failed: set[tuple[Ref, int]] = field(default_factory=set)
    #: resource → key → value of each of its unfinished jobs
    jobs: dict[Ref, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    ended_jobs: dict[str, float] = field(default_factory=dict)
    #: (device, port or "") → (time, status) of every change.
    seen: dict[tuple[str, str], list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))

    def changed(self, change: Change, revision: int, now: float) -> Write:
        """Take over one change."""
        key, deleted = change.key, not isinstance(change, Entry)
        root, ref = place(key)
        value = _decode(change.value) if isinstance(change, Entry) and root not in _TEXT else None
        old = self.values.get(key)
        if not deleted:
            self.values[key] = value
        else:
            self.values.pop(key, None)
        if root == SHARDS and isinstance(change, Entry):
            self.owners[key] = change
        elif root == SHARDS:
            self.owners.pop(key, None)
        elif root == keys.CONFIG and ref is not None:
            self.config_revision[ref] = revision
        elif root == keys.ACCEPTED and ref is not None and value:
            self.bodies[ref][value["version"]] = value["body"]
        elif root == keys.JOBS:
            self._job(ref, key, value, now)
        elif root == keys.STATE and ref is not None and value and value.get("error"):
            self.failed.add((ref, value["version"]))
        return Write(root, key, ref, value, old, revision, deleted)

    def _job(self, ref: Ref | None, key: str, value: Any, now: float) -> None:
        assert ref is not None, "the key of a job names its resource"
        if isinstance(value, list):
            self.jobs[ref][key] = value
        else:
            self.jobs[ref].pop(key, None)
            self.ended_jobs[key[len(keys.JOBS) :]] = now

    def stack_changed(self, record: Record) -> None:
        """Heat has settled an action of a stack."""
        stack = self.stacks[record.name]
        version = next((tag for tag in record.tags if tag.startswith("v")), "")
        if record.status == "COMPLETE" and record.action in ("CREATE", "UPDATE"):
            outputs = {one["output_key"]: one["output_value"] for one in resolve(record)}
            stack.outputs[version].append(outputs)
        elif record.status == "FAILED":
            stack.failed.add(version)

    def owner(self, ref: Ref) -> Entry | None:
        """The key by which the resource is owned now."""
        return self.owners.get(shard_key(vshard(str(ref))))

    def unowned(self) -> str:
        """How many virtual shards are nobody's, in words; "" if there are none."""
        free = ownership.VSHARDS - len(self.owners)
        return f"{free} virtual shards are nobody's" if free else ""

    def config(self, ref: Ref) -> dict[str, Json] | None:
        """The readable declaration of a resource."""
        value = self.values.get(keys.CONFIG + TYPES.path(ref))
        return value if isinstance(value, dict) and "version" in value else None

    def state(self, ref: Ref) -> dict[str, Json] | None:
        """Its outcome."""
        value: dict[str, Json] | None = self.values.get(keys.STATE + TYPES.path(ref))
        return value

    def ids(self, ref: Ref) -> set[Json]:
        """Every id that the stack of a resource ever gave out."""
        stack = self.stacks[keys.stack_name(ref)]
        return {outputs.get("id") for given in stack.outputs.values() for outputs in given}

    def was(self, device: str, port: str, status: str, since: float) -> bool:
        """Whether the device would have said so of the port at some time since then."""
        changes = self.seen[device, port]
        current = [known for time, known in changes if time <= since][-1:]
        return status in current or any(known == status for time, known in changes if time > since)


#: A cache that holds the keys of many former runs slows down all that follow, by a sixth after a hundred.
@lru_cache(4096)
def place(key: str) -> tuple[str, Ref | None]:
    """The root of a key, and the resource that it is about."""
    root = next((root for root in _ROOTS if key.startswith(root)), "")
    return root, _ref(root, key)


def _ref(root: str, key: str) -> Ref | None:
    if root == keys.JOBS:
        _, _, kind, rid, *_ = key[len(root) :].split(":")
        return Ref(kind, rid)
    if not root or root in (keys.TEMPLATES, SHARDS, CONTROLLERS):
        return None
    return TYPES.ref(key, root)


def _decode(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except ValueError:
        return None


def ref_of(stack_name: str) -> Ref:
    """The resource whose stack bears that name."""
    kind, _, rid = stack_name.partition("_")
    return Ref(kind, rid)


def needs(ref: Ref, body: dict[str, Json]) -> dict[str, list[Ref]]:
    """Heat parameter → the resources whose ids it must hold, by the catalogue."""
    if ref.type == "port":
        return {"net": [Ref("net", body["net_id"])]}
    if ref.type == "link":
        return {"a": [Ref("port", body["a_id"])], "b": [Ref("port", body["b_id"])]}
    if ref.type == "chain" and body.get("prev_id"):
        return {"prev": [Ref("chain", body["prev_id"])]}
    if ref.type == "group":
        return {"members": [Ref("net", one) for one in body["member_ids"]]}
    if ref.type == "mesh":
        return {"members": ups} if (ups := [Ref("mesh", one) for one in body["up_ids"]]) else {}
    assert ref.type in catalog.WITH_STACK, ref
    return {}


__all__ = ["OURS", "Stack", "Truth", "Write", "Writer", "needs", "place", "ref_of"]
