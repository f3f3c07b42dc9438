"""Playing a case: the phases of a run, and what came of it.

Guarantees: faults are on for the time of the workload, then never again; calm must converge within CONVERGE_S,
first as it is, then after an operator declared once more what had failed; at rest nothing is written for
`World.rest_s`; in half of the seeds everything is then deleted, and nothing may be left. Every broken promise
ends the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import actors.resource as resource_module
from actors.core import keys
from actors.core.machine import Event, State
from actors.core.model import Ref
from sim import catalog
from sim.api_server import TYPES
from sim.dice import Dice
from sim.disasters import Disasters
from sim.host import Busied
from sim.invariants import Paused, Stuck, Violation
from sim.surroundings import counted_transitions, crashes, few_shards, no_alarms, no_collections
from sim.workload import Op
from sim.world import Case, World

#: The longest that the calm may last until everything is final.
CONVERGE_S = 1500.0
LOOK_S = 5.0
#: Whoever dies while it begins is missed last: after twenty-four heartbeats.
RECOVER_S = 120.0
#: A change of a port must be seen within this: two looks, a hold, and at most a write per minute while it flaps.
SEEN_S = 240.0


@dataclass(slots=True)
class Result:
    """What a run came to. `finals`: outcomes written; `transitions`: of the job machine, how often each."""

    case: Case
    violation: Violation | None
    digest: str
    virtual_s: float
    events: int
    finals: int
    hits: Counter[str]
    names: tuple[str, ...]
    checks: dict[str, int]
    former_owners: int
    transitions: Counter[tuple[State, Event]] = field(default_factory=Counter)


class Player:
    """One run of one case. `prepare` may watch or spoil the world before it begins."""

    def __init__(self, case: Case, prepare: Callable[[World], None] = lambda world: None) -> None:
        self.world = World(case)
        self._disasters = Disasters(self.world)
        self._prepare = prepare

    def run(self) -> Result:
        """Play it to its end, or to the first broken promise."""
        world, violation = self.world, None
        with counted_transitions() as transitions, crashes(), no_collections(), few_shards(), no_alarms():
            try:
                self._prepare(world)
                self._phases()
            except Violation as broken:
                violation = broken
            except Busied as busy:
                violation = Stuck("Convergence", str(busy))
        host = world.host
        return Result(
            world.case, violation, host.digest, host.now, host.events, world.finals, world.faults.hits,
            tuple(world.faults.names), world.checks(), world.former_owners, transitions,
        )  # fmt: skip

    def _phases(self) -> None:
        world, host = self.world, self.world.host
        world.api.begin()
        for op in world.workload.ops:
            host.at(op.at, lambda op=op: world.api.apply(op))  # type: ignore[misc]
        self._disasters.schedule(world.workload.duration_s)
        apart_s = Dice(world.case.seed, "boots").one((0.0, 0.3, 5.0))
        for number, controller in enumerate(world.controllers):
            host.at(number * apart_s, lambda c=controller: world.boot(c))  # type: ignore[misc]
        while host.now < world.workload.duration_s:
            self._run(LOOK_S)
        self._calm()

    def _calm(self) -> None:
        world = self.world
        world.faults.active = False
        world.phase, world.calm_since = "calm", world.host.now
        self._disasters.end_all()
        world.heal_stacks()
        world.api.mend()
        self._run(60.0)
        self._recover()
        self._resume()
        world.lagging = False
        self._converge("after the faults")
        self._once_more()
        self._rest()
        for invariant in world.invariants:
            invariant.rested()
        self._unplug()
        if world.case.seed % 2 == 0:
            self._delete_all()

    def _resume(self) -> None:
        """What stayed paused goes on, after a time in which nobody may begin it."""
        if self.world.api.operator.paused:
            self._run(2 * Paused.HEARD_S)
            self.world.api.operator.resume_all()
            self._run(LOOK_S)

    def _run(self, seconds: float) -> None:
        host = self.world.host
        until = host.now + seconds
        while host.now < until:
            host.run(min(until, host.now + LOOK_S))
            self.world.look()

    def _recover(self) -> None:
        """Whoever died in silence is missed, and replaced."""
        limit, whole = self.world.host.now + RECOVER_S, self.world.whole()
        while not self.world.whole():
            if self.world.host.now >= limit:
                raise Stuck("Recovery", f"a dead process was not replaced within {60 + RECOVER_S:g} s")
            self._run(LOOK_S)
        if not whole:
            self._run(30.0)

    def _converge(self, when: str) -> None:
        world = self.world
        limit = world.host.now + CONVERGE_S
        while (left := self._unfinished()) is not None:
            if world.host.now >= limit:
                raise Stuck("Convergence", f"{when}, within {CONVERGE_S:g} s: {left[1]}", left[0])
            self._run(LOOK_S)

    def _once_more(self) -> None:
        """An operator declares again what has failed, and deletes again what could not be deleted."""
        world = self.world
        for _ in range(3):
            world.heal_stacks()
            hopeless, again = world.hopeless_now(), False
            for ref, declared in list(world.api.declared.items()):
                state = world.truth.state(ref)
                if state is None or not state.get("error") or (ref in hopeless and not declared.marked):
                    continue
                again = True
                if declared.marked:
                    world.api.mark_again(ref)
                else:
                    world.api.apply(Op(0.0, "touch", ref, {"note": "again"}))
            if not again:
                return
            self._converge("after failed ones were declared again")

    def _rest(self) -> None:
        """Nothing more is written."""
        world = self.world
        self._run(30.0)
        before = world.etcd.revision
        self._run(world.rest_s)
        if world.etcd.revision != before:
            history = [(r, [c.key for c in changes]) for r, changes in world.etcd._history if r > before]
            raise Stuck("Rest", f"written at rest: {history[:3]}")

    def _unplug(self) -> None:
        """A port goes down and comes back: both must be seen in time."""
        world = self.world
        for ref, declared in world.api.declared.items():
            state = world.truth.state(ref)
            seen = ref.type == "port" and catalog.watched(ref.type, declared.body)
            if seen and state is not None and not state.get("error"):
                device, port = declared.body["ip"], declared.body["name"]
                self._disasters.unplug(device, port)
                self._seen(ref, "DOWN")
                self._disasters.plug(device, port)
                self._seen(ref, "UP")
                return

    def _seen(self, ref: Ref, status: str) -> None:
        world, until = self.world, self.world.host.now + SEEN_S
        while world.host.now < until:
            seen = world.truth.values.get(keys.MONITORING + world.path(ref)) or {}
            if status in seen.values():
                return
            self._run(LOOK_S)
        raise Stuck(
            "Monitoring", f"its port is {status}, and /monitoring does not say so after {SEEN_S:g} s", ref
        )

    def _delete_all(self) -> None:
        world = self.world
        for ref in list(world.api.declared):
            world.api.apply(Op(0.0, "mark", ref))
        for _ in range(3):
            self._converge("after everything was marked for deletion")
            left = list(world.api.declared)
            for ref in left:
                world.api.mark_again(ref)
            if not left:
                break
        for record in world.living_stacks():
            if world.truth.stacks[record.name].meddled:
                world.stacks.engine.delete(record)
        self._run(world.rest_s)
        for invariant in world.invariants:
            invariant.emptied()

    def _unfinished(self) -> tuple[Ref | None, str] | None:
        """What is not final yet, and why."""
        world = self.world
        truth = world.truth
        for ref, declared in world.api.declared.items():
            state = truth.state(ref)
            if state is None or state["version"] < declared.version:
                at = state["version"] if state is not None else "nothing"
                return ref, f"/state is at {at}, declared is {declared.version}: {self._reason(ref)}"
            if declared.marked:
                if not state.get("error"):
                    return ref, f"deleted, but not cleared away: {state}"
            elif not state.get("error") and catalog.watched(ref.type, declared.body):
                seen = truth.values.get(keys.MONITORING + world.path(ref))
                if (
                    seen is None
                    or seen["version"] != declared.version
                    or set(seen.values()) - {"UP", seen["version"]}
                ):
                    return ref, f"/monitoring is {seen}, declared is {declared.version}, all devices are well"
        if free := truth.unowned():
            return None, free
        for key in truth.values:
            if key.startswith((keys.JOBS, keys.RECONCILE)):
                return None, f"{key} is left"
            if key.startswith(keys.ACCEPTED):
                known = TYPES.ref(key, keys.ACCEPTED) in world.api.declared
                if not known and not self._given_up(key[len(keys.ACCEPTED) :]):
                    return None, f"{key} is left, and it is not declared"
        return self._asked_for()

    def _asked_for(self) -> tuple[Ref, str] | None:
        """What is declared when the last thing in its way goes, maybe long after the faults, and built only then."""
        world = self.world
        for ref, body in world.api.asked:
            blocking = world.api.in_the_way(ref, body)
            if not any(self._given_up(world.path(one)) for one in blocking):
                return ref, f"it is to be declared as soon as nothing is in the way: {blocking}"
        return None

    def _given_up(self, path: str) -> bool:
        """Whether its deletion has failed, with a mark or without: an operator's business."""
        state = self.world.truth.values.get(keys.STATE + path)
        return state is not None and bool(state.get("error"))

    def _reason(self, ref: Ref) -> str:
        for actor in self.world.host.actors(resource_module.ResourceActor):
            if actor.ref == ref:
                return f"{actor.state}: {actor.reason}"
        return "no actor is at it"
