"""How to go on with a resource, decided from what is recorded and from nothing else.

Guarantees: pure; the same records give the same answer, so a restart at any point continues where the
records end (contract 10.8, 10.25). Transactions T1 to T4 of the design are the only points in between:
T1 leaves jobs and job_state `{}`, T2 and T3 put the result of a job into job_state (and remove the job, unless
it is the last), T4 writes the outcome and removes the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from actors.core.model import Action, Declared, Handler, Job, Json, JsonObject
from actors.core.outcome import DELETE_COMPLETED, DELETE_FAILED, Outcome


@dataclass(frozen=True, slots=True)
class Records:
    """Everything etcd holds of one resource. `jobs` are (job, mod_revision) pairs in workflow order."""

    declared: Declared | None
    accepted: Declared | None
    outcome: Outcome | None
    jobs: tuple[tuple[Job, int], ...]
    results: JsonObject | None  # job_state
    exists: bool  # a stack is recorded or something is watched
    requested: int = 0  # the revision of an operator's request to build it once more


@dataclass(frozen=True, slots=True)
class Nothing:
    """This version is final."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """To be planned. `stale` are recorded jobs of an older version that never started: the plan replaces them."""

    declared: Declared
    stale: tuple[tuple[Job, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Continue:
    """Run `jobs[0]` next; `results` holds what earlier jobs gave."""

    jobs: tuple[tuple[Job, int], ...]
    results: JsonObject


@dataclass(frozen=True, slots=True)
class Finish:
    """Only the outcome is missing: `last` is the last job, its result is in `results`."""

    last: tuple[Job, int]
    results: JsonObject


@dataclass(frozen=True, slots=True)
class Forget:
    """It is not declared any more and nothing of it exists: what is recorded of it goes (contract 2.2)."""


Resumption = Nothing | Fresh | Continue | Finish | Forget


def in_order(jobs: Sequence[tuple[Job, int]]) -> tuple[tuple[Job, int], ...]:
    """Jobs of one workflow in the order they run: a job depends on all earlier ones (contract 2.5)."""
    ids = {job.id for job, _ in jobs}
    return tuple(sorted(jobs, key=lambda pair: (len(ids.intersection(pair[0].dependency)), pair[0].id)))


def result_of(job: Job, results: JsonObject) -> bool:
    """Whether job_state holds the result of this job."""
    if job.handler is Handler.HEAT:
        return "heat_outputs" in results
    # a stop of monitoring leaves no trace in job_state: it is simply done again
    return job.action is Action.CREATE and "state_monitoring" in results


def has_begun(jobs: Sequence[tuple[Job, int]], results: Mapping[str, Json]) -> bool:
    """Whether the workflow with these jobs left, in order, has changed anything that is to be ended first (10.5).

    An update that has only stopped watching has not: while it waits for others, or for room, what is declared next
    takes its place, and a mark above all.
    """
    if not jobs:
        return bool(results)
    first = jobs[0][0]
    return bool(results) or not (first.is_first or first.action is Action.MODIFY)


def marked_anew(newest: Declared | None, read: Declared | None) -> bool:
    """Whether nothing was done to what was read but that it was marked for deletion (contract 2.1)."""
    if newest is None or read is None or newest.version != read.version:
        return False
    return newest.marked_for_deletion and not read.marked_for_deletion


def outdates(newest: Declared | None, read: Declared | None, version: int) -> bool:
    """Whether what is declared now takes the place of that version, which was read as `read`; 0: nothing is in work."""
    if newest is None:
        return read is not None
    return newest.version > version > 0 or marked_anew(newest, read)


def resume(records: Records) -> Resumption:
    """Decide. A newer declaration replaces a workflow that has not started, and follows one that has."""
    declared, jobs = records.declared, in_order(records.jobs)
    newest = max((job.version for job, _ in jobs), default=0)
    current = tuple(pair for pair in jobs if pair[0].version == newest)
    if current:
        results = dict(records.results or {})
        started = has_begun(current, results)
        building = current[0][0].action is not Action.LOGICAL_DELETE
        if declared is not None and not started:
            marked_anew = building and declared.marked_for_deletion and declared.version == newest
            if declared.version > newest or marked_anew:
                return Fresh(declared, jobs)
        if declared is None and building and not started and records.accepted is not None:
            # it vanished before anything was begun: others may be waiting for it to go
            return Fresh(replace(records.accepted, marked_for_deletion=True, revision=0), jobs)
        if len(current) == 1 and current[0][0].is_last and result_of(current[0][0], results):
            return Finish(current[0], results)
        return Continue(current, results)
    if declared is None:
        return _vanished(records)
    if records.outcome is not None and is_final(declared, records.outcome):
        return Nothing()
    return Fresh(declared)


def is_final(declared: Declared, outcome: Outcome) -> bool:
    """Whether the outcome is the end of the declared version."""
    return outcome.is_final(declared.version, marked=declared.marked_for_deletion)


def _vanished(records: Records) -> Resumption:
    """The declaration is gone, with or without a mark (contract 10.24): delete what exists, then forget."""
    accepted, outcome = records.accepted, records.outcome
    maybe = records.exists or (accepted is not None and _may_have_left(accepted, outcome))
    if not maybe or (outcome is not None and outcome.worker_state == DELETE_COMPLETED):
        return Forget()
    failed = outcome is not None and outcome.worker_state == DELETE_FAILED
    if accepted is None or (failed and not records.requested):
        return Nothing()  # for people: without the accepted copy nothing tells how to delete what exists
    # revision 0: the guard of T1 is that it is not declared
    return Fresh(replace(accepted, marked_for_deletion=True, revision=0))


def _may_have_left(accepted: Declared, outcome: Outcome | None) -> bool:
    """Whether a stack may stand of which there is no record: of a version that failed, or that was accepted and did not
    come to an end. A deletion that was accepted is carried out before its jobs go."""
    if outcome is None or outcome.version < accepted.version:
        return not accepted.marked_for_deletion
    return bool(outcome.error)


def merge(results: Mapping[str, Json], more: Mapping[str, Json]) -> dict[str, Json]:
    """job_state after one more job."""
    return {**results, **more}
