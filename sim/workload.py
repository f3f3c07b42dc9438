"""What a simulated API server is told to do, and when: drawn from the seed, before the run begins.

Guarantees: a list of operations with times that does not depend on how the run goes, so it can be shrunk by
leaving resources out; all shapes of D.3 occur over a few seeds: chains, fan-out, churn, floods, ten updates in
a millisecond, delete while creating, dependants before their dependency, cycles, broken values and templates. A rough
one adds people who write past the API server: what is in use is marked or removed, and watches come and go. A tangled
one is rough, and adds what refers to one another in every way (`sim.tangle`); a steered one is rough, and adds an
operator's commands (`sim.steering`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from actors.core.model import Json, Ref
from sim import catalog
from sim.dice import Dice
from sim.steering import Steering
from sim.tangle import Tangle

#: Most resources of one kind hang on few others; this is how likely each type is.
_WEIGHTS = (("net", 4), ("port", 5), ("link", 3), ("chain", 4), ("group", 1), ("box", 2), ("memo", 1))
_TENANTS = ("t0", "t1", "t2")
ADDITIONS = ("rough", "tangle", "steered")


@dataclass(frozen=True, slots=True)
class Op:
    """One thing that the API server does at that time. `kind` is a method of `sim.api_server.ApiServer`."""

    at: float
    kind: str
    ref: Ref
    body: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workload:
    """`hopeless`: resources that cannot be built as declared (a cycle, or something that never comes)."""

    ops: tuple[Op, ...]
    duration_s: float
    hopeless: frozenset[Ref]

    def only(self, refs: frozenset[Ref]) -> Workload:
        """The same without everything that concerns other resources."""
        return replace(self, ops=tuple(op for op in self.ops if op.ref in refs or not op.ref.id))

    @property
    def refs(self) -> tuple[Ref, ...]:
        """All resources, in the order in which they are first mentioned."""
        return tuple(dict.fromkeys(op.ref for op in self.ops if op.ref.id))


def draw(seed: int, resources: int, adds: Collection[str] = ()) -> Workload:
    """The workload of a seed. What `adds` to it (ADDITIONS) changes nothing of what is there without that."""
    more = [Dice(seed, what) if what in adds else None for what in ADDITIONS]
    return _Draw(Dice(seed, "workload"), resources, *more).run()


class _Draw:
    def __init__(
        self, dice: Dice, resources: int, rough: Dice | None, tangle: Dice | None, steered: Dice | None
    ) -> None:
        self._dice, self._rough, self._tangle, self._steered = dice, rough, tangle, steered
        self._count = resources
        self._bodies: dict[Ref, dict[str, Json]] = {}
        self._ops: list[Op] = []
        self._hopeless: set[Ref] = set()
        self._born: dict[Ref, float] = {}
        #: The time over which things are first declared; 0: a flood.
        self._spread = dice.one((0.0, 5.0, 20.0))
        self.duration = dice.one((30.0, 60.0, 90.0))
        #: Whose things they are; in some runs all are one tenant's.
        self._tenants = dice.one((_TENANTS, _TENANTS, _TENANTS[:1]))

    def run(self) -> Workload:
        for number in range(self._count):
            self._resource(number)
        if self._count >= 4 and self._dice.chance(0.3):
            self._cycle()
        if self._dice.chance(0.2):
            self._missing()
        churn = int(self._count * self._dice.one((0.0, 0.3, 1.0)))
        refs = list(self._bodies)
        for _ in range(churn):
            self._change(self._dice.one(refs))
        if self._dice.chance(0.15):
            self._break_template()
        if self._dice.chance(0.2):
            self._op(self._dice.between(0, self.duration), "stray", Ref("", ""))
        if self._rough is not None:
            for _ in range(1 + self._count // 6):
                self._intrude(self._rough, self._rough.one(refs))
        if self._tangle is not None:
            tangle = Tangle(self._tangle, 3 + self._count // 2, self.duration, self._tenants)
            tangle.run()
            self._ops += [Op(*op) for op in tangle.ops]
        if self._steered is not None:
            steering = Steering(self._steered, refs, self.duration, self._tenants)
            steering.run()
            self._ops += [Op(*op) for op in steering.ops]
        self._ops.sort(key=lambda op: op.at)
        last = max((op.at for op in self._ops), default=0.0)  # what was born late is changed later still
        return Workload(tuple(self._ops), max(self.duration, last), frozenset(self._hopeless))

    def _op(self, at: float, kind: str, ref: Ref, **body: Json) -> None:
        self._ops.append(Op(at, kind, ref, body))

    # ------------------------------------------------------------------------------------- declarations

    def _resource(self, number: int) -> None:
        kind = self._type()
        parents = {prop: self._parent(target) for prop, target in catalog.RELATIONS.get(kind, {}).items()}
        if any(parent is None for parent in parents.values()) and kind != "chain":
            kind, parents = "net", {}
        ref = Ref(kind, f"{kind}{number}")
        body: dict[str, Json] = {"id": ref.id, "tenant_id": self._dice.one(self._tenants), "note": "n0"}
        for prop, parent in parents.items():
            body[prop] = self._list_or_one(prop, parent)
        if kind in catalog.WATCHED:
            body["ip"] = catalog.device_name(self._dice.below(catalog.DEVICES))
            body["name"] = catalog.port_name(self._dice.below(catalog.PORTS_PER_DEVICE))
            body["limit"] = 60 if self._dice.chance(0.1) else 3600
        late = self._dice.between(1.0, 25.0) if self._dice.chance(0.1) else 0.0
        at = self._dice.unit() * self._spread + late
        self._bodies[ref] = body
        self._born[ref] = at
        self._op(at, "declare", ref, **body)
        if self._dice.chance(0.03):
            self._op(at + self._dice.one((0.0, 0.001, 1.0)), "mark", ref)
            self._op(at + self._dice.between(5, 30), "declare", ref, **body)

    def _type(self) -> str:
        at = self._dice.below(sum(weight for _, weight in _WEIGHTS))
        for kind, weight in _WEIGHTS:
            at -= weight
            if at < 0:
                return kind
        raise AssertionError("the weights cover the range")

    def _parent(self, kind: str) -> Ref | None:
        """One of that type: mostly one of the last, so that chains grow, now and then the first (fan-out)."""
        known = [ref for ref in self._bodies if ref.type == kind]
        if not known:
            return None
        return self._dice.one(known[:1] if self._dice.chance(0.3) else known[-4:])

    def _list_or_one(self, prop: str, parent: Ref | None) -> Json:
        if not prop.endswith("_ids"):
            return parent.id if parent is not None else ""
        nets = [ref.id for ref in self._bodies if ref.type == "net"]
        return list(dict.fromkeys(self._dice.one(nets) for _ in range(3)))

    def _cycle(self) -> None:
        """Two or three chains in a ring, or one that refers to itself."""
        size = 1 + self._dice.below(3)
        ring = [Ref("chain", f"ring{n}") for n in range(size)]
        for ref, before in zip(ring, [*ring[1:], ring[0]], strict=True):
            body = {"id": ref.id, "tenant_id": "t0", "note": "n0", "prev_id": before.id}
            self._op(self._dice.unit() * self.duration / 2, "declare", ref, **body)
        if size > 1:  # what refers to itself alone is built without that
            self._hopeless.update(ring)

    def _missing(self) -> None:
        """Something that refers to what never comes."""
        ref = Ref("chain", "orphan")
        self._op(1.0, "declare", ref, id=ref.id, tenant_id="t0", note="n0", prev_id="nobody")
        self._hopeless.add(ref)

    # -------------------------------------------------------------------------------------------- churn

    def _change(self, ref: Ref) -> None:
        begins = self._born[ref]
        at = begins + self._dice.unit() * max(1.0, self.duration - begins)
        if self._dice.chance(0.2):
            at = begins + self._dice.one((0.0, 0.001, 0.05, 0.5))  # while it is being created
        kind = self._dice.below(20)
        if kind < 9:
            self._op(at, "touch", ref, note=f"n{self._dice.below(5)}")
        elif kind < 11:
            for n in range(10):
                self._op(at + n * 0.0001, "touch", ref, note=f"b{n}")
        elif kind < 14:
            self._op(at, "mark", ref)
            if self._dice.chance(0.6):
                self._op(at + self._dice.between(2, 40), "declare", ref, **self._bodies[ref])
        elif kind < 15:
            self._op(at, "vanish", ref)
            self._op(at + self._dice.between(0, 20), "declare", ref, **self._bodies[ref])
        elif kind < 17:
            self._relink(at, ref)
        elif kind < 18:
            self._op(at, "garble", ref)
        elif kind < 19:
            self._op(at, "rewrite", ref)
        else:
            self._op(at, "jump", ref, note="jumped")

    def _relink(self, at: float, ref: Ref) -> None:
        """Hang it under something else that was there before it, so that no ring arises."""
        known = list(self._bodies)
        before = known[: known.index(ref)]
        for prop, target in catalog.RELATIONS.get(ref.type, {}).items():
            others = [other.id for other in before if other.type == target]
            if others and not prop.endswith("_ids"):
                self._op(at, "touch", ref, **{prop: self._dice.one(others)})
                return
        self._op(at, "touch", ref, note="relinked")

    def _intrude(self, dice: Dice, ref: Ref) -> None:
        """Somebody writes past the API server, who knows nothing of what needs what."""
        at = self._born[ref] + dice.unit() * max(1.0, self.duration - self._born[ref])
        kind = dice.below(10)
        if kind < 2 and ref.type == "port":
            self._op(at, "touch", ref, watch="no")
            self._op(at + dice.one((0.0, 0.5, 20.0)), "touch", ref, note="unwatched")
            if dice.chance(0.5):
                self._op(at + dice.between(0, 30), "touch", ref, watch="yes")
            return
        if kind < 5:  # what needed it is hung under something else at about that time
            for other, body in self._bodies.items():
                if ref.id in (body.get("net_id"), body.get("a_id"), body.get("prev_id")):
                    self._relink(at + dice.one((-1.0, -0.001, 0.0, 0.5)), other)
        self._op(at, "oust" if kind < 8 else "drop", ref)
        if dice.chance(0.6):
            self._op(at + dice.between(2, 40), "declare", ref, **self._bodies[ref])

    def _break_template(self) -> None:
        name = self._dice.one(catalog.template_names())
        at = self._dice.unit() * self.duration
        self._op(at, "break_template", Ref("", ""), name=name)
        self._op(at + self._dice.between(1, 20), "mend_template", Ref("", ""), name=name)
