"""The transactions T1 to T5 of the design: which keys are written together, under which guards.

Guarantees: each leaves a legal restart point (`core.resume`); each is guarded so that a second actor of the same
resource, or an answer that came too late, writes nothing. Values come from `core.keys`, never from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.core import keys
from actors.core.json_text import text
from actors.core.keys import TypeTable
from actors.core.model import Action, Declared, Handler, Job, Json, JsonObject, Ref, Workflow
from actors.core.monitors import Target, encode_targets, watched
from actors.core.outcome import (
    DELETE_COMPLETED,
    completed_state,
    failed_state,
    orchestration_state,
    workflow_action,
)
from actors.ports import Delete, Entry, Guard, Put, WriteSet

Recorded = tuple[Job, int]


@dataclass(frozen=True, slots=True)
class Paths:
    """All keys of one resource."""

    path: str

    @property
    def config(self) -> str:
        """The declaration (read only)."""
        return keys.CONFIG + self.path

    @property
    def accepted(self) -> str:
        """The accepted copy."""
        return keys.ACCEPTED + self.path

    @property
    def job_state(self) -> str:
        """Results of the workflow so far."""
        return keys.JOB_STATE + self.path

    @property
    def heat_stack(self) -> str:
        """The stack's record."""
        return keys.HEAT_STACKS + self.path

    @property
    def state(self) -> str:
        """The outcome."""
        return keys.STATE + self.path

    @property
    def targets(self) -> str:
        """What is monitored."""
        return keys.TARGETS + self.path

    @property
    def history(self) -> str:
        """Its outcomes so far."""
        return keys.HISTORY + self.path

    @property
    def attempts(self) -> str:
        """How often the present version was tried."""
        return keys.ATTEMPTS + self.path

    @property
    def request(self) -> str:
        """An operator's wish that it be looked at again."""
        return keys.RECONCILE + self.path

    @property
    def drift(self) -> str:
        """In what its stack was found to differ."""
        return keys.DRIFT + self.path

    @property
    def monitoring(self) -> str:
        """What monitoring sees."""
        return keys.MONITORING + self.path


def paths(types: TypeTable, ref: Ref) -> Paths:
    """The keys of a resource. Raises KeyError for an unknown type."""
    return Paths(types.path(ref))


def _at(key: str, entries: Mapping[str, Entry]) -> Guard:
    """A guard on what was read: still the same, or still absent."""
    entry = entries.get(key)
    return Guard(key, entry.mod_revision if entry is not None else 0)


def record_plan(
    p: Paths, declared: Declared, workflow: Workflow, stale: Sequence[Recorded], read: Mapping[str, Entry]
) -> WriteSet:
    """T1: accept the declaration, publish its jobs, open job_state; drop jobs that never started."""
    kept = {job.id for job in workflow.jobs}
    return WriteSet(
        (
            Put(p.accepted, keys.encode_accepted(declared)),
            *(Put(keys.JOBS + job.id, keys.encode_job(job)) for job in workflow.jobs),
            Put(p.job_state, keys.encode_job_state({})),
            *(Delete(keys.JOBS + job.id) for job, _ in stale if job.id not in kept),
        ),
        # /state as read: a T1 that comes late must not begin anew what was finished meanwhile
        (Guard(p.config, declared.revision), _at(p.job_state, read), _at(p.state, read)),
    )


def record_withdrawal(
    p: Paths, declared: Declared, stale: Sequence[Recorded], read: Mapping[str, Entry]
) -> WriteSet:
    """Jobs that never began go before their successors can be planned: a deletion waits for others, who may wait for
    these jobs. The guards are those of the plan that would have replaced them."""
    gone = tuple(Delete(keys.JOBS + job.id) for job, _ in stale)
    guards = (Guard(p.config, declared.revision), _at(p.job_state, read), _at(p.state, read))
    return WriteSet((Delete(p.job_state), *gone), guards)


def record_heat(p: Paths, jobs: Sequence[Recorded], stack: bytes, results: JsonObject) -> WriteSet:
    """T2: the stack's record and its outputs; the job ends, unless it is the last (T4 ends that)."""
    return WriteSet(
        (Put(p.heat_stack, stack), Put(p.job_state, keys.encode_job_state(results)), *_ended(jobs)),
        (_still_there(jobs),),
    )


def record_monitoring(
    p: Paths, jobs: Sequence[Recorded], results: JsonObject, targets: Sequence[Target] | None
) -> WriteSet:
    """T3: what monitoring found, and what goes on being watched. `targets` None: monitoring ended.

    At the end of monitoring inside an update `/monitoring` is kept until the new version's first value (an empty list
    of targets tells of it, should another version take over); where nothing is watched any more it goes (10.12).
    """
    job = jobs[0][0]
    writes: list[Put | Delete] = [Put(p.job_state, keys.encode_job_state(results))]
    looked_at = watched(targets or ())
    if looked_at or any(later.handler is Handler.MONITORING for later, _ in jobs[1:]):
        writes.append(Put(p.targets, encode_targets(job.version, looked_at)))
    else:
        writes += [Delete(p.targets), Delete(p.monitoring)]
    return WriteSet((*writes, *_ended(jobs)), (_still_there(jobs),))


