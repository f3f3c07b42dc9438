"""Who refers to whom, as a declaration may see it, and in which order those that are deleted go (contract 2.5, 10.11).

Guarantees: what a declaration refers to is evaluated again only after something that it was read from changed; a
template that never ends costs a bounded time. Of those that refer to each other in a ring somebody goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from actors.core.keys import TypeTable
from actors.core.limiting import TookTooLong
from actors.core.model import Action, Declared, Handler, JsonObject, Ref
from actors.core.plan import CompiledTemplate, LiveJob, references
from actors.core.world import World

T = TypeVar("T")


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


def referrers_to_delete(world: World, declared: Declared) -> tuple[Ref, ...]:
    """Resources that refer to this one, are marked for deletion too and are not deleted yet (contract 10.11).

    Of those that refer to each other in a ring the smallest goes first, so that nobody waits for ever.
    """
    for ref in world.referrals.untold():
        refers_to(world, ref)
    me = declared.ref
    using = sorted(ref for ref in world.referrals.referring(me) if ref != me and is_going(world, ref))
    if not using:
        return ()
    needed = _needed(world, me, refers_now(world, declared))
    return tuple(ref for ref in using if not (ref in needed and me < ref))


def is_leaving(world: World, ref: Ref, me: Ref) -> bool:
    """Whether its deletion is planned and the last job of that refers to `me`, whose plan waits for the job then."""
    jobs = world.jobs_of(ref)
    last = [job for job in jobs if job.handler is Handler.HEAT] or jobs
    return any(me in job.resources for job in last) and all(
        job.action is Action.LOGICAL_DELETE for job in jobs
    )


def is_going(world: World, ref: Ref) -> bool:
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


def refers_now(world: World, declared: Declared) -> tuple[Ref, ...]:
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
            refers = limited(world, declared.ref, lambda: references(view, declared))
        except TookTooLong:
            return (), notes
        hidden = {ref for ref in refers if view.declared(ref) is None and world.version(ref)}
        if hidden <= forced:
            return refers, notes
        forced |= hidden


def limited(world: World, ref: Ref, work: Callable[[], T]) -> T:
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
        for ref in refers_to(world, here) if here != me and is_going(world, here) else ():
            if ref not in found:
                found.add(ref)
                todo.append(ref)
    return found
