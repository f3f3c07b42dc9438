"""When a declaration can be planned: what it sees, what it must wait for, and cycles (contract 2.5, 10.6).

Guarantees: deterministic whatever the timing, as the original was by handling one declaration after the other: of two
of which one refers to the other, what was declared before is planned before. A mapping with `ignore_missing` sees only
what was declared before; one without it sees all, and waits for what is not there. A producer that is declared but not
planned yet is waited for, unless it is built and its update was declared later: that is planned after its users.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial

from actors.core.limiting import TookTooLong
from actors.core.mapping import MissingResource
from actors.core.model import Action, Declared, Handler, Ref, Template, Workflow
from actors.core.outcome import DELETE_COMPLETED
from actors.core.plan import (
    Jobless,
    PlanError,
    named_templates,
    plan,
    template_ids,
)
from actors.core.referring import (
    OrderedView,
    is_going,
    is_leaving,
    limited,
    referrers_to_delete,
    refers_now,
    refers_to,
)
from actors.core.world import World


@dataclass(frozen=True, slots=True)
class Held:
    """Cannot be planned now. `bounded`: waiting for a declaration, which must not last for ever (10.6). `ordered`: only
    for the order of declarations, in which nobody who cannot be planned may hold up others."""

    reason: str
    awaits: tuple[Ref, ...]
    bounded: bool
    ordered: bool = False


def try_plan(
    world: World,
    declared: Declared,
    previous: Declared | None,
    action: Action,
    *,
    built: frozenset[Handler] = frozenset(),
    ordered: bool = True,
    asked: int = 0,
) -> Workflow | Jobless | Held:
    """Plan now, or say what to wait for; not for the order alone unless `ordered`. `asked`: the revision of the request
    to build it once more, 0 if there is none. Raises PlanError, with the cycle printed if there is one."""
    forced: set[Ref] = set()
    while True:
        view = OrderedView(world, declared, forced, built)
        try:
            work = partial(plan, view, declared, previous, action, salt=_salt(declared, asked))
            made = limited(world, declared.ref, work)
        except TookTooLong as late:
            where = _mentioned_in(view, declared, late.parameter)
            raise PlanError(f"{where}parameter {late.parameter!r} takes too long to be evaluated") from late
        except MissingResource as missing:
            if missing.ref.type not in world.types:
                where = f"{declared.ref}: {_mentioned_in(view, declared, missing.parameter)}"
                unknown = f"resource type {missing.ref.type!r} is not known"
                raise PlanError(f"{where}parameter '{missing.parameter}': {unknown}") from missing
            if missing.ref in forced or world.body(missing.ref) is None:
                where = _mentioned_in(view, declared, missing.parameter)
                reason = (
                    f"{missing.ref} is not declared ({where}parameter '{missing.parameter}' refers to it)"
                )
                return Held(reason, (missing.ref,), bounded=True)
            forced.add(missing.ref)
            continue
        break
    if isinstance(made, Jobless):
        return made
    producers = {ref for job in made.jobs for param in job.params for ref in param.resources} - {declared.ref}
    held = _held(world, declared, action, producers)
    return made if held is None or (held.ordered and not ordered) else held


def _salt(declared: Declared, asked: int) -> str:
    """What makes the ids of its jobs: the same however often they are planned, and others for the same version once
    more, as others may have waited for the jobs before."""
    return f"{declared.revision} {asked}" if asked else str(declared.revision)


def _held(world: World, declared: Declared, action: Action, producers: Collection[Ref]) -> Held | None:
    """Whose plans come before that of `declared`, if there are any. `producers`: what its jobs refer to."""
    needed = set(refers_now(world, declared)).intersection(producers)
    if action is Action.LOGICAL_DELETE:
        going = referrers_to_delete(world, declared)
        if referrers := tuple(ref for ref in going if not is_leaving(world, ref, declared.ref)):
            return Held(f"{referrers[0]} refers to it and is deleted first", referrers, bounded=False)
    else:
        unplanned = tuple(sorted(ref for ref in needed if awaits(world, declared, ref)))
        if unplanned:
            if cycle := find_cycle(world, declared.ref, unplanned):
                raise PlanError(f"dependency cycle: {' → '.join(str(ref) for ref in cycle)}")
            return Held(f"{unplanned[0]} is not planned yet", unplanned, bounded=False)
    if action is Action.CREATE:
        return None
    # what is no longer needed need not be planned first, but comes before if it was declared before
    former = sorted(ref for ref in producers if ref not in needed and awaits(world, declared, ref))
    for ref in former if action is Action.MODIFY else ():
        if chain := _plannable(world, ref, declared.revision):
            return Held(f"{ref} is not planned yet", chain, bounded=False, ordered=True)
    if users := users_before(world, declared):
        reason = f"{users[0]}, which refers to it, was declared before and is not planned yet"
        return Held(reason, users, bounded=False, ordered=True)
    return None


def templates_of(world: World, declared: Declared) -> dict[Handler, Template]:
    """The documents that the declaration uses now, by handler; none if they cannot be told."""
    view = OrderedView(world, declared)
    try:
        ids = template_ids(view, declared)
    except (PlanError, MissingResource):
        return {}
    found = {handler: world.template(name) for handler, name in ids.items()}
    return {
        handler: compiled.template
        for handler, compiled in found.items()
        if compiled is not None and compiled.readable
    }


def without_document(world: World, declared: Declared) -> tuple[str, ...]:
    """The templates that it names and that are not there, of the kinds that this deployment has (contract 0.2)."""
    try:
        named = named_templates(OrderedView(world, declared), declared)
    except (PlanError, MissingResource):
        return ()
    absent = (h for h, name in named.items() if world.template(name) is None)
    return tuple(named[h] for h in absent if h is Handler.HEAT or world.monitors_by_job)


def _mentioned_in(view: OrderedView, declared: Declared, parameter: str) -> str:
    for template in templates_of(view.world, declared).values():
        if parameter in template.parameter_mappings:
            return f"template '{template.id}' "
    return ""


def is_unplanned(world: World, ref: Ref) -> bool:
    """Whether a stack of `ref` is to be expected, but no job of its declared version is recorded. Of what is marked for
    deletion none is: it may wait for whoever would wait for it here. What failed and is tried once more is as if it had
    no outcome."""
    declared = world.declaration(ref)
    if declared is None or declared.marked_for_deletion:
        return False
    if world.is_final(ref) and not is_tried_once_more(world, ref):
        return False
    if any(job.version == declared.version for job in world.jobs_of(ref)):
        return False
    try:
        return Handler.HEAT in template_ids(OrderedView(world, declared), declared)
    except (PlanError, MissingResource):
        return True


def is_tried_once_more(world: World, ref: Ref) -> bool:
    """Whether it failed, and an operator's request to build it all the same has not been taken up yet."""
    outcome = world.outcome(ref)
    return outcome is not None and bool(outcome.error) and world.requested(ref)


