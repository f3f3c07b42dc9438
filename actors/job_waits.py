"""What a job waits for, and what it needs of others.

Guarantees: answered from the mirror and from what was read, and from nothing else; nothing is changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from actors import rendering
from actors.core import keys
from actors.core.errors import ErrorClass, Failure
from actors.core.graph import show_cycle
from actors.core.job_ids import produces, resource_of
from actors.core.model import Action, Job, JsonObject, Ref
from actors.core.outcome import stack_was_built
from actors.core.replacing import may_wait_for, once_more, replacement
from actors.core.waiting import Waiting
from actors.core.world import World
from actors.ports import Entry

Outputs = Mapping[Ref, tuple[JsonObject, ...]]


class Waits:
    """What one job waits for, and what it needs of others. `later`: the jobs of its workflow that follow it."""

    def __init__(self, world: World, job: Job, *later: Job) -> None:
        self._world = world
        self._job = job
        self._waiting = Waiting(world, job.ref, {each.id for each in (job, *later)})
        #: What the workflow refers to: its first job waits for all the others as well (contract 2.5).
        self._related = {ref for each in (job, *later) for param in each.params for ref in param.resources}
        named = {job_id: resource_of(job_id) for job_id in job.dependency}
        #: Jobs of others, with resource and version. What is no job id names nobody who could be waited for.
        self._external = {job_id: of for job_id, of in named.items() if of is not None and of[0] != job.ref}

    def live(self) -> tuple[str, tuple[Ref, ...]] | None:
        """(reason, resources waited for), or None if nothing is left to wait for. Of those who use what is changed only
        the first is named: nothing can go on before that one changes, and then the next is found."""
        live = {d: of[0] for d, of in self._external.items() if self._world.live(d)}
        beyond: tuple[Ref, ...] = ()
        if self._job.action is Action.LOGICAL_DELETE:
            # a producer that is to be deleted too waits for us: only those who use this are waited for
            using = {job.id for job in self._world.jobs_referring(self._job.ref)}
            found = {d: ref for d, ref in live.items() if d in using}
            more = len(found) - 1
            found = dict(itertools.islice(found.items(), 1))
        else:
            live |= self._once_more()
            found, users = self._without_rings(live)
            more = len(live) - 1
            replaced, others = self._replaced()
            found, beyond = found | replaced, (*users, *others)
        if not found:
            return None
        rest = f" and up to {more} more" if more > 0 else ""
        return f"waits for {next(iter(found))}{rest}", tuple(dict.fromkeys((*found.values(), *beyond)))

    def _without_rings(self, live: Mapping[str, Ref]) -> tuple[dict[str, Ref], tuple[Ref, ...]]:
        """The producers among them, and the first user that does not wait for us; and all for whom that one may wait.
        That an update comes after those who use what it changes is order and nothing else: it is given up where they
        need the update (contract 2.5)."""
        found, beyond = {}, tuple[Ref, ...]()
        for dependency, ref in live.items():
            if ref in self._related and produces(dependency):
                found[dependency] = ref
            elif not beyond and self._job.ref not in (reached := self._waiting.reach((ref,))):
                found[dependency], beyond = ref, reached
        return found, beyond

    def cycle(self) -> Failure | None:
        """The failure of what waits for itself, through whomever, and cannot give that up: nobody would ever go on."""
        found = self._waiting.ring(self._job.ref)
        if found is None:
            return None
        where = keys.CONFIG + self._world.types.path(self._job.ref)
        return Failure(ErrorClass.INVALID, "PlanError", f"{where}: dependency cycle: {show_cycle(found)}")

    def doomed(self, live: bool) -> Failure | None:
        """Why there is no use in going on; nor in waiting, if something is `live`."""
        return self.failure(early=True) or (self.cycle() if live else None)

    def _once_more(self) -> dict[str, Ref]:
        """The jobs of producers that failed, where what they were to build is built once more."""
        found: dict[str, Ref] = {}
        for dependency, (ref, version) in self._external.items():
            if ref in self._related and produces(dependency):
                jobs = [job.id for job in self._world.jobs_of(ref)]
                found |= {dependency: ref} if once_more(self._world, ref, version, jobs) else {}
        return found

    def _replaced(self) -> tuple[dict[str, Ref], tuple[Ref, ...]]:
        """The jobs that took the place of producers before those began, and all for whom they may wait: a change there
        may close a ring through us, and then the order is given up."""
        found: dict[str, Ref] = {}
        beyond: list[Ref] = []
        for dependency, (ref, version) in self._external.items():
            if self._world.live(dependency) or ref not in self._related or not produces(dependency):
                continue
            job = replacement(self._world, ref, version)
            if job is not None and self._job.ref not in (refs := may_wait_for(self._world, ref)):
                found[job.id] = ref
                beyond.extend(refs)
        return found, tuple(beyond)

    def failure(self, *, early: bool = False) -> Failure | None:
        """The failure of a workflow of which a producer failed, whether or not its outputs are needed (2.8, 10.4). A
        consumer that failed keeps nobody from anything, and nothing keeps a resource from being deleted. `early`: only
        of a producer that is not built anew, for something else is still waited for."""
        if self._job.action is Action.LOGICAL_DELETE:
            return None
        for dependency, (ref, version) in self._external.items():
            outcome = self._world.outcome(ref)
            if outcome is None or not outcome.error or outcome.version < version:
                continue
            if (early and self._is_built_anew(ref)) or self._is_tried_again(ref, outcome.version):
                continue
            if stack_was_built(outcome.error, ref, outcome.version):
                continue  # monitoring jobs of others are not waited for
            # what an earlier version left is not what this workflow was planned to wait for
            if ref in self._related and produces(dependency):
                return _dependency_failed(f"{dependency}: {outcome.error}")
        return None

    def _is_built_anew(self, ref: Ref) -> bool:
        """Whether what failed is tried again, in this version or a newer one, or soon will be."""
        world = self._world
        return world.needs_work(ref) and not (world.marked(ref) or world.vanished(ref))

    def _is_tried_again(self, ref: Ref, version: int) -> bool:
        """Whether jobs that build the version that failed are recorded: its outcome is of the time before them."""
        jobs = (job for job in self._world.jobs_of(ref) if job.action is not Action.LOGICAL_DELETE)
        return any(job.version == version for job in jobs)

    def outputs_needed(self, results: JsonObject) -> tuple[Ref, ...]:
        """Whose stack records must be read before the job can run: none for what takes something away, so that
        neither a producer that is yet to come nor one that failed keeps anything from being deleted."""
        if self._job.action in (Action.LOGICAL_DELETE, Action.DELETE):
            return ()
        needed = rendering.needed_outputs(self._job.params)
        if "heat_outputs" in results:
            needed.discard(self._job.ref)
        return tuple(sorted(ref for ref in needed if ref.type in self._world.types))

    def outrun(self, revision: int, results: JsonObject) -> bool:
        """Whether the mirror shows the outcome of a producer that was still to come when its stack was read, at
        this revision: then what was read says nothing."""
        outcomes = map(self._world.outcome, self.outputs_needed(results))
        return any(outcome is not None and outcome.revision > revision for outcome in outcomes)

    def _without_stack(self, ref: Ref) -> Failure | Ref | None:
        """What it means that there is no stack of it. The resource: one is still to come, as a job that builds it is
        recorded, or it is declared and not built yet, or nobody can read how. A failure: it is going or gone, and may
        wait for us to let go of it. None: it is what it is to be, without one."""
        world = self._world
        actions = {job.action for job in world.jobs_of(ref)}
        if actions & {Action.CREATE, Action.MODIFY}:
            return ref
        vanished = world.vanished(ref)
        if vanished or Action.LOGICAL_DELETE in actions or world.marked(ref):
            state = "not declared" if vanished else "marked for deletion"
            return _dependency_failed(f"{ref} is {state} and has no stack")
        return ref if world.declaration(ref) is None or world.needs_work(ref) else None

    def outputs(self, entries: Mapping[str, Entry], results: JsonObject) -> Outputs | Failure | Ref:
        """The outputs; or a failure, if a producer failed; or the resource whose stack is still to come."""
        if (failure := self.failure()) is not None:
            return failure
        types = self._world.types
        found: dict[Ref, tuple[JsonObject, ...]] = {}
        if "heat_outputs" in results:
            found[self._job.ref] = tuple(results["heat_outputs"])
        for ref in self.outputs_needed(results):
            entry = entries.get(keys.HEAT_STACKS + types.path(ref))
            outcome = self._world.outcome(ref)
            if entry is None and outcome is not None and outcome.error and ref != self._job.ref:
                return _dependency_failed(f"{ref}: {outcome.error}")
            if entry is not None and keys.has_stack(entry.key, entry.value):
                found[ref] = keys.decode_outputs(entry.key, entry.value)
            elif ref != self._job.ref and (missing := self._without_stack(ref)) is not None:
                return missing if isinstance(missing, Failure) else self.cycle() or missing
        return found


def _dependency_failed(text: str) -> Failure:
    return Failure(ErrorClass.TERMINAL, "DependencyFailed", f"dependency failed: {text}")
