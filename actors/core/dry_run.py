"""What would be done, and in which order, without doing it.

Guarantees: the plans are made by the very planner that the engine uses, over a copy of what is known with the
declarations in question on top; nothing is written. What the engine would wait for is waited for here too: a
resource whose jobs depend on others stands after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from actors.core import keys
from actors.core.declaring import declare
from actors.core.knowledge import Knowledge, ref_of_job
from actors.core.mapping import MissingResource
from actors.core.model import Action, Declared, Job, Json, Ref, Workflow
from actors.core.ordering import Held, try_plan
from actors.core.outcome import DELETE_COMPLETED, Realised, choose_action
from actors.core.plan import Jobless, PlanError
from actors.core.plan_view import named_templates
from actors.core.referring import OrderedView
from actors.core.world import World


@dataclass(frozen=True, slots=True)
class Planned:
    """What would happen to one resource. `action` "" and no jobs: nothing; `error`: why it would fail;
    `waits`: why it would not even be planned. `wave`: 0 can begin at once, n begins after wave n - 1."""

    ref: Ref
    name: str
    version: int
    action: str
    jobs: tuple[Job, ...] = ()
    outcome: str = ""
    error: str = ""
    waits: str = ""
    wave: int = 0
    after: tuple[Ref, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Plain values; parameter values are left out, since some are secret."""
        return {
            "resource": str(self.ref),
            "name": self.name,
            "version": self.version,
            "action": self.action,
            "wave": self.wave,
            "after": [str(ref) for ref in self.after],
            "jobs": [
                {
                    "id": job.id,
                    "action": job.action.value,
                    "handler": job.handler.value,
                    "parameters": [param.name for param in job.params],
                }
                for job in self.jobs
            ],
            "outcome": self.outcome,
            "error": self.error,
            "waits": self.waits,
        }


def dry_run(
    known: Knowledge, refs: Sequence[Ref], documents: Iterable[tuple[str, bytes]] = (), *, again: bool = False
) -> list[Planned]:
    """The plans for `refs` in the order in which they would begin.

    `documents`: (key, value) declarations on top of what is known, as an API server would write them; they may
    include templates. `known` is changed by this: read it again afterwards. `again`: plan what is settled too,
    as `reconcile` would.
    """
    world, revision = known.world, known.world.revision + 1
    for key, value in documents:
        present = _present(world, key)
        new = declare(key, present, value)
        if new is not None:
            known.put(key, new, revision, 0 if present is None else _created(world, key))
            revision += 1
    run = _Run(known, again=again)
    todo = list(dict.fromkeys(refs))
    while todo:
        held = [ref for ref in todo if not run.plan(ref)]
        run.delete()
        if len(held) == len(todo):
            break
        todo = held
    return run.in_order()


def _present(world: World, key: str) -> bytes | None:
    ref = world.types.ref(key, keys.CONFIG)
    declared = world.declaration(ref) if ref is not None else None
    if declared is None:
        return None
    return keys.encode_declared(
        declared.body, declared.version, marked_for_deletion=declared.marked_for_deletion
    )


def _created(world: World, key: str) -> int:
    ref = world.types.ref(key, keys.CONFIG)
    return world.created(ref) if ref is not None else 0


