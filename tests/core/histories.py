"""A model of resources that are declared, updated, deleted and built while they refer to each other.

Guarantees: every decision is the product's own (`resume`, `action_for`, `try_plan`, `Waiting`, `Waits`) on a real
`World`, one at a time, in any order. A resource decides again when the shard would nudge its actor, and only then:
after a write of its own, a new declaration of its own, or a write about whom it said it waits for. One whose plan is
held decides again after a time, too (`ResourceActor._hold`), and fails if it still waits for what nobody declares.

Does not guarantee anything about processes, clocks, messages, lost answers, devices or pauses: a decision and its write
are one step, a stack is built in one step or, where it is `slow`, in two, and every workflow has one job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from actors.core import keys
from actors.core.errors import Failure
from actors.core.json_text import compact
from actors.core.keys import ResourceType
from actors.core.model import Action, Declared, Handler, Job, JsonObject, Ref, Workflow
from actors.core.ordering import Held, try_plan
from actors.core.outcome import (
    DELETE_COMPLETED,
    DELETE_FAILED,
    completed_state,
    failed_state,
    workflow_action,
)
from actors.core.plan import Jobless, PlanError
from actors.core.resume import Continue, Forget, Fresh, Nothing, Records, resume
from actors.core.waiting import Waiting
from actors.core.world import World
from actors.job_waits import Waits
from actors.ports import Entry
from actors.records import action_for

HEAT = Handler.HEAT
#: What is built by Heat, and what is never built but leads to something that is: its `to`.
TYPES = (ResourceType("thing", "things", template_path={HEAT: "Cthing"}), ResourceType("link", "links"))
_THING = {"type": "thing", "id": ""}
#: How a thing refers to others: to their outputs, to what they declare, to that if it was declared before, by a link.
MAPPINGS: dict[str, JsonObject] = {
    "outputs": {"for_field": "outputs", "for_mapping": {"output_key": "id", "path": [_THING]}},
    "strict": {"for_field": "strict", "for_mapping": {"field": "id", "path": [_THING]}},
    "lenient": {
        "for_field": "lenient",
        "for_mapping": {"field": "id", "path": [_THING], "ignore_missing": True},
    },
    "links": {
        "for_field": "links",
        "for_mapping": {"field": "id", "path": [{"type": "link", "id": ""}, {"type": "thing", "id": "to"}]},
    },
}
#: More decisions than any history takes: one that takes them goes round in circles.
DECISIONS_MAX = 5000


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a resource does not go on, and whose news it waits for. `timed`: its plan is held, which does not last for
    ever; `bounded`: nor does what it waits for."""

    reason: str
    awaits: tuple[Ref, ...] = ()
    timed: bool = False
    bounded: bool = False


