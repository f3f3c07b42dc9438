"""The words in `/state`, and the action that a declaration calls for (contract 2.2, 5.5, 10.3, quirk 19).

Guarantees: all words of `worker_state` and `orchestration_state` are made here; the action follows from what
was really done, not from whether a `/state` key exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from actors.core.errors import Failure
from actors.core.model import Action, Declared, Handler, Job, JsonObject, Ref

READ_COMPLETE: Final = "READ_COMPLETE"
CREATE_COMPLETED: Final = "CREATE_COMPLETED"
MODIFY_COMPLETED: Final = "MODIFY_COMPLETED"
DELETE_COMPLETED: Final = "DELETE_COMPLETED"
CREATE_FAILED: Final = "CREATE_FAILED"
MODIFY_FAILED: Final = "MODIFY_FAILED"
DELETE_FAILED: Final = "DELETE_FAILED"

#: Action of the last job → `worker_state` (5.5). DELETE is last only in an update that drops monitoring.
_COMPLETED: Final = {
    Action.CREATE: CREATE_COMPLETED,
    Action.MODIFY: MODIFY_COMPLETED,
    Action.DELETE: MODIFY_COMPLETED,
    Action.LOGICAL_DELETE: DELETE_COMPLETED,
}
#: Action of the whole workflow → `worker_state` (10.3): a failed update is no failed create, in G1 neither.
_FAILED: Final = {
    Action.CREATE: CREATE_FAILED,
    Action.MODIFY: MODIFY_FAILED,
    Action.DELETE: MODIFY_FAILED,
    Action.LOGICAL_DELETE: DELETE_FAILED,
}
#: Action of the heat job → `orchestration_state` on success and on failure (5.5, quirk 5, 10.3).
_ORCHESTRATION: Final = {
    Action.CREATE: ("CREATE_COMPLETE", "CREATE_ERROR"),
    Action.MODIFY: ("UPDATE_COMPLETE", "MODIFY_ERROR"),
    Action.DELETE: ("UPDATE_COMPLETE", "MODIFY_ERROR"),
    Action.LOGICAL_DELETE: ("DELETE_COMPLETE", "DELETE_ERROR"),
}
#: `worker_state` → whether something of the resource exists in Heat or is monitored. Others: nothing does.
_EXISTS: Final = frozenset({CREATE_COMPLETED, MODIFY_COMPLETED, MODIFY_FAILED, DELETE_FAILED})
_NOTHING: Final = frozenset({CREATE_FAILED, DELETE_COMPLETED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `/state/<path>` says, and when it was written."""

    version: int
    error: str
    worker_state: str
    revision: int

    def is_final(self, version: int, *, marked: bool) -> bool:
        """Whether this is the end of the declared version. After a deletion a new life begins at any version; a mark
        that was set without a new version is a change all the same (contract 2.1)."""
        if self.worker_state == DELETE_COMPLETED and not marked:
            return False
        if marked and self.version == version:
            return self.worker_state in (DELETE_COMPLETED, DELETE_FAILED)
        return self.version >= version


@dataclass(frozen=True, slots=True)
class Realised:
    """What `/state` says was done: `worker_state` at `version`."""

    version: int
    worker_state: str


def stands(worker_state: str) -> bool:
    """Whether a stack is there after such an outcome."""
    return worker_state in _EXISTS


def completed_state(last_job: Action) -> str:
    """`worker_state` of a workflow whose last job, of that action, has succeeded (contract 5.5)."""
    return _COMPLETED[last_job]


def failed_state(workflow: Action) -> str:
    """`worker_state` of a failed or cancelled workflow (contract 10.3, 10.4)."""
    return _FAILED[workflow]


def orchestration_state(heat_job: Action, *, ok: bool) -> str:
    """`orchestration_state`, which G2+ deployments want (contract 5.5); G1 has no such member."""
    complete, error = _ORCHESTRATION[heat_job]
    return complete if ok else error


def error_text(failure: Failure, left: Sequence[Job], results: JsonObject) -> str:
    """`error` of a workflow that failed with these jobs left and these results so far (contract 10.3).

    Where the heat job had succeeded it begins with the id of the job that failed, by which `stack_was_built` tells.
    """
    if left and left[0].handler is Handler.MONITORING and "heat_outputs" in results:
        return f"{failure.kind}: {left[0].id}: {failure.text}"
    return str(failure)


def stack_was_built(error: str, ref: Ref, version: int) -> bool:
    """Whether a workflow that ended with this error failed after its heat job, which is all that others wait for (2.5).

    `/state` alone tells, after a restart too: what else is recorded of a workflow goes with it.
    """
    _, _, text = error.partition(": ")
    return text.startswith(f"{Action.CREATE}:{Handler.MONITORING}:{ref}:{version}:")


def workflow_action(jobs: Sequence[Job]) -> Action:
    """CREATE, MODIFY or LOGICAL_DELETE: what the workflow of these unfinished jobs does as a whole.

    The jobs before may be gone already; their ids in `dependency` still tell. `jobs` must not be empty.
    """
    assert jobs, "a workflow has jobs"
    seen = {job.action for job in jobs}
    for job in jobs:
        tail = f":{job.ref}:{job.version}:"
        begun = {each.partition(":")[0] for each in job.dependency if tail in each}
        seen.update(action for action in Action if action.value in begun)
    if Action.LOGICAL_DELETE in seen:
        return Action.LOGICAL_DELETE
    return Action.MODIFY if seen & {Action.MODIFY, Action.DELETE} else Action.CREATE


def choose_action(declared: Declared, realised: Realised | None, *, built: bool) -> Action | None:
    """What the declared version calls for; None if `/state` is at that version already.

    `built`: a stack of the resource is recorded or a monitoring target is registered.

    | marked | what was done last                          | action         |
    |--------|---------------------------------------------|----------------|
    | any    | this very version                           | None           |
    | yes    | anything else                               | LOGICAL_DELETE |
    | no     | CREATE_FAILED, DELETE_COMPLETED             | CREATE         |
    | no     | *_COMPLETED, MODIFY_FAILED, DELETE_FAILED   | MODIFY         |
    | no     | READ_COMPLETE or nothing, `built`           | MODIFY         |
    | no     | READ_COMPLETE or nothing, not `built`       | CREATE         |
    """
    if realised is not None and realised.version == declared.version:
        return None
    if declared.marked_for_deletion:
        return Action.LOGICAL_DELETE
    done = realised.worker_state if realised is not None else ""
    if done in _NOTHING:
        return Action.CREATE
    return Action.MODIFY if done in _EXISTS or built else Action.CREATE