class _Run:
    """The plans made so far. What is planned counts as begun, what is deleted as gone, for those that follow."""

    def __init__(self, known: Knowledge, *, again: bool) -> None:
        self._known = known
        self._again = again
        self._made: dict[Ref, Planned] = {}
        self._held: dict[Ref, tuple[Ref, ...]] = {}
        self._going: list[tuple[Ref, int]] = []

    def plan(self, ref: Ref) -> bool:
        """Plan one; False if it must wait for others."""
        world, name = self._known.world, self._known.name(ref)
        declared = world.declaration(ref)
        if declared is None:
            self._made[ref] = Planned(ref, name, 0, "", waits="it is not declared")
            return True
        action = _action(world, declared, again=self._again)
        if action is None:
            outcome = world.outcome(ref)
            done = outcome.worker_state if outcome else ""
            self._made[ref] = Planned(ref, name, declared.version, "", outcome=done)
            return True
        recorded = self._known.jobs(ref)
        if recorded and recorded[0].version == declared.version:
            self._made[ref] = Planned(ref, name, declared.version, action.value, recorded)
            return True
        try:
            made = try_plan(world, declared, declared, action)
        except PlanError as error:
            self._made[ref] = Planned(ref, name, declared.version, action.value, error=error.failure.text)
            return True
        if isinstance(made, Held):
            self._made[ref] = Planned(ref, name, declared.version, action.value, waits=made.reason)
            self._held[ref] = (*self._held.get(ref, ()), *made.awaits)
            return False
        self._planned(name, action, made)
        return True

    def _planned(self, name: str, action: Action, made: Workflow | Jobless) -> None:
        ref, known = made.ref, self._known
        if isinstance(made, Jobless):
            missing = f" (no template {', '.join(made.missing)})" if made.missing else ""
            outcome = made.worker_state + missing
            self._made[ref] = Planned(ref, name, made.version, action.value, outcome=outcome)
            self._ended(ref, made.version, made.worker_state)
            return
        self._made[ref] = Planned(ref, name, made.version, made.action.value, made.jobs)
        if action is Action.LOGICAL_DELETE:
            self._going.append((ref, made.version))
            return
        for job in made.jobs:
            known.put(keys.JOBS + job.id, keys.encode_job(job), known.world.revision)

    def delete(self) -> None:
        """What was planned to be deleted is gone for those that follow."""
        while self._going:
            self._ended(*self._going.pop(), DELETE_COMPLETED)

    def _ended(self, ref: Ref, version: int, worker_state: str) -> None:
        state = keys.encode_state({"worker_state": worker_state}, version)
        self._known.put(keys.STATE + self._known.world.types.path(ref), state, 0)

    def in_order(self) -> list[Planned]:
        """Each after everything that it waits for: the jobs it depends on, or what is deleted before it."""
        after: dict[Ref, tuple[Ref, ...]] = {}
        for ref, planned in self._made.items():
            ids = [d for job in planned.jobs for d in job.dependency]
            found = [r for r in map(ref_of_job, ids) if r is not None]
            after[ref] = tuple(r for r in dict.fromkeys([*found, *self._held.get(ref, ())]) if r != ref)
        wave = dict.fromkeys(self._made, 0)
        for _ in self._made:  # longest paths: relaxed at most once per resource
            before = dict(wave)
            for ref, others in after.items():
                wave[ref] = max([wave[ref], *(wave[other] + 1 for other in others if other in wave)])
            if wave == before:
                break
        made = [replace(p, wave=wave[p.ref], after=after[p.ref]) for p in self._made.values()]
        return sorted(made, key=lambda one: one.wave)


def _action(world: World, declared: Declared, *, again: bool) -> Action | None:
    outcome = world.outcome(declared.ref)
    realised = Realised(outcome.version, outcome.worker_state) if outcome is not None else None
    built = outcome is not None and _has_template(world, declared)
    action = choose_action(declared, realised, built=built)
    if action is not None or not again:
        return action
    if declared.marked_for_deletion:
        return Action.LOGICAL_DELETE
    return Action.MODIFY if built else Action.CREATE


def _has_template(world: World, declared: Declared) -> bool:
    try:
        named = named_templates(OrderedView(world, declared), declared)
    except (PlanError, MissingResource):
        return False
    return any(world.template(name) is not None for name in named.values())


def delete_documents(
    known: Knowledge, ref: Ref, also: Callable[[Ref], Iterable[Ref]]
) -> list[tuple[str, bytes]]:
    """The declarations of `ref` and of all that `also` reaches from it, marked for deletion."""
    seen, todo = {ref}, [ref]
    while todo:
        for other in also(todo.pop()):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    documents = []
    for each in sorted(seen):
        declared = known.world.declaration(each)
        if declared is not None:
            value = keys.encode_declared(declared.body, declared.version, marked_for_deletion=True)
            documents.append((keys.CONFIG + known.world.types.path(each), value))
    return documents
