"""What would be done, and in which order, without doing it.

Guarantees: the plans are made by the very planner that the engine uses, over a copy of what is known with the
declarations in question on top; nothing is written. What the engine would wait for is waited for here too: a
resource whose jobs depend on others stands after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from actors.core import keys
from actors.core.knowledge import Knowledge, ref_of_job
from actors.core.mapping import MissingResource
from actors.core.model import Action, Declared, Job, Json, Ref
from actors.core.ordering import Held, OrderedView, try_plan
from actors.core.outcome import Realised, choose_action
from actors.core.plan import Jobless, PlanError
from actors.core.plan_view import named_templates
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
        new = keys.declare(key, present, value)
        if new is not None:
            known.put(key, new, revision, 0 if present is None else _created(world, key))
            revision += 1
    made: dict[Ref, Planned] = {}
    todo = list(dict.fromkeys(refs))
    while todo:
        held = [ref for ref in todo if not _try(known, ref, made, again=again)]
        if len(held) == len(todo):
            break
        todo = held
    return sorted(_in_waves(made), key=lambda planned: planned.wave)


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


def _try(known: Knowledge, ref: Ref, made: dict[Ref, Planned], *, again: bool) -> bool:
    """Plan one; False if it must wait for others. Its jobs are recorded in the copy."""
    world, name = known.world, known.name(ref)
    declared = world.declaration(ref)
    if declared is None:
        made[ref] = Planned(ref, name, 0, "", waits="it is not declared")
        return True
    action = _action(world, declared, again=again)
    if action is None:
        outcome = world.outcome(ref)
        made[ref] = Planned(ref, name, declared.version, "", outcome=outcome.worker_state if outcome else "")
        return True
    recorded = known.jobs(ref)
    if recorded and recorded[0].version == declared.version:
        made[ref] = Planned(ref, name, declared.version, action.value, recorded)
        return True
    try:
        plan = try_plan(world, declared, declared, action)
    except PlanError as error:
        made[ref] = Planned(ref, name, declared.version, action.value, error=error.failure.text)
        return True
    if isinstance(plan, Held):
        made[ref] = Planned(ref, name, declared.version, action.value, waits=plan.reason)
        return False
    if isinstance(plan, Jobless):
        missing = f" (no template {', '.join(plan.missing)})" if plan.missing else ""
        made[ref] = Planned(ref, name, plan.version, action.value, outcome=plan.worker_state + missing)
        known.put(
            keys.STATE + world.types.path(ref),
            keys.encode_state({"worker_state": plan.worker_state}, plan.version),
            0,
        )
        return True
    made[ref] = Planned(ref, name, plan.version, plan.action.value, plan.jobs)
    for job in plan.jobs:
        known.put(keys.JOBS + job.id, keys.encode_job(job), world.revision)
    return True


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


def _in_waves(made: dict[Ref, Planned]) -> list[Planned]:
    """Each after everything that its jobs depend on."""
    after: dict[Ref, tuple[Ref, ...]] = {}
    for ref, planned in made.items():
        ids = [d for job in planned.jobs for d in job.dependency]
        found = dict.fromkeys(r for r in map(ref_of_job, ids) if r is not None and r != ref)
        after[ref] = tuple(found)
    wave = dict.fromkeys(made, 0)
    for _ in made:  # longest paths, relaxed at most once per resource
        changed = False
        for ref, others in after.items():
            least = max((wave[other] + 1 for other in others if other in wave), default=0)
            if least > wave[ref]:
                wave[ref], changed = least, True
        if not changed:
            break
    return [
        Planned(
            p.ref, p.name, p.version, p.action, p.jobs, p.outcome, p.error, p.waits, wave[p.ref], after[p.ref]
        )
        for p in made.values()
    ]


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