def record_state(p: Paths, last: Recorded, results: JsonObject) -> WriteSet:
    """T4: the outcome; nothing of the workflow remains."""
    job = last[0]
    state = keys.state_object(results, completed_state(job.action))
    return WriteSet(
        (
            Put(p.state, keys.encode_state(state, job.version)),
            Delete(p.job_state),
            Delete(keys.JOBS + job.id),
        ),
        (_still_there((last,)),),
    )


def record_jobless(
    p: Paths,
    declared: Declared,
    worker_state: str,
    stale: Sequence[Recorded],
    read: Mapping[str, Entry],
) -> WriteSet:
    """The outcome of a version that needs no job (contract 2.2, 10.9), in place of jobs that never started."""
    accepted: Put | Delete = Put(p.accepted, keys.encode_accepted(declared))
    if worker_state == DELETE_COMPLETED:
        accepted = Delete(p.accepted)
    state = keys.encode_state({"worker_state": worker_state}, declared.version)
    gone = tuple(Delete(keys.JOBS + job.id) for job, _ in stale)
    guards = (Guard(p.config, declared.revision), _at(p.state, read), _at(p.job_state, read))
    return WriteSet((Put(p.state, state), accepted, Delete(p.job_state), *gone), guards)


def record_failure(
    p: Paths,
    jobs: Sequence[Recorded],
    declared: Declared | None,
    action: Action,
    error: str,
    read: Mapping[str, Entry],
    *,
    orchestration: bool,
) -> WriteSet:
    """The terminal outcome of a workflow that failed, planned or not (contract 10.3, 10.4).

    What `/monitoring` said of the version before goes: nobody may write there what that port does from now on.
    """
    if jobs:
        action = workflow_action([job for job, _ in jobs])
        version, guards = jobs[0][0].version, (_still_there(jobs),)
    else:
        assert declared is not None, "a failure before planning is about a declaration"
        version = declared.version
        guards = (Guard(p.config, declared.revision), _at(p.job_state, read), _at(p.state, read))  # type: ignore[assignment]
    state: dict[str, Json] = {"heat_outputs": text([]), "worker_state": failed_state(action)}
    if orchestration:
        state["orchestration_state"] = orchestration_state(action, ok=False)
    return WriteSet(
        (
            Put(p.state, keys.encode_state(state, version, error)),
            Delete(p.job_state),
            *(Delete(keys.JOBS + job.id) for job, _ in jobs),
            *((Delete(p.monitoring),) if p.targets in read else ()),
        ),
        guards,
    )


def record_forget(p: Paths, read: Mapping[str, Entry], stale: Sequence[Recorded] = ()) -> WriteSet:
    """Nothing of the resource remains: the API server has removed the declaration (contract 2.2, 8.3)."""
    gone = (
        p.accepted,
        p.heat_stack,
        p.job_state,
        p.targets,
        p.monitoring,
        p.state,
        p.history,
        p.attempts,
        p.request,
        p.drift,
    )
    jobs = (keys.JOBS + job.id for job, _ in stale)
    return WriteSet(tuple(map(Delete, (*gone, *jobs))), (Guard(p.config, 0), _at(p.accepted, read)))


def heat_results(job: Job, outputs: Sequence[JsonObject], *, orchestration: bool) -> dict[str, Json]:
    """What a heat job adds to job_state (contract 1.2)."""
    results: dict[str, Json] = {"heat_outputs": list(outputs)}
    if orchestration:
        results["orchestration_state"] = orchestration_state(job.action, ok=True)
    return results


def publish_monitoring(p: Paths, value: bytes, state_revision: int, targets_revision: int) -> WriteSet:
    """T5: what monitoring sees, if the outcome of that very version still stands and it is still being watched."""
    guards = (Guard(p.state, state_revision), Guard(p.targets, targets_revision))
    return WriteSet((Put(p.monitoring, value),), guards)


def _still_there(jobs: Sequence[Recorded]) -> Guard:
    job, revision = jobs[0]
    return Guard(keys.JOBS + job.id, revision)


def _ended(jobs: Sequence[Recorded]) -> tuple[Delete, ...]:
    job = jobs[0][0]
    return () if job.is_last else (Delete(keys.JOBS + job.id),)


def handlers_built(read: Mapping[str, Entry], p: Paths) -> frozenset[Handler]:
    """Which handlers left something behind, by what is recorded."""
    built = set()
    entry = read.get(p.heat_stack)
    if entry is not None and keys.has_stack(entry.key, entry.value):
        built.add(Handler.HEAT)
    if p.targets in read:
        built.add(Handler.MONITORING)
    return frozenset(built)
