"""Who waits for whom now, told from the mirror alone: to find rings, which would last for ever.

Guarantees: `needs` tells only of what cannot be given up: a job or a plan that must come first, or a stack whose
outputs are wanted; `waits` adds the order that can: of updates after those who use what they change, of what took the
place of a job. Neither leaves out anybody who is really waited for. What is to be deleted needs nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from actors.core.graph import find_cycle
from actors.core.job_ids import produces, resource_of
from actors.core.model import Action, Declared, Handler, Ref
from actors.core.ordering import awaits, users_before
from actors.core.outcome import stands
from actors.core.referring import refers_to
from actors.core.replacing import may_wait_for, once_more, replacement
from actors.core.world import World


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who waits for whom, as `world` shows. `planned`: has a plan with these `jobs`, though the mirror may not show
    that yet: nobody waits for its plan, nor for jobs that it had before."""

    world: World
    planned: Ref | None = None
    jobs: Collection[str] = ()

    def needs(self, ref: Ref) -> set[Ref]:
        """Whom it waits for and cannot do without."""
        declared = self.world.declaration(ref)
        if declared is None or declared.marked_for_deletion:
            return set()
        return self._of_plan(declared) if self._is_planning(declared) else self._of_jobs(ref)

    def waits(self, ref: Ref) -> set[Ref]:
        """Whom it may be waiting for."""
        declared = self.world.declaration(ref)
        users = self.world.jobs_referring(ref)
        if any(job.action is Action.LOGICAL_DELETE for job in self.world.jobs_of(ref)):
            # whatever else is in its way: it waits only for those of its dependencies that use it
            named = {name for name, _ in _dependencies(self.world, ref)}
            return {job.ref for job in users if job.id in named}
        found = self._of_jobs(ref) | self._ordered(ref)
        if declared is None or declared.marked_for_deletion:
            found.update(job.ref for job in users)
        elif self._is_planning(declared):
            found |= self._of_plan(declared) | (set(users_before(self.world, declared)) - {self.planned})
        return found - {ref}

    def ring(self, ref: Ref) -> tuple[Ref, ...] | None:
        """A chain from `ref` back to it of which each needs the next. None: there is none, or it is the first to name
        one that `ref` runs into, whose members find it themselves."""
        found = find_cycle(lambda one: sorted(self.needs(one)), ref)
        return found if found is not None and ref in found else None

    def reach(self, start: Iterable[Ref]) -> tuple[Ref, ...]:
        """Those, and all for whom they wait, directly or through others."""
        found = dict.fromkeys(start)
        todo = list(found)
        while todo:
            for ref in sorted(self.waits(todo.pop())):
                if ref not in found:
                    found[ref] = None
                    todo.append(ref)
        return tuple(found)

    def _is_planning(self, declared: Declared) -> bool:
        """Whether there is no plan of it. Jobs of a version before that wait for others never began: they give way;
        those that wait for nobody are being carried out, and it waits for them to end."""
        jobs = self.world.jobs_of(declared.ref)
        if any(job.version >= declared.version for job in jobs):
            return False
        return not jobs or bool(self._of_jobs(declared.ref) | self._ordered(declared.ref))

    def _of_plan(self, declared: Declared) -> set[Ref]:
        """Those that must be planned before it."""
        refers = refers_to(self.world, declared.ref)
        return {ref for ref in refers if ref != self.planned and awaits(self.world, declared, ref)}

    def _of_jobs(self, ref: Ref) -> set[Ref]:
        """Those whose jobs come before its own, or whose stacks they need."""
        jobs = self.world.jobs_of(ref)
        related = {other for job in jobs for other in job.resources}
        found = {other for job in jobs for other in job.needs if _is_to_come(self.world, other)}
        for name, (other, version) in _dependencies(self.world, ref):
            if other not in related or not produces(name):
                continue
            if self._live(name, other) or once_more(self.world, other, version, self._jobs_of(other)):
                found.add(other)
        return found - {ref}

    def _ordered(self, ref: Ref) -> set[Ref]:
        """Those that come before its jobs for the sake of order, as far as that has not been given up."""
        found = set()
        for name, (other, version) in _dependencies(self.world, ref):
            live = self._live(name, other)
            replaced = not live and replacement(self.world, other, version) is not None
            if live or (replaced and ref not in may_wait_for(self.world, other)):
                found.add(other)
        return found

    def _jobs_of(self, ref: Ref) -> Collection[str]:
        return self.jobs if ref == self.planned else [job.id for job in self.world.jobs_of(ref)]

    def _live(self, name: str, ref: Ref) -> bool:
        return name in self.jobs if ref == self.planned else self.world.live(name)


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