def awaits(world: World, declared: Declared, ref: Ref) -> bool:
    """Whether the plan of `declared` waits for that of a resource that it needs. Not for an update that was declared
    later: what it needs stands, and the update waits for whoever uses it (`users_before`)."""
    theirs = world.declaration(ref)
    if ref == declared.ref or theirs is None or not is_unplanned(world, ref):
        return False
    return not (theirs.revision > declared.revision and _stands(world, ref))


def _stands(world: World, ref: Ref) -> bool:
    """Whether it was brought to some version, and nothing is under way."""
    outcome = world.outcome(ref)
    done = outcome is not None and not outcome.error and outcome.worker_state != DELETE_COMPLETED
    return done and not world.jobs_of(ref)


def users_before(world: World, declared: Declared) -> tuple[Ref, ...]:
    """Whose plans come before that of an update or a deletion of what they refer to, as they were declared before it:
    one that does, and those that it waits for. Its jobs are waited for then (contract 2.5, consumers).

    Whoever waits, however indirectly, for what was declared later still, or for an operator, is not waited for: so none
    of these chains can close to a ring.
    """
    for ref in world.referrals.untold():
        refers_to(world, ref)
    using = [ref for ref in world.referrals.referring(declared.ref) if ref != declared.ref]
    for ref in world.pending.among(using, declared.revision):
        if chain := _plannable(world, ref, declared.revision):
            return chain
    return tuple(
        ref for ref in sorted(using) if is_going(world, ref) and _goes_before(world, ref, declared.revision)
    )


def _goes_before(world: World, ref: Ref, before: int) -> bool:
    """Whether its deletion was declared before that revision and can be planned now."""
    declared = world.declaration(ref)
    if declared is None or declared.revision >= before or world.jobs_of(ref) or world.paused(ref):
        return False
    return all(is_leaving(world, user, ref) for user in referrers_to_delete(world, declared))


def _plannable(world: World, first: Ref, before: int) -> tuple[Ref, ...]:
    """`first` and all whose plans it waits for; () unless all of them were declared before that revision and can be
    planned now."""
    chain, todo = {first: None}, [first]
    while todo:
        here = todo.pop()
        declared = world.declaration(here)
        if declared is None or declared.revision >= before or world.jobs_of(here) or world.paused(here):
            return ()
        for ref in refers_to(world, here):
            if not world.version(ref):
                return ()
            if ref not in chain and awaits(world, declared, ref):
                chain[ref] = None
                todo.append(ref)
    return tuple(chain)


def find_cycle(world: World, start: Ref, first: Iterable[Ref]) -> tuple[Ref, ...] | None:
    """A chain of resources from `start` back to it of which each waits for the plan of the next, or None."""
    trail: dict[Ref, Ref] = dict.fromkeys(first, start)
    todo = list(trail)
    while todo:
        here = todo.pop()
        declared = world.declaration(here)
        if declared is None or not is_unplanned(world, here):
            continue
        for ref in refers_to(world, here):
            if not awaits(world, declared, ref):
                continue
            if ref == start:
                return (start, *reversed(_back(trail, here, start)), start)
            if ref not in trail:
                trail[ref] = here
                todo.append(ref)
    return None


def _back(trail: dict[Ref, Ref], here: Ref, start: Ref) -> list[Ref]:
    chain = []
    while here != start:
        chain.append(here)
        here = trail[here]
    return chain