class Model:
    """Resources by what is recorded of them. Only `declare` and `remove` come from outside, as from the API server."""

    def __init__(self) -> None:
        self.world = World(TYPES)
        #: What happened, in words, one line each.
        self.steps: list[str] = []
        #: Who waits, as far as he decided to.
        self.waits: dict[Ref, Wait] = {}
        #: Versions of which Heat can build nothing.
        self.broken: set[tuple[Ref, int]] = set()
        #: Of whom no job comes to an end.
        self.slow: set[Ref] = set()
        #: Why each version failed that did.
        self.failures: list[tuple[Ref, int, str]] = []
        #: The largest version of the lives before this one.
        self._former: dict[Ref, int] = {}
        self._revision = 0
        self._nudged: list[Ref] = []
        self._running: set[Ref] = set()
        self._jobs: dict[str, tuple[Job, int]] = {}
        self._accepted = dict[Ref, Declared]()
        self._stacks: set[Ref] = set()
        body = {"handler": HEAT.value, "parameter_mappings": MAPPINGS, "template_file": ""}
        self._put(keys.TEMPLATES + "thing", compact({"body": body, "version": 1}))

    # ------------------------------------------------------------------------------------------ from outside

    def declare(self, ref: Ref, version: int, body: JsonObject, *, marked: bool = False) -> None:
        """Write its declaration."""
        self._note(f"{ref} is {'marked' if marked else 'declared'} in version {version}: {body}")
        value = keys.encode_declared({"id": ref.id, **body}, version, marked_for_deletion=marked)
        self._put(self._key(keys.CONFIG, ref), value, self.world.created(ref))
        self._nudge(ref)

    def remove(self, ref: Ref) -> None:
        """Take its declaration away, and its outcome, which nobody could read any more."""
        self._note(f"{ref} is removed")
        self._former[ref] = max(self._former.get(ref, 0), self.world.version(ref))
        self._delete(self._key(keys.CONFIG, ref))
        self._delete(self._key(keys.STATE, ref))
        self._nudge(ref)

    def release(self, ref: Ref) -> None:
        """It is slow no more."""
        self.slow.discard(ref)
        self._nudge(ref)

    # ------------------------------------------------------------------------------------------ deciding

    def go(self, random: Random, decisions: int = DECISIONS_MAX) -> int:
        """Take decisions of those that were nudged, in any order; returns how many were left to take."""
        while self._nudged and decisions:
            self.step(self._nudged.pop(random.randrange(len(self._nudged))))
            decisions -= 1
        return decisions

    def settle(self, random: Random) -> None:
        """Go on until nothing happens any more, whatever time passes."""
        for ref in sorted(self.slow):
            self.release(ref)
        left = self.go(random)
        again = True
        while again and left:
            again = False
            for ref in random.sample(held := self.held(), len(held)):
                # time passes for one that is still held, and more of it than everything else takes
                if ref in self.held() and self.step(ref, due=True):
                    again = True
                    left = self.go(random, left)
        assert left, f"goes round in circles\n{self}"

    def held(self) -> list[Ref]:
        """Those whose plan is held."""
        return sorted(ref for ref, wait in self.waits.items() if wait.timed)

    def step(self, ref: Ref, *, due: bool = False) -> bool:
        """Let one resource decide; returns whether that wrote anything. `due`: it has waited for long."""
        if ref in self._running:
            return ref not in self.slow and self._end(ref)
        before = self.waits.pop(ref, None)
        wrote = self.world.needs_work(ref) and self._decide(
            ref, overdue=due and before is not None and before.bounded
        )
        if wrote:
            self._nudge(ref)
        return wrote

    def _decide(self, ref: Ref, *, overdue: bool) -> bool:
        world, jobs = self.world, tuple(pair for pair in self._jobs.values() if pair[0].ref == ref)
        declared, accepted, built = world.declaration(ref), self._accepted.get(ref), ref in self._stacks
        records = Records(declared, accepted, world.outcome(ref), jobs, None, built)
        match resume(records):
            case Fresh() as fresh:
                return self._plan(fresh, records, overdue=overdue)
            case Continue(left, _):
                return self._check(left[0][0])
            case Forget():
                self._forget(ref)
                return True
            case decision:
                assert isinstance(decision, Nothing), "a workflow of one job leaves no results"
                return False

    def _plan(self, fresh: Fresh, records: Records, *, overdue: bool) -> bool:
        declared, ref = fresh.declared, fresh.declared.ref
        built = frozenset({HEAT}) if records.exists else frozenset[Handler]()
        action = action_for(declared, records, built)
        made = self._planned(fresh, records, action, built)
        if isinstance(made, Held) and not (overdue and made.bounded):
            if fresh.stale and (
                action is Action.LOGICAL_DELETE or ref in Waiting(self.world).reach(made.awaits)
            ):
                self._note(f"  {ref} withdraws its jobs")
                self._drop(fresh.stale)
                return True
            reason = f"its {action} is not planned: {made.reason}"
            self.waits[ref] = Wait(reason, made.awaits, timed=True, bounded=made.bounded)
            return False
        if isinstance(made, PlanError | Held):
            error = f"MissingResource: {made.reason}" if isinstance(made, Held) else str(made)
            self._drop(fresh.stale)
            self._state(ref, declared.version, failed_state(action), error)
        elif isinstance(made, Jobless):
            self._drop(fresh.stale)
            if not declared.revision:
                self._forget(ref)
                return True
            self._accept(declared if made.worker_state != DELETE_COMPLETED else None, ref)
            self._state(ref, declared.version, made.worker_state)
        else:
            self._note(f"  {ref} is planned in version {declared.version}: {action} after {made.external}")
            self._accept(declared, ref)
            kept = {job.id for job in made.jobs}
            for job in made.jobs:
                self._put(keys.JOBS + job.id, keys.encode_job(job))
                self._jobs[job.id] = (job, self._revision)
            self._drop([pair for pair in fresh.stale if pair[0].id not in kept])
        return True

    def _planned(
        self, fresh: Fresh, records: Records, action: Action, built: frozenset[Handler]
    ) -> Workflow | Jobless | Held | PlanError:
        try:
            return try_plan(self.world, fresh.declared, records.accepted, action, built=built)
        except PlanError as error:
            return error

    def _check(self, job: Job) -> bool:
        ref, waits = job.ref, Waits(self.world, job)
        live = waits.live()
        failure = waits.doomed(live is not None)
        if failure is None and live is not None:
            self.waits[ref] = Wait(f"its {job.action} {live[0]}", live[1])
            return False
        if failure is None:
            stacks = [self._stack(of) for of in waits.outputs_needed({}) if of in self._stacks]
            found = waits.outputs({entry.key: entry for entry in stacks}, {})
            if isinstance(found, Ref):
                self.waits[ref] = Wait(
                    f"its {job.action} waits for {found}, which has no stack yet", (found,)
                )
                return False
            failure = found if isinstance(found, Failure) else None
        if failure is not None:
            self._drop([self._jobs[job.id]])
            self._state(ref, job.version, failed_state(workflow_action([job])), str(failure))
            return True
        self._running.add(ref)
        if ref in self.slow:
            self.waits[ref] = Wait("its job is running")
            return False
        return self._end(ref)

    def _end(self, ref: Ref) -> bool:
        """Its job comes to an end in Heat."""
        self.waits.pop(ref, None)
        self._running.discard(ref)
        job, revision = next(pair for pair in self._jobs.values() if pair[0].ref == ref)
        failed = (ref, job.version) in self.broken
        state = failed_state(job.action) if failed else completed_state(job.action)
        if job.action is Action.LOGICAL_DELETE and not failed:
            self._stacks.discard(ref)
        elif not failed:
            self._stacks.add(ref)
        self._drop([(job, revision)])
        self._state(ref, job.version, state, "StackFailed: broken" if failed else "")
        self._nudge(ref)
        return True

    # ------------------------------------------------------------------------------------------ judging

    def unfinished(self) -> list[Ref]:
        """Those that are neither gone nor have an outcome of the declared version. The product takes a larger version
        of a former life for it; and what is not declared any more but could not be deleted is for people."""
        world, found = self.world, []
        for ref in sorted({*world.refs(), *world.leftovers()}):
            outcome, version = world.outcome(ref), world.version(ref)
            reached = outcome is not None and version <= outcome.version <= max(
                version, self._former.get(ref, 0)
            )
            left = not version and outcome is not None and outcome.worker_state == DELETE_FAILED
            if world.jobs_of(ref) or not (left or (version and reached and not world.needs_work(ref))):
                found.append(ref)
        return found

    def __str__(self) -> str:
        """Who is not finished and why, and how it came to that."""
        lines = []
        for ref in self.unfinished():
            wait = self.waits.get(ref, Wait("nobody looks at it"))
            lines.append(f"{ref}: {wait.reason}; waits for {', '.join(map(str, wait.awaits)) or 'nobody'}")
        return "\n".join([*lines, "steps:", *self.steps])

    # ------------------------------------------------------------------------------------------ recording

    def _key(self, root: str, ref: Ref) -> str:
        return root + self.world.types.path(ref)

    def _put(self, key: str, value: bytes, created: int = 0) -> None:
        self._revision += 1
        self._changed(self.world.put(key, value, self._revision, created or self._revision))

    def _delete(self, key: str) -> None:
        self._revision += 1
        self._changed(self.world.delete(key))

    def _changed(self, ref: Ref | None) -> None:
        """Nudge those that wait for it."""
        for waiter, wait in self.waits.items():
            if ref in wait.awaits:
                self._nudge(waiter)

    def _nudge(self, ref: Ref) -> None:
        if ref not in self._nudged:
            self._nudged.append(ref)

    def _note(self, step: str) -> None:
        self.steps.append(step)

    def _accept(self, declared: Declared | None, ref: Ref) -> None:
        """The last declaration that was accepted; None: there is none any more."""
        if declared is None:
            self._accepted.pop(ref, None)
            self._delete(self._key(keys.ACCEPTED, ref))
        else:
            self._accepted[ref] = declared
            self._put(self._key(keys.ACCEPTED, ref), keys.encode_accepted(declared))

    def _state(self, ref: Ref, version: int, worker_state: str, error: str = "") -> None:
        self._note(f"  {ref} ends in version {version}: {worker_state} {error}".rstrip())
        if error:
            self.failures.append((ref, version, error))
        value = keys.encode_state({"worker_state": worker_state}, version, error)
        self._put(self._key(keys.STATE, ref), value)

    def _drop(self, jobs: Sequence[tuple[Job, int]]) -> None:
        for job, _ in jobs:
            del self._jobs[job.id]
            self._delete(keys.JOBS + job.id)

    def _forget(self, ref: Ref) -> None:
        self._note(f"  {ref} is forgotten")
        self._accept(None, ref)
        self._stacks.discard(ref)
        self._delete(self._key(keys.STATE, ref))

    def _stack(self, ref: Ref) -> Entry:
        key = self._key(keys.HEAT_STACKS, ref)
        return Entry(key, keys.encode_heat_stack(ref, "t", "CREATE_COMPLETE", "", ()), 1)
