"""A write whose answer was lost, or that was refused: what a stack looked like before is not taken for its outcome."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.errors import ErrorClass, PortError
from actors.core.model import Action
from actors.heat_pool import WRITES_MAX
from sim.heat.engine import Fate, Request
from tests.actors.heat_rig import GONE, Rig, calls_take_time

__all__ = ["calls_take_time"]

MODIFY = Action.MODIFY


def lose(rig: Rig, point: str, error_class: ErrorClass = ErrorClass.IN_DOUBT, times: int = 1) -> None:
    """The next requests of that kind end so."""
    left = [point] * times

    def fault(at: str, _name: str) -> None:
        if at in left:
            left.remove(at)
            raise PortError(error_class, "HTTP503", "no server is available")

    rig.stacks._fault = fault


def made(*, failed: bool = False) -> Rig:
    """A stack at version 1, or one whose update to version 2 has failed."""
    rig = Rig()
    rig.ask("made")
    rig.done("made")
    if failed:
        rig.fates["UPDATE"] = Fate.FAIL
        rig.ask("failed", version=2, action=MODIFY)
        assert rig.done("failed").failure.kind == "StackFailed"
        rig.fates.clear()
    return rig


@pytest.mark.parametrize("error_class", [ErrorClass.IN_DOUBT, ErrorClass.CONFLICT])
def test_an_old_failure_is_not_the_outcome_of_an_update_that_never_arrived(error_class: ErrorClass) -> None:
    """The version failed before and is tried again: a lost or refused PUT is sent once more, and counts then."""
    rig = made(failed=True)
    lose(rig, "update", error_class)
    rig.ask("again", version=2, action=MODIFY)
    answer = rig.done("again")
    assert (answer.status, answer.outputs[0]["output_value"]) == ("UPDATE_COMPLETE", "value 2")


def test_an_update_that_never_arrived_does_not_rebuild() -> None:
    """Asked to build a version once more, the stack is not done before Heat has taken the update."""
    rig = made()
    lose(rig, "update")
    rig.ask("again", version=1, action=MODIFY, again=True)
    assert rig.done("again").status == "UPDATE_COMPLETE"


@pytest.mark.parametrize("point", ["update.done", "create.done"])
def test_a_failure_after_a_lost_answer_is_the_outcome(point: str) -> None:
    """The write did arrive, and what it led to is told after one attempt."""
    rig: Any = made(failed=True) if point == "update.done" else Rig()
    before = dict(rig.stacks.requests)
    action = point.removesuffix(".done")
    rig.fates[action.upper()] = Fate.FAIL
    lose(rig, point)
    rig.ask("again", version=2, action=MODIFY)
    answer = rig.done("again")
    assert answer.failure.text.startswith(f"{action.upper()}_FAILED: ")
    assert rig.stacks.requests[action] == before.get(action, 0) + 1
    assert "delete" not in rig.stacks.requests


def test_an_old_failure_is_not_the_outcome_of_deletes_that_never_arrived() -> None:
    """A stack that could not be deleted before, and a Heat that takes no DELETE now: that is told, and tried again."""
    rig = made()
    rig.fates["DELETE"] = Fate.FAIL
    rig.ask("first", version=2, action=GONE)
    assert rig.done("first").failure.error_class is ErrorClass.TERMINAL
    rig.fates.clear()
    lose(rig, "delete", times=100)
    rig.ask("second", version=2, action=GONE)
    failure = rig.done("second").failure
    assert (failure.error_class, failure.kind) == (ErrorClass.IN_DOUBT, "HTTP503")


def test_a_remnant_that_goes_late_is_no_failure_to_delete() -> None:
    """When the last DELETE that a request may send succeeds, what it says is not that the stack cannot be deleted."""
    rig = Rig()
    rig.fates["CREATE"] = Fate.FAIL
    rig.ask("failed")
    rig.done("failed")
    fates = [*[Fate.FAIL] * (WRITES_MAX - 1), Fate.NATURAL]
    rig.stacks._fate = lambda action, name: fates.pop(0) if action == "DELETE" else Fate.NATURAL
    rig.ask("again")
    answer = rig.done("again")
    assert answer.failure.retryable
    assert "DELETE_FAILED" not in answer.failure.text
    assert not list(rig.stacks.engine.living("t"))
    rig.ask("once more")
    assert rig.done("once more").status == "CREATE_COMPLETE"


def test_a_twin_that_cannot_be_deleted_is_the_reason() -> None:
    """The older stack works, the younger one does not go: Heat's word about the younger is told, after patience."""
    rig = made()
    (record,) = rig.stacks.engine.living("t")
    request = Request(record.template.document, record.given, 10, True, record.tags)
    rig.stacks.engine.create("t", record.name, request, twin=True)
    rig.fates["DELETE"] = Fate.FAIL
    began = rig.host.now
    rig.ask("next", version=2, action=MODIFY)
    failure = rig.done("next").failure
    assert (failure.error_class, failure.kind) == (ErrorClass.TERMINAL, "StackFailed")
    assert failure.text.startswith("DELETE_FAILED: Resource DELETE failed")
    assert rig.host.now - began > 30.0


def test_a_stack_that_goes_away_before_its_update_is_built_anew() -> None:
    """Somebody begins to delete it after the look and before the PUT, which Heat refuses: that is no end."""
    rig = made()
    (record,) = rig.stacks.engine.living("t")
    left = ["update"]

    def fault(at: str, _name: str) -> None:
        if at in left:
            left.remove(at)
            rig.stacks.engine.delete(record)

    rig.stacks._fault = fault
    rig.ask("next", version=2, action=MODIFY)
    assert rig.done("next").status == "CREATE_COMPLETE"
    (after,) = rig.stacks.engine.living("t")
    assert (after.id != record.id, after.tags) == (True, ("gatewright", "v2"))


def test_a_stack_that_is_deleted_while_it_is_built_is_built_anew() -> None:
    """Heat tells for a moment that the create was cancelled: the delete is what there is to it."""
    rig = Rig()
    rig.fates["CREATE"] = Fate.STUCK
    rig.ask("a")
    rig.run(3.0)
    rig.fates.clear()
    (record,) = rig.stacks.engine.living("t")
    record.outcome = ("FAILED", "Stack CREATE cancelled")
    rig.stacks.engine._finish(record, rig.host.now)
    rig.run(1.5)
    assert not rig.answers
    rig.stacks.engine.delete(record)
    assert rig.done("a").status == "CREATE_COMPLETE"
    assert rig.stacks.requests["create"] == 2


def test_an_update_that_somebody_cancelled_has_failed() -> None:
    """Looked at once more, it still is cancelled: that is told, and Heat is not asked for it again."""
    rig = made()
    rig.fates["UPDATE"] = Fate.STUCK
    rig.ask("next", version=2, action=MODIFY)
    rig.run(3.0)
    (record,) = rig.stacks.engine.living("t")
    rig.stacks.engine.cancel_update(record, rollback=False)
    assert str(rig.done("next").failure) == "StackFailed: UPDATE_FAILED: Stack UPDATE cancelled"
    assert rig.stacks.requests["update"] == 1
