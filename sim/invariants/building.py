"""Promises about Heat: stacks, dependencies, and how hard it is pressed."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence

from actors.core import keys
from actors.core.job_ids import resource_of
from actors.core.machine import State
from actors.core.model import Action, Handler, Json, Ref
from actors.core.outcome import DELETE_COMPLETED
from actors.core.stackdrive import MARK
from actors.heat_drive import Drive
from actors.heat_pool import HeatActor
from actors.ports import Put, StackSpec, WriteSet
from actors.resource import ResourceActor
from sim.invariants.base import Invariant
from sim.process import Cell
from sim.truth import Write, Writer, needs, place, ref_of
from sim.world import World


def driving(world: World, name: str) -> Drive | None:
    """What the HeatActor that asks now works at for that stack."""
    process = world.host.current
    cells = process.cells.values() if process is not None else ()
    drives = [d for c in cells if isinstance(c.actor, HeatActor) for d in c.actor._writers.values()]
    return next((drive for drive in drives if drive.name == name), None)


class OneStack(Invariant):
    """Never two living stacks of ours of one name, no create or update while an action is under way on the stack,
    and none for a version that is final or superseded by a final one. But what a dead asker has left to a HeatActor is
    begun in its turn until a later request takes over, which a version that fails before it asks does not make."""

    def asked(self, action: str, name: str, spec: StackSpec | None) -> None:
        """Each write to Heat."""
        self.checks += 1
        ref, living = ref_of(name), self.world.stacks_named(name)
        meddled = self.world.truth.stacks[name].meddled
        if len([one for one in living if MARK in one.tags]) > 1 and not meddled:
            self.fail(f"{len(living)} stacks are named {name}", ref)
        if living and action != "create" and not any(MARK in one.tags for one in living):
            self.fail(f"{action} of a stack that does not bear our mark", ref)
        if spec is None:
            return
        busy = [one for one in living if one.status == "IN_PROGRESS"]
        stack, asker = self.world.truth.stacks[name], self.world.host.current
        same = stack.asker is asker or stack.asked_tags != spec.tags
        stack.asker, stack.asked_tags = asker, spec.tags
        # two members of the pool may be given the same request: both ask for the same
        if busy and action == "update" and not meddled and same:
            self.fail(f"update while the stack is {busy[0].stack_status}", ref)
        state = self.world.truth.state(ref)
        tag = next((tag for tag in spec.tags if tag.startswith("v")), "")
        if not tag:
            self.fail(f"{action} without the tag of a version", ref)
        version = int(tag[1:])
        if state is None or ref in self.world.api.reborn:
            return
        if state["version"] > version and not (state.get("error") and self._bequeathed(name, version)):
            self.fail(f"{action} for version {version}, /state is at {state['version']}", ref)
        deleted = state["state"]["worker_state"] == DELETE_COMPLETED
        if state["version"] == version and deleted:
            self.fail(f"{action} after the deletion of version {version} was complete", ref)

    def _bequeathed(self, name: str, version: int) -> bool:
        """Whether no later request has taken over, and the asker died while it waited for this one: who ends in any
        other way has to have its answer."""
        drive = driving(self.world, name)
        if drive is None or drive.request.version != version:
            return False
        asker = drive.reply_to
        assert isinstance(asker, Cell), "a HeatActor is asked by actors"
        assert isinstance(asker.actor, ResourceActor), "for their resources"
        dead = asker.gone or not asker.process.alive
        return dead and asker.actor.state is State.RUNNING and asker.actor.version == version


class Dependencies(Invariant):
    """Nothing is planned before what it needs and was declared before; a stack is built only from what the stacks it
    needs have given out, and not deleted while one that needs it, and that was to be deleted before, still stands."""

    #: So long ago a ring may have ended, in which order gave way, when Heat is asked: requests wait for their turn.
    RING_S = 60.0

    def __init__(self, world: World) -> None:
        super().__init__(world)
        #: resource → when a job of it ended last, and for whom that and those before it had waited.
        self._ended: dict[Ref, tuple[float, frozenset[Ref]]] = {}

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each plan of a creation, and each end of a job."""
        for write in writes if writer is not None else ():
            if write.root != keys.JOBS or write.ref is None:
                continue
            if write.deleted and write.old is not None:
                named = (resource_of(name) for name in write.old[1]["dependency"])
                waited = {*self._lately(write.ref), *(other for other, _ in filter(None, named))}
                self._ended[write.ref] = (self.world.host.now, frozenset(waited))
            if write.deleted or write.old is not None:
                continue
            handler, body = write.value[0], write.value[1]
            if (handler, body["action"]) == (Handler.HEAT.value, Action.CREATE.value):
                self.checks += 1
                self._planned_before(write.ref, body["resource_input"])

    def _planned_before(self, ref: Ref, body: dict[str, Json]) -> None:
        truth = self.world.truth
        mine = truth.config_revision.get(ref, 0)
        for other in (one for refs in needs(ref, body).values() for one in refs):
            declared = truth.config(other)
            if (
                declared is None
                or declared.get("marked_for_deletion")
                or truth.config_revision[other] >= mine
            ):
                continue
            if not truth.jobs[other] and truth.state(other) is None:
                self.fail(f"is planned before {other}, which it needs", ref)

    def asked(self, action: str, name: str, spec: StackSpec | None) -> None:
        """Each write to Heat."""
        ref = ref_of(name)
        version = int(spec.tags[-1][1:]) if spec is not None else self._asker(name)
        self._waited(ref, action, version)
        if spec is not None and version is not None:
            self.checks += 1
            self._built_from(ref, action, spec, version)
        elif action == "delete":
            self.checks += 1
            self._needed_by(ref, version)

    def _asker(self, name: str) -> int | None:
        """The version of the request that has a stack deleted, which the call does not tell: before a failed stack is
        built anew it is deleted, for the version that is to be built."""
        drive = driving(self.world, name)
        return drive.request.version if drive is not None else None

    def _waited(self, ref: Ref, action: str, version: int | None) -> None:
        """No job of others that the recorded job depends on is left; a deletion waits only for who uses it, and an
        update not for a user that has come to wait for it. A request of a process that stood still, or whose asker is
        dead, is that of its version, whose job may have been replaced since: of what vanished by a deletion of it."""
        values = self.world.truth.values
        for value in self.world.truth.jobs[ref].values():
            handler, body = value[0], value[1]
            if handler != Handler.HEAT.value:
                continue
            going = body["action"] == Action.LOGICAL_DELETE.value
            if (version is not None and version < body["version"]) or (going and action != "delete"):
                continue
            for needed in body["dependency"]:
                other = values.get(keys.JOBS + needed)
                if other is None or f":{ref}:" in needed:
                    continue
                uses = any(ref.to_json() in param["resources"] for param in other[1]["params"])
                if uses and body["action"] == Action.MODIFY.value and self._waits_for(needed, ref):
                    continue
                if uses or not going:
                    self.fail(f"{action} although {needed} is not finished", ref)

    def _waits_for(self, job: str, ref: Ref) -> bool:
        """Whether that job may wait for `ref`, through whomever: by what the jobs of unfinished resources were planned
        to wait for, though those have been replaced since, and by what is declared."""
        first = resource_of(job)
        todo = [first[0]] if first is not None else []
        seen: set[Ref] = set()
        while todo and ref not in todo:
            here = todo.pop()
            if here not in seen:
                seen.add(here)
                todo += self._waited_for(here)
        return ref in todo

    def _lately(self, ref: Ref) -> frozenset[Ref]:
        """For whom jobs of it have waited that ended lately."""
        at, waited = self._ended.get(ref, (0.0, frozenset[Ref]()))
        return waited if self.world.host.now - at <= self.RING_S else frozenset()

    def _waited_for(self, ref: Ref) -> list[Ref]:
        truth, declared = self.world.truth, self.world.api.declared.get(ref)
        jobs, state = truth.jobs.get(ref, {}).values(), truth.state(ref)
        named = (resource_of(name) for value in jobs for name in value[1]["dependency"])
        found = [*self._lately(ref), *(other for other, _ in filter(None, named))]
        final = declared is None or (state is not None and state["version"] >= declared.version)
        return found if final or declared is None else [*found, *declared.parents]

    def _built_from(self, ref: Ref, action: str, spec: StackSpec, version: int) -> None:
        """Each value was given out by what that version refers to. A request whose asker has died still waits for its
        tenant's turn, and the next version, which may refer to others, may have been planned meanwhile."""
        body = self.world.truth.bodies[ref].get(version)
        if body is None:
            self.fail(f"{action} for version {version}, which was never accepted", ref)
        for parameter, refs in needs(ref, body).items():
            given = spec.parameters.get(parameter)
            values = json.loads(given) if refs and parameter == "members" and given else [given]
            for value, needed in zip(values, refs, strict=False):
                if needed != ref and value not in self.world.truth.ids(needed):
                    self.fail(f"{action} with {parameter} = {value!r}, which {needed} never gave", ref)
            if len(values) != len(refs):
                self.fail(f"{action} with {len(values)} values of {len(refs)} for {parameter}", ref)

    def _needed_by(self, ref: Ref, version: int | None) -> None:
        """A version before that of the mark deletes as well: a twin, or a failed stack that it builds anew."""
        api = self.world.api
        mine = api.declared.get(ref)
        if mine is None or not mine.marked or (version is not None and version < mine.version):
            return
        for other in api.dependants(ref):
            declared = api.declared[other]
            stacks = [one for one in self.world.stacks_of(other) if MARK in one.tags]
            state = self.world.truth.state(other)
            final = state is not None and state["version"] >= declared.version
            earlier = declared.marked and declared.revision < mine.revision
            both = other in api.parents(ref)
            if earlier and stacks and not final and not both:
                self.fail(f"{other} needs it, was marked before, and stands ({stacks[0].stack_status})", ref)


