"""When a declaration can be planned: what it sees, what it must wait for, and cycles (contract 2.5, 10.6).

Guarantees: deterministic whatever the timing, as the original was by handling one declaration after the other: of two
of which one refers to the other, what was declared before is planned before. A mapping with `ignore_missing` sees only
what was declared before; one without it sees all, and waits for what is not there. A producer that is declared but not
planned yet is waited for, unless it is built and its update was declared later: that is planned after its users.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from actors.core.keys import TypeTable
from actors.core.limiting import TookTooLong
from actors.core.mapping import MissingResource
from actors.core.model import Action, Declared, Handler, JsonObject, Ref, Template, Workflow
from actors.core.outcome import DELETE_COMPLETED
from actors.core.plan import (
    CompiledTemplate,
    Jobless,
    LiveJob,
    PlanError,
    plan,
    references,
    template_ids,
)
from actors.core.world import World

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Held:
    """Cannot be planned now. `bounded`: waiting for a declaration, which must not last for ever (10.6). `ordered`: only
    for the order of declarations, in which nobody who cannot be planned may hold up others."""

    reason: str
    awaits: tuple[Ref, ...]
    bounded: bool
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class OrderedView:
    """The world as one declaration may see it (a `plan.PlanView`)."""

    world: World
    me: Declared
    forced: Collection[Ref] = ()
    mine: frozenset[Handler] = frozenset()

    @property
    def types(self) -> TypeTable:
        """All resource types."""
        return self.world.types

    def declared(self, ref: Ref) -> JsonObject | None:
        """The body of `ref`, if it was declared before, or must be seen."""
        if ref == self.me.ref:
            return self.me.body
        if ref in self.forced or self.world.created(ref) < self.me.revision or not self.me.revision:
            return self.world.body(ref)
        return None

    def template(self, template_id: str) -> CompiledTemplate | None:
        """The newest template of that id."""
        return self.world.template(template_id)

    def built(self, ref: Ref) -> frozenset[Handler]:
        """Which handlers left something of it; known for the planned resource only, which is all a plan asks."""
        return self.mine if ref == self.me.ref else frozenset()

    def jobs_of(self, ref: Ref) -> Iterable[LiveJob]:
        """Unfinished jobs of a resource."""
        return self.world.jobs_of(ref)

    def jobs_referring(self, ref: Ref) -> Iterable[LiveJob]:
        """Unfinished jobs that refer to it."""
        return self.world.jobs_referring(ref)


def try_plan(
    world: World,
    declared: Declared,
    previous: Declared | None,
    action: Action,
    *,
    built: frozenset[Handler] = frozenset(),
    ordered: bool = True,
) -> Workflow | Jobless | Held:
    """Plan now, or say what to wait for; not for the order alone unless `ordered`. Raises PlanError, with the cycle
    printed if there is one."""
    forced: set[Ref] = set()
    while True:
        view = OrderedView(world, declared, forced, built)
        try:
            work = partial(plan, view, declared, previous, action, salt=str(declared.revision))
            made = _limited(world, declared.ref, work)
        except TookTooLong as late:
            where = _mentioned_in(view, declared, late.parameter)
            raise PlanError(f"{where}parameter {late.parameter!r} takes too long to be evaluated") from late
        except MissingResource as missing:
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


def _held(world: World, declared: Declared, action: Action, producers: Collection[Ref]) -> Held | None:
    """Whose plans come before that of `declared`, if there are any. `producers`: what its jobs refer to."""
    needed = set(_refers_now(world, declared)).intersection(producers)
    if action is Action.LOGICAL_DELETE:
        if referrers := referrers_to_delete(world, declared):
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
    return {handler: compiled.template for handler, compiled in found.items() if compiled is not None}


def _mentioned_in(view: OrderedView, declared: Declared, parameter: str) -> str:
    for template in templates_of(view.world, declared).values():
        if parameter in template.parameter_mappings:
            return f"template '{template.id}' "
    return ""


def referrers_to_delete(world: World, declared: Declared) -> tuple[Ref, ...]:
    """Resources that refer to this one, are marked for deletion too and are not deleted yet (contract 10.11).

    Of those that refer to each other in a ring the smallest goes first, so that nobody waits for ever.
    """
    for ref in world.referrals.untold():
        refers_to(world, ref)
    me = declared.ref
    using = sorted(ref for ref in world.referrals.referring(me) if ref != me and _is_going(world, ref))
    if not using:
        return ()
    needed = _needed(world, me, _refers_now(world, declared))
    return tuple(ref for ref in using if not (ref in needed and me < ref))


def _is_going(world: World, ref: Ref) -> bool:
    """Whether it is marked for deletion, and not deleted yet."""
    return world.marked(ref) and not world.is_final(ref)


@dataclass(frozen=True, slots=True)
class _Notes(OrderedView):
    """A view that notes what was read through it."""

    sources: list[Ref | str] = field(default_factory=list)

    def declared(self, ref: Ref) -> JsonObject | None:
        self.sources.append(ref)
        return OrderedView.declared(self, ref)

    def template(self, template_id: str) -> CompiledTemplate | None:
        self.sources.append(template_id)
        return OrderedView.template(self, template_id)


def _refers_now(world: World, declared: Declared) -> tuple[Ref, ...]:
    """What a declaration refers to, be it the present one or one that has vanished."""
    if world.declaration(declared.ref) is declared:
        return refers_to(world, declared.ref)
    return _references(world, declared)[0]


def refers_to(world: World, ref: Ref) -> tuple[Ref, ...]:
    """`references` of a declared resource, evaluated again only after something that it was read from changed."""
    known = world.referrals.known(ref)
    if known is not None:
        return known
    declared = world.declaration(ref)
    if declared is None:
        return ()
    refers, sources = _references(world, declared)
    world.referrals.tell(ref, refers, sources)
    return refers


def _references(world: World, declared: Declared) -> tuple[tuple[Ref, ...], list[Ref | str]]:
    """`references` as a plan would find them, what must be seen seen, and what they were read from. Of what would take
    too long nothing is known, as of all that cannot be evaluated."""
    notes: list[Ref | str] = [declared.ref]
    forced: set[Ref] = set()
    view = _Notes(world, declared, forced, sources=notes)
    while True:
        try:
            refers = _limited(world, declared.ref, lambda: references(view, declared))
        except TookTooLong:
            return (), notes
        hidden = {ref for ref in refers if view.declared(ref) is None and world.version(ref)}
        if hidden <= forced:
            return refers, notes
        forced |= hidden


def _limited(world: World, ref: Ref, work: Callable[[], T]) -> T:
    """Where resources of that type took too long before, the next ones get less: a template that never ends costs
    its world a bounded time, however many use it."""
    late = world.late[ref.type]
    try:
        return world.limited(work, 1.0 / (1 + late))
    except TookTooLong:
        world.late[ref.type] = late + 1
        raise


def _needed(world: World, me: Ref, first: Iterable[Ref]) -> set[Ref]:
    """What `me` needs directly, and whatever those of them that are going need."""
    found, todo = set(first), list(first)
    while todo:
        here = todo.pop()
        for ref in refers_to(world, here) if here != me and _is_going(world, here) else ():
            if ref not in found:
                found.add(ref)
                todo.append(ref)
    return found


def is_unplanned(world: World, ref: Ref) -> bool:
    """Whether a stack of `ref` is to be expected, but no job of its declared version is recorded. Of what is marked for
    deletion none is: it may wait for whoever would wait for it here."""
    declared = world.declaration(ref)
    if declared is None or declared.marked_for_deletion or world.is_final(ref):
        return False
    if any(job.version == declared.version for job in world.jobs_of(ref)):
        return False
    try:
        return Handler.HEAT in template_ids(OrderedView(world, declared), declared)
    except (PlanError, MissingResource):
        return True


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
    for ref in world.pending.among(world.referrals.referring(declared.ref), declared.revision):
        chain = _plannable(world, ref, declared.revision) if ref != declared.ref else ()
        if chain:
            return chain
    return ()


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
