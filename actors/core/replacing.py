"""What takes the place of a job that was replaced before it began (contract 10.5 with 2.5), and who may wait for it;
and of one that failed and is tried once more, under another id.

Guarantees: nobody waits for a job that may wait for him, through whomever: jobs that are waited for in the place of
others are younger than who waits, so of themselves they make rings. What may be waited for is never told too small; it
changes only with a job, a declaration or an outcome of those that are told.
"""

from __future__ import annotations

from collections.abc import Collection

from actors.core.job_ids import produces, resource_of
from actors.core.model import Action, Handler, Ref
from actors.core.ordering import is_tried_once_more, users_before
from actors.core.outcome import stack_was_built
from actors.core.recorded_job import RecordedJob
from actors.core.referring import refers_to
from actors.core.world import World


def replacement(world: World, ref: Ref, version: int) -> RecordedJob | None:
    """The job that builds `ref` now, where its heat job of that version is gone and never ran.

    It ran if there is an outcome of that version or a later one, or if only the monitoring job of a workflow is left.
    """
    outcome = world.outcome(ref)
    if (outcome is not None and outcome.version >= version) or world.marked(ref) or world.vanished(ref):
        return None
    builds = (Action.CREATE, Action.MODIFY)
    found = (job for job in world.jobs_of(ref) if job.handler is Handler.HEAT and job.action in builds)
    return next(found, None)


def once_more(world: World, ref: Ref, version: int, jobs: Collection[str]) -> bool:
    """Whether what `ref` failed at, in that version or a later one, is built once more by these jobs of it, or soon
    will be. Whoever had waited for the job that failed, and did not fail with it (he was paused, or nobody owned him),
    waits for that."""
    outcome = world.outcome(ref)
    if outcome is None or not outcome.error or outcome.version < version:
        return False
    if stack_was_built(outcome.error, ref, outcome.version):
        return False
    if jobs:
        return any(produces(job) and resource_of(job) == (ref, outcome.version) for job in jobs)
    return is_tried_once_more(world, ref) and not (world.marked(ref) or world.vanished(ref))


def may_wait_for(world: World, start: Ref) -> tuple[Ref, ...]:
    """`start` and all unfinished resources for which it may wait, directly or through others."""
    found = {start: None}
    todo = [start]
    while todo:
        for ref in sorted(_next(world, todo.pop())):
            # a job may be under way of what nobody can read any more
            if ref not in found and (world.needs_work(ref) or world.jobs_of(ref)):
                found[ref] = None
                todo.append(ref)
    return tuple(found)


def _next(world: World, ref: Ref) -> set[Ref]:
    """Whom its jobs and its declaration refer to, and who uses it or will, unless it is only to be created."""
    jobs, declared = world.jobs_of(ref), world.declaration(ref)
    found = {other for job in jobs for other in job.resources}.union(refers_to(world, ref))
    if declared is not None and not jobs:
        found.update(users_before(world, declared))
    created = bool(jobs) and all(job.action is Action.CREATE for job in jobs)
    if not created or world.marked(ref) or world.vanished(ref):
        found.update(job.ref for job in world.jobs_referring(ref))
    return found
