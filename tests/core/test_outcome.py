"""The words of `/state`, the choice of the action, and cycles."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.errors import ErrorClass, Failure
from actors.core.graph import find_cycle, show_cycle
from actors.core.model import Action, Declared, Handler, Job, Ref
from actors.core.outcome import (
    Realised,
    choose_action,
    completed_state,
    error_text,
    failed_state,
    orchestration_state,
    stack_was_built,
    workflow_action,
)

REF = Ref("port", "p")


@pytest.mark.parametrize(
    ("done", "built", "marked", "action"),
    [
        (None, False, False, Action.CREATE),
        (None, True, False, Action.MODIFY),
        ((1, "READ_COMPLETE"), False, False, Action.CREATE),
        ((1, "READ_COMPLETE"), True, False, Action.MODIFY),
        ((1, "CREATE_COMPLETED"), False, False, Action.MODIFY),
        ((1, "MODIFY_COMPLETED"), False, False, Action.MODIFY),
        ((1, "MODIFY_FAILED"), False, False, Action.MODIFY),
        ((1, "DELETE_FAILED"), False, False, Action.MODIFY),
        ((1, "CREATE_FAILED"), False, False, Action.CREATE),
        ((1, "CREATE_FAILED"), True, False, Action.CREATE),
        ((1, "DELETE_COMPLETED"), True, False, Action.CREATE),
        ((9, "CREATE_COMPLETED"), False, False, Action.MODIFY),
        ((2, "CREATE_COMPLETED"), True, False, None),
        ((2, "CREATE_FAILED"), True, False, None),
        (None, False, True, Action.LOGICAL_DELETE),
        ((1, "CREATE_FAILED"), False, True, Action.LOGICAL_DELETE),
        ((2, "DELETE_COMPLETED"), False, True, None),
    ],
)
def test_action_follows_from_what_was_done(
    done: tuple[int, str] | None, built: bool, marked: bool, action: Action | None
):
    """Every row of the table of `choose_action`, for version 2."""
    realised = Realised(*done) if done is not None else None
    assert choose_action(Declared(REF, 2, {}, marked), realised, built=built) is action


@pytest.mark.parametrize(
    ("action", "completed", "failed", "complete", "error"),
    [
        (Action.CREATE, "CREATE_COMPLETED", "CREATE_FAILED", "CREATE_COMPLETE", "CREATE_ERROR"),
        (Action.MODIFY, "MODIFY_COMPLETED", "MODIFY_FAILED", "UPDATE_COMPLETE", "MODIFY_ERROR"),
        (Action.LOGICAL_DELETE, "DELETE_COMPLETED", "DELETE_FAILED", "DELETE_COMPLETE", "DELETE_ERROR"),
    ],
)
def test_words(action: Action, completed: str, failed: str, complete: str, error: str):
    """The vocabulary of contract 5.5 and 10.3, with its inconsistencies (quirk 5)."""
    assert (completed_state(action), failed_state(action)) == (completed, failed)
    assert orchestration_state(action, ok=True) == complete
    assert orchestration_state(action, ok=False) == error


def _job(action: Action, *dependency: str) -> Job:
    return Job(f"{action}:x", action, Handler.HEAT, REF, 2, {}, dependency=dependency)


def test_action_of_a_workflow_that_has_begun():
    """Finished jobs are gone, but the ids in the dependencies still tell what the whole was."""
    before = ("delete:monitoring_worker:port:p:2:aaaaa", "modify:heat_worker:port:p:2:bbbbb")
    assert workflow_action([_job(Action.CREATE, *before)]) is Action.MODIFY
    assert workflow_action([_job(Action.CREATE, "modify:heat_worker:net:n:2:ccccc")]) is Action.CREATE
    assert workflow_action([_job(Action.MODIFY)]) is Action.MODIFY
    assert workflow_action([_job(Action.LOGICAL_DELETE)]) is Action.LOGICAL_DELETE


A, B, C, D = (Ref("t", name) for name in "abcd")


@pytest.mark.parametrize(
    ("edges", "cycle"),
    [
        ({}, None),
        ({A: (B, C), B: (D,), C: (D,)}, None),
        ({A: (A,)}, (A, A)),
        ({A: (B,), B: (C,), C: (A,)}, (A, B, C, A)),
        ({A: (D, B), B: (C,), C: (B,)}, (B, C, B)),
        ({B: (C,), C: (B,)}, None),
    ],
)
def test_cycles(edges: dict[Ref, tuple[Ref, ...]], cycle: tuple[Ref, ...] | None):
    """A cycle that the start runs into is found and closed; others and diamonds are not reported."""
    assert find_cycle(edges, A) == cycle
    assert find_cycle(lambda ref: edges.get(ref, ()), A) == cycle


def test_long_chains_need_no_recursion():
    """A chain of 50,000 resources is walked, and shown as text when it closes."""
    chain = {Ref("t", str(n)): (Ref("t", str(n + 1)),) for n in range(50_000)}
    assert find_cycle(chain, Ref("t", "0")) is None
    assert show_cycle((A, B, A)) == "t:a → t:b → t:a"


@pytest.mark.parametrize(
    ("handler", "action", "results", "built"),
    [
        (Handler.HEAT, Action.CREATE, {}, False),
        (Handler.MONITORING, Action.DELETE, {}, False),  # the first job of an update
        (Handler.MONITORING, Action.CREATE, {}, False),  # there is no heat job
        (Handler.MONITORING, Action.CREATE, {"heat_outputs": []}, True),
    ],
)
def test_an_error_tells_whether_the_stack_was_built(
    handler: Handler, action: Action, results: dict[str, Any], built: bool
) -> None:
    """Only what failed after the heat job of that very version did not fail those who wait for its stack."""
    job = Job(f"{action}:{handler}:{REF}:2:abcde", action, handler, REF, 2, {})
    said = f"/config: it is {REF}: create:monitoring_worker:{REF}:2:abcde: no"
    error = error_text(Failure(ErrorClass.TERMINAL, "Boom", said), [job], results)
    assert error.startswith("Boom: ")
    assert error.endswith(said)
    assert stack_was_built(error, REF, 2) is built
    assert not stack_was_built(error, REF, 1)
    assert not stack_was_built(error, Ref("port", "q"), 2)
