"""Who waits for whom now, told from the mirror alone: to find rings, which would last for ever.

Guarantees: `needs` tells only of what cannot be given up: a job or a plan that must come first, or a stack whose
outputs are wanted; `waits` adds the order that can: of updates after those who use what they change, of what took the
place of a job. Neither leaves out anybody who is really waited for. What is to be deleted needs nobody.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.core.graph import find_cycle
from actors.core.job_ids import produces, resource_of
from actors.core.model import Action, Declared, Handler, Ref
from actors.core.ordering import awaits, refers_to, users_before
from actors.core.outcome import stands
from actors.core.replacing import may_wait_for, replacement
from actors.core.world import World


def needs(world: World, ref: Ref) -> set[Ref]:
    """Whom it waits for and cannot do without."""
    declared = world.declaration(ref)
    if declared is None or declared.marked_for_deletion:
        return set()
    return _of_plan(world, declared) if _is_planning(world, declared) else _of_jobs(world, ref)


def waits(world: World, ref: Ref, planned: Ref | None = None) -> set[Ref]:
    """Whom it may be waiting for. `planned`: has a plan, though the mirror may not show it yet."""
    declared = world.declaration(ref)
    found = _of_jobs(world, ref) | _ordered(world, ref)
    if declared is None or declared.marked_for_deletion:
        found.update(job.ref for job in world.jobs_referring(ref))
    elif _is_planning(world, declared):
        plans = _of_plan(world, declared).union(users_before(world, declared))
        found |= plans - {planned}
    return found - {ref}


def _is_planning(world: World, declared: Declared) -> bool:
    """Whether there is no plan of it. Jobs of a version before that wait for others never began: they give way; those
    that wait for nobody are being carried out, and it waits for them to end."""
    jobs = world.jobs_of(declared.ref)
    if any(job.version >= declared.version for job in jobs):
        return False
    return not jobs or bool(_of_jobs(world, declared.ref) | _ordered(world, declared.ref))


def _of_plan(world: World, declared: Declared) -> set[Ref]:
    """Those that must be planned before it."""
    return {ref for ref in refers_to(world, declared.ref) if awaits(world, declared, ref)}


def _of_jobs(world: World, ref: Ref) -> set[Ref]:
    """Those whose jobs come before its own, or whose stacks they need."""
    jobs = world.jobs_of(ref)
    related = {other for job in jobs for other in job.resources}
    found = {other for job in jobs for other in job.needs if _is_to_come(world, other)}
    for dependency, (other, _) in _dependencies(world, ref):
        if other in related and produces(dependency) and world.live(dependency):
            found.add(other)
    return found - {ref}


def _ordered(world: World, ref: Ref) -> set[Ref]:
    """Those that come before its jobs for the sake of order, as far as that has not been given up."""
    found = set()
    for name, (other, version) in _dependencies(world, ref):
        replaced = not world.live(name) and replacement(world, other, version) is not None
        if world.live(name) or (replaced and ref not in may_wait_for(world, other)):
            found.add(other)
    return found


def ring(world: World, ref: Ref) -> tuple[Ref, ...] | None:
    """A chain from `ref` back to it of which each needs the next. None: there is none, or it is the first to name one
    that `ref` runs into, whose members find it themselves."""
    found = find_cycle(lambda one: sorted(needs(world, one)), ref)
    return found if found is not None and ref in found else None


def reach(world: World, start: Iterable[Ref], planned: Ref | None = None) -> tuple[Ref, ...]:
    """Those, and all for whom they wait, directly or through others. `planned`: see `waits`."""
    found = dict.fromkeys(start)
    todo = list(found)
    while todo:
        for ref in sorted(waits(world, todo.pop(), planned)):
            if ref not in found:
                found[ref] = None
                todo.append(ref)
    return tuple(found)


def _dependencies(world: World, ref: Ref) -> list[tuple[str, tuple[Ref, int]]]:
    """The jobs of others for which its jobs wait, or waited."""
    named = {name: resource_of(name) for job in world.jobs_of(ref) for name in job.dependency}
    return [(name, of) for name, of in named.items() if of is not None and of[0] != ref]


def _is_to_come(world: World, ref: Ref) -> bool:
    """Whether there is no stack of it yet, and there will be."""
    outcome = world.outcome(ref)
    if (outcome is not None and stands(outcome.worker_state)) or world.marked(ref) or world.vanished(ref):
        return False
    builds = (Action.CREATE, Action.MODIFY)
    return ref in world.pending or any(
        job.handler is Handler.HEAT and job.action in builds for job in world.jobs_of(ref)
    )