class Patience(Invariant):
    """Nobody is hammered: at most 12 writes to Heat for one stack, 12 retries of a resource, 12 refused
    plans of a resource, and 40 writes to etcd about a resource that are tried, within 10 s."""

    LIMIT, TRIES, WITHIN_S = 12, 40, 10.0

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._times: dict[str, deque[float]] = {}

    def asked(self, action: str, name: str, spec: StackSpec | None) -> None:
        """Each write to Heat."""
        self._count(f"writes to Heat for {name}", ref_of(name))

    def revised(self, writes: Sequence[Write], writer: Writer | None) -> None:
        """Each retry that is recorded."""
        for write in writes:
            if write.root == keys.ATTEMPTS and not write.deleted and write.ref is not None:
                self._count(f"retries of {write.ref}", write.ref)

    def refused(self, refused: WriteSet, writer: Writer) -> None:
        """Each refusal of a plan: whoever is behind must wait, and not ask again and again."""
        job = next(
            (w.key for w in refused.writes if isinstance(w, Put) and w.key.startswith(keys.JOBS)), None
        )
        if job is not None:
            _, _, kind, rid, *_ = job[len(keys.JOBS) :].split(":")
            self._count(f"refused plans of {kind}:{rid}", Ref(kind, rid))

    def tried(self, asked: WriteSet) -> None:
        """Each write, whether etcd takes it or not: an outage is no reason to press harder."""
        ref = place(asked.writes[0].key)[1] if asked.writes else None
        if ref is not None:
            self._count(f"writes about {ref}", ref, self.TRIES)

    def _count(self, what: str, ref: Ref, limit: int = LIMIT) -> None:
        self.checks += 1
        now, times = self.world.host.now, self._times.setdefault(what, deque())
        times.append(now)
        while times[0] < now - self.WITHIN_S:
            times.popleft()
        if len(times) > limit:
            self.fail(f"{len(times)} {what} within {self.WITHIN_S:g} s", ref)
