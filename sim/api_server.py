"""The API server of a simulation (contract 2, 8): declares, updates, marks, and removes what was deleted.

Guarantees: versions grow by what an API server grows them; a resource that others refer to is marked together
with them, dependants first; `/config` and `/state` of a resource go when its deletion is complete. It writes to
etcd directly and knows nothing of the product.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.core import keys
from actors.core.keys import TypeTable
from actors.core.model import Json, Ref
from actors.core.outcome import DELETE_COMPLETED
from actors.ports import CommitResult, Delete, Entry, Put, WriteSet
from sim import catalog
from sim.dice import Dice
from sim.fake_etcd import Change
from sim.steering import Operator
from sim.workload import Op

TYPES = TypeTable(catalog.TYPES)
#: Values that are no declaration, each in a way of its own.
GARBAGE = (
    b'{"body": "{", "version": 3',
    b'{"body": {"slots": NaN}, "version": 3}',
    b'{"body": {"name": "\\ud800"}, "version": 3}',
    b'{"body": ' + 2_000 * b"[" + 2_000 * b"]" + b', "version": 3}',
)


class Agenda(Protocol):
    """The time of a run, virtual or real."""

    @property
    def now(self) -> float:
        """Seconds."""

    def at(self, due: float, call: Callable[[], None]) -> None:
        """Have that done at that time."""


class Etcd(Protocol):
    """What an API server needs of etcd, simulated or real."""

    def get(self, key: str) -> Entry | None:
        """A key as it is now."""

    def commit(self, sets: Sequence[WriteSet]) -> CommitResult:
        """Write."""


@dataclass(slots=True)
class Declaration:
    """What is declared of one resource now. `parents`: what it refers to; `revision`: of the write that first said so,
    as a rewrite is no news."""

    version: int
    body: dict[str, Json]
    parents: list[Ref]
    marked: bool = False
    garbled: bool = False
    revision: int = 0
    born: int = 0


class ApiServer:
    """One per world. `declared`: what stands in `/config`."""

    def __init__(self, host: Agenda, etcd: Etcd, seed: int) -> None:
        self._host = host
        self._etcd = etcd
        self._dice = Dice(seed, "api")
        self._garbage = Dice(seed, "garbage")
        self.declared: dict[Ref, Declaration] = {}
        self.broken: set[str] = set()
        #: Every template that was ever broken, and every resource whose dependency was ever missing.
        self.ever_broken: set[str] = set()
        self.ever_missing: set[Ref] = set()
        #: Resources whose key vanished without a mark: their versions may begin anew at any time.
        self.reborn: set[Ref] = set()
        #: Who is to be declared, and as what, as soon as nothing is in the way: somebody tries again and again.
        self.asked: list[tuple[Ref, dict[str, Json]]] = []
        self.operator = Operator(host, etcd, self.declared)
        #: How many versions were declared.
        self.versions = 0

    def begin(self) -> None:
        """Write the templates."""
        for name in catalog.template_names():
            self._put(catalog.template_key(name), catalog.template_value(name))

    def apply(self, op: Op) -> None:
        """Do one operation now; what makes no sense at this moment is left out."""
        getattr(self, f"_{op.kind}")(op.ref, op.body)

    def parents(self, ref: Ref) -> list[Ref]:
        """What a declared resource refers to."""
        return self.declared[ref].parents

    def dependants(self, ref: Ref) -> list[Ref]:
        """What refers to it, directly."""
        return [other for other, one in self.declared.items() if ref in one.parents and other != ref]

    def hopeless(self, forever: frozenset[Ref]) -> frozenset[Ref]:
        """What cannot be built as it is declared now: `forever` as the workload says, and whatever needs something
        that is hopeless or not declared."""
        found, grown = set(forever), True
        while grown:
            needy = (ref for ref in self.declared if ref not in found)
            more = [
                ref for ref in needy if any(p in found or p not in self.declared for p in self.parents(ref))
            ]
            found.update(more)
            grown = bool(more)
        return frozenset(found)

    def in_the_way(self, ref: Ref, body: dict[str, Json]) -> list[Ref]:
        """What must go before that can be declared: marked ones that it refers to, and its own former life."""
        marked = [one for one in _parents(ref, body) if one in self.declared and self.declared[one].marked]
        return [*marked, ref] if self._lingers(ref) else marked

    def changed(self, change: Change) -> None:
        """Told of every change in etcd: a completed deletion is cleared away a little later."""
        if not isinstance(change, Entry) or not change.key.startswith(keys.STATE):
            return
        ref = TYPES.ref(change.key, keys.STATE)
        declared = self.declared.get(ref) if ref is not None else None
        if ref is None or declared is None or not declared.marked:
            return
        value = json.loads(change.value)
        if value["state"].get("worker_state") == DELETE_COMPLETED and value["version"] >= declared.version:
            version = declared.version
            self._host.at(self._host.now + 3.0 * self._dice.unit(), lambda: self._clear(ref, version))

    def _clear(self, ref: Ref, version: int) -> None:
        declared = self.declared.get(ref)
        if declared is not None and declared.marked and declared.version == version:
            del self.declared[ref]
            self._commit(Delete(self._key(ref)), Delete(keys.STATE + TYPES.path(ref)))

    # ------------------------------------------------------------------------------------------ operations

    def _declare(self, ref: Ref, body: dict[str, Json]) -> None:
        body = self._without_rings(ref, body)
        parents = _parents(ref, body)
        if self.in_the_way(ref, body):
            # a foreign key is in the way: whoever asked for it tries again
            self.asked.append((ref, body))
            self._host.at(self._host.now + 2.0, lambda: self._ask_again(ref, body))
        elif ref not in self.declared:
            declared = self.declared[ref] = Declaration(1, dict(body), parents)
            if any(parent not in self.declared for parent in parents):
                self.ever_missing.add(ref)
            self._write(ref)
            declared.born = declared.revision

    def _without_rings(self, ref: Ref, body: dict[str, Json]) -> dict[str, Json]:
        """`body` of a mesh without what leads back to it now: that is refused, as by an API server that checks."""
        if not body.get("up_ids"):
            return body
        return {**body, "up_ids": [one for one in body["up_ids"] if not self._leads(Ref("mesh", one), ref)]}

    def _leads(self, here: Ref, to: Ref, seen: frozenset[Ref] = frozenset()) -> bool:
        if here == to:
            return True
        parents = self.declared[here].parents if here in self.declared and here not in seen else ()
        return any(self._leads(parent, to, seen | {here}) for parent in parents)

    def _ask_again(self, ref: Ref, body: dict[str, Json]) -> None:
        self.asked.remove((ref, body))
        self._declare(ref, body)

    def _lingers(self, ref: Ref) -> bool:
        """Whether something of a life that has ended stands in the way of a new one, whose versions begin at 1."""
        roots = (keys.STATE, keys.ACCEPTED)
        left = any(self._etcd.get(root + TYPES.path(ref)) is not None for root in roots)
        return ref not in self.declared and left

    def _touch(self, ref: Ref, changes: dict[str, Json], by: int = 1) -> None:
        declared = self.declared.get(ref)
        if declared is None or declared.marked:
            return
        changes = self._without_rings(ref, changes)
        parents = _parents(ref, {**declared.body, **changes})
        if any(parent in self.declared and self.declared[parent].marked for parent in parents):
            changes = {"note": "stays"}
        declared.version += by
        declared.body = {**declared.body, **changes}
        declared.parents = _parents(ref, declared.body)
        declared.garbled = False
        if any(parent not in self.declared for parent in self.parents(ref)):
            self.ever_missing.add(ref)
        self._write(ref)

    def _jump(self, ref: Ref, changes: dict[str, Json]) -> None:
        self._touch(ref, changes, by=5)

    def _rewrite(self, ref: Ref, _body: dict[str, Json]) -> None:
        """The same version once more, byte for byte."""
        if ref in self.declared and not self.declared[ref].garbled:
            since = self.declared[ref].revision
            self._write(ref)
            self.declared[ref].revision = since

    def _mark(self, ref: Ref, _body: dict[str, Json]) -> None:
        """Dependants first, as an API server with foreign keys must."""
        for one in self._and_dependants(ref):
            declared = self.declared[one]
            if not declared.marked:
                declared.version += 1
                declared.marked, declared.garbled = True, False
                self._write(one)

    def _oust(self, ref: Ref, _body: dict[str, Json]) -> None:
        """Marked, whatever needs it: not by an API server."""
        if ref in self.declared and not self.declared[ref].marked:
            self.mark_again(ref)

    def _drop(self, ref: Ref, _body: dict[str, Json]) -> None:
        """The key is deleted without a mark, whatever needs it."""
        if ref in self.declared:
            del self.declared[ref]
            self.reborn.add(ref)
            self._commit(Delete(self._key(ref)))

    def mark_again(self, ref: Ref) -> None:
        """An operator deletes once more what could not be deleted."""
        declared = self.declared[ref]
        declared.version += 1
        declared.marked, declared.garbled = True, False
        self._write(ref)

    def _and_dependants(self, ref: Ref) -> list[Ref]:
        if ref not in self.declared:
            return []
        found: dict[Ref, None] = {}

        def visit(one: Ref, above: frozenset[Ref]) -> None:
            for other in self.dependants(one):
                if other not in found and other not in above:
                    visit(other, above | {one})
            found[one] = None

        visit(ref, frozenset())
        return list(found)

    def _vanish(self, ref: Ref, _body: dict[str, Json]) -> None:
        """The key is deleted without a mark; only of something that nobody needs."""
        if not self.dependants(ref):
            self._drop(ref, _body)

    def _garble(self, ref: Ref, _body: dict[str, Json]) -> None:
        """A value that cannot be read; the next write mends it."""
        declared = self.declared.get(ref)
        if declared is not None and not declared.marked:
            declared.garbled = True
            self._put(self._key(ref), self._garbage.one(GARBAGE))

    def mend(self) -> None:
        """Everything that was garbled or broken is made good."""
        for ref, declared in list(self.declared.items()):
            if declared.garbled:
                self._touch(ref, {"note": "mended"})
        for name in sorted(self.broken):
            self._mend_template(Ref("", ""), {"name": name})

    def _stray(self, _ref: Ref, _body: dict[str, Json]) -> None:
        """A key of a type that nobody knows, and one that is no key at all."""
        self._put("/config/v9/strangers/x1", keys.encode_declared({"id": "x1"}, 1))
        self._put("/config/", b"\xff\xfe")

    def _steer(self, ref: Ref, body: dict[str, Json]) -> None:
        """An operator's command."""
        self.operator.steer(ref, **body)

    def _add_template(self, _ref: Ref, body: dict[str, Json]) -> None:
        self._put(catalog.template_key(body["name"]), catalog.template_value(body["name"]))

    def _break_template(self, _ref: Ref, body: dict[str, Json]) -> None:
        name = body["name"]
        self.broken.add(name)
        self.ever_broken.add(name)
        self._put(catalog.template_key(name), catalog.template_value(name, broken=True))

    def _mend_template(self, _ref: Ref, body: dict[str, Json]) -> None:
        name = body["name"]
        if name in self.broken:
            self.broken.discard(name)
            self._put(catalog.template_key(name), catalog.template_value(name))

    # ---------------------------------------------------------------------------------------------- inside

    def _key(self, ref: Ref) -> str:
        return keys.CONFIG + TYPES.path(ref)

    def _write(self, ref: Ref) -> None:
        declared = self.declared[ref]
        self.versions += 1
        value = keys.encode_declared(declared.body, declared.version, marked_for_deletion=declared.marked)
        declared.revision = self._put(self._key(ref), value)

    def _put(self, key: str, value: bytes) -> int:
        return self._commit(Put(key, value))

    def _commit(self, *writes: Put | Delete) -> int:
        return self._etcd.commit([WriteSet(writes)]).revision


def _parents(ref: Ref, body: dict[str, Json]) -> list[Ref]:
    found: list[Ref] = []
    for prop, target in catalog.RELATIONS.get(ref.type, {}).items():
        value = body.get(prop)
        found += [Ref(target, one) for one in (value if isinstance(value, list) else [value]) if one]
    return found
