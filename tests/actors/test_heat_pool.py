"""What the HeatActor does with stacks, whatever it finds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.core.drift import Drift, Expected
from actors.core.errors import SAID_MAX, ErrorClass
from actors.core.keys import stack_name
from actors.core.model import Action, Param, ParamType
from actors.core.options import Options
from actors.core.stackdrive import Seen
from actors.heat_drive import Drive
from actors.messages import HeatCompare, HeatCompared, HeatDone, HeatFailed, HeatRequest
from actors.ports import REQUEST_ID, Stack, StackSpec
from sim import fake_stacks
from sim.heat.engine import Fate, Request
from sim.heat.outputs import resolve
from tests.actors import heat_rig
from tests.actors.heat_rig import CALL_S, CREATE, GONE, TEMPLATE, Rig, calls_take_time, ref

__all__ = ["calls_take_time"]


def test_a_create_costs_few_requests_and_tells_outputs() -> None:
    """Look, create, a few questions, look, outputs; the answer carries Heat's words and values."""
    rig = Rig()
    rig.ask("a")
    answer = rig.done("a")
    assert (answer.status, answer.reason) == ("CREATE_COMPLETE", "Stack CREATE completed successfully")
    assert [one["output_value"] for one in answer.outputs] == ["value 1"]
    asked = rig.stacks.requests
    assert (asked["find"], asked["create"], asked["get"]) == (2, 1, 1)
    assert asked["in_progress"] <= 10


def test_a_stack_that_never_ends_is_reported() -> None:
    """A dead engine leaves IN_PROGRESS for ever: our own deadline ends the waiting, with its status."""
    rig = Rig(Options(types=(), heat_grace_s=30.0))
    rig.fates["CREATE"] = Fate.STUCK
    rig.ask("a")
    rig.run(629.0, 1.0)
    assert "a" not in rig.answers
    assert {one.status for one in rig.told[1:]} == {"CREATE_IN_PROGRESS"} or rig.told
    rig.run(10.0, 1.0)
    answer = rig.done("a")
    assert (answer.failure.error_class, answer.failure.kind) == (ErrorClass.TERMINAL, "HeatTimeout")


def test_the_latest_request_for_a_stack_wins() -> None:
    """A later version takes the stack over, even while a call of the earlier one is under way."""
    rig = Rig()
    rig.ask("old", version=1)
    rig.host.advance(CALL_S * 1.5)  # its POST is under way
    rig.ask("new", version=2)
    rig.ask("newest", version=3)
    answer = rig.done("newest")
    assert [one["output_value"] for one in answer.outputs] == ["value 3"]
    assert set(rig.answers) == {"newest"}
    assert rig.stacks.requests["create"] == 1
    assert rig.stacks.requests["update"] == 1


def test_a_delete_that_fails_is_tried_again_and_then_reported() -> None:
    """DELETE_FAILED is cured by a second DELETE where that helps, else told with Heat's reason."""
    rig = Rig()
    rig.ask("made")
    rig.done("made")
    rig.fates["DELETE"] = Fate.FAIL
    rig.ask("first", version=2, action=GONE)
    failed = rig.done("first")
    assert (failed.failure.error_class, failed.failure.kind) == (ErrorClass.TERMINAL, "StackFailed")
    assert "injected failure" in failed.failure.text
    assert rig.stacks.requests["delete"] == 5
    rig.ask("second", version=3, action=GONE)
    rig.run(4.0)
    rig.fates.clear()
    assert rig.done("second").status == "DELETE_COMPLETE"


def test_an_endless_reason_is_cut() -> None:
    """What Heat says of a failure is told with its beginning, its end and its length, and is no burden to anybody."""
    rig = Rig()
    rig.stacks.engine._changed = lambda record: setattr(
        record, "reason", record.reason + " so" * 1_000_000 + " it ends"
    )
    rig.fates["CREATE"] = Fate.FAIL
    rig.ask("a")
    text = rig.done("a").failure.text
    assert len(text) < SAID_MAX + 100
    assert text.startswith("CREATE_FAILED: Resource CREATE failed: Error: resources: injected failure so so")
    assert text.endswith(" so it ends")


def test_half_a_letter_in_a_reason_is_told_as_such() -> None:
    """What Heat says can be written down, whatever its JSON held."""
    rig = Rig()
    rig.stacks.engine._changed = lambda record: setattr(record, "reason", "it is \ud800")
    rig.fates["CREATE"] = Fate.FAIL
    rig.ask("a")
    assert rig.done("a").failure.text == "CREATE_FAILED: it is \\ud800"


@pytest.mark.parametrize("template", [TEMPLATE, TEMPLATE.replace("type: string", "type: string, default: d")])
def test_a_missing_output_is_an_error_or_left_to_the_default(template: str) -> None:
    """Without a default Heat is not asked and the error says what is missing; with one it is a warning (10.26)."""
    rig, needed = Rig(), ref(7)
    late = {"output_key": "id", **needed.to_json()}
    entry = Param("v", ParamType.OUTPUT_KEY, late).to_json()
    params = (Param("v", ParamType.LIST, [entry], (needed,)),)
    rig.host.tell(
        rig.heat, HeatRequest("r", ref(), 1, CREATE, "t", "vlan", template, params, {}), sender=rig.me
    )
    rig.run(5.0)
    said = f"parameter 'v': the stack of {needed} has no output 'id'"
    answer = rig.answers["r"][1]
    if template == TEMPLATE:
        assert isinstance(answer, HeatFailed) and not answer.failure.retryable
        assert str(answer.failure).startswith(f"MissingOutput: {ref()} template vlan: {said}")
        assert not rig.stacks.requests
    else:
        assert isinstance(answer, HeatDone) and answer.warnings == (said,)
        assert {one["output_value"] for one in answer.outputs} == {"d"}


@pytest.mark.parametrize("value", ["\ud800", float("nan"), json.loads("[" * 60 + "]" * 60)])
def test_outputs_that_cannot_be_recorded_are_a_failure(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that gives out what no record can hold fails with a reason; the next one is done as ever."""
    rig = Rig()
    monkeypatch.setattr(
        fake_stacks, "resolve", lambda record: [{**one, "output_value": value} for one in resolve(record)]
    )
    rig.ask("a")
    failed = rig.done("a").failure
    assert (failed.error_class, failed.kind) == (ErrorClass.TERMINAL, "BadOutputs")
    assert failed.text.startswith("what the stack gave out cannot be recorded: ")
    monkeypatch.undo()
    rig.ask("b", number=1)
    assert rig.done("b").status == "CREATE_COMPLETE"


def test_an_odd_stack_holds_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several that are looked at together one that cannot be judged fails by itself, and is tried again later."""
    rig = Rig()
    real = Drive.seen

    def seen(drive: Drive, stack: Stack) -> Seen:
        if drive.request.rid == "odd":
            raise ValueError("of a kind that nobody foresaw")
        return real(drive, stack)

    for number, rid in enumerate(("odd", "one", "two")):
        rig.ask(rid, number)
    rig.host.advance(CALL_S * 3)
    monkeypatch.setattr(Drive, "seen", seen)
    assert [rig.done(rid).status for rid in ("one", "two")] == ["CREATE_COMPLETE"] * 2
    assert (rig.done("odd").failure.error_class, rig.done("odd").failure.kind) == (
        ErrorClass.TRANSIENT,
        "ValueError",
    )


@pytest.mark.parametrize("action", [Action.MODIFY, GONE])
@pytest.mark.parametrize("value", ["own id", "another's id"])
def test_a_stack_without_tags_is_known_by_its_parameters(action: Action, value: str) -> None:
    """An operator's update drops the tags: the id of the resource among the parameters tells ours from others'."""
    rig = Rig()
    made = {"own id": ref(0).id, "another's id": ref(1).id}[value]
    document = {
        "heat_template_version": "2013-05-23",
        "parameters": {"v": {"type": "string"}},
        "resources": {"a": {"type": "ESI::Test::Knob", "properties": {"v": {"get_param": "v"}}}},
    }
    rig.stacks.create(StackSpec("t", stack_name(ref(0)), document, {"v": made}, 10))
    rig.run(3.0)
    rig.ask("a", version=2, action=action, value=ref(0).id)
    answer = rig.done("a")
    (left,) = rig.stacks.find("t", stack_name(ref(0))) or (None,)
    if value == "another's id":
        assert answer.failure.kind == "NotOurs"
        assert left is not None
        assert (left.action, left.tags) == ("CREATE", ())
    elif action is GONE:
        assert (answer.status, left) == ("DELETE_COMPLETE", None)
    else:
        assert left is not None
        assert (answer.status, left.tags) == ("UPDATE_COMPLETE", ("gatewright", "v2"))


@pytest.mark.parametrize("outputs", [True, False])
def test_a_stack_of_another_life_at_the_same_version_is_updated(
    outputs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Etcd was lost and versions began anew: a complete stack of other values is not taken for ours, one of ours is."""
    if not outputs:
        monkeypatch.setattr(heat_rig, "TEMPLATE", TEMPLATE.partition("outputs:")[0])
    rig = Rig()
    rig.ask("theirs", value="old")
    rig.done("theirs")
    rig.ask("same", value="old")
    assert rig.done("same").status == "CREATE_COMPLETE"
    rig.ask("ours", value="new")
    assert rig.done("ours").status == "UPDATE_COMPLETE"
    (record,) = rig.stacks.engine.living("t")
    assert record.given == {"v": "new"}
    assert rig.stacks.requests["update"] == 1


def test_twins_are_settled_and_told() -> None:
    """Two stacks of one name: the younger goes, and the answer says so."""
    rig = Rig()
    rig.ask("made")
    rig.done("made")
    record = next(iter(rig.stacks.engine.living("t")))
    request = Request(record.template.document, record.given, 10, True, ("gatewright", "v1"))
    rig.stacks.engine.create("t", record.name, request, twin=True)
    rig.ask("again", version=2)
    answer = rig.done("again")
    assert any("2 stacks are named" in warning for warning in answer.warnings)
    assert [one.id for one in rig.stacks.find("t", record.name)] == [record.id]


def test_every_request_of_a_version_bears_its_id() -> None:
    """Writes and outputs carry the correlation id of the resource version."""
    rig = Rig()
    seen: list[str] = []
    create = rig.stacks.create

    def noted(spec: StackSpec) -> str:
        seen.append(REQUEST_ID.get())
        return create(spec)

    rig.stacks.create = noted  # type: ignore[method-assign]
    rig.ask("a")
    rig.done("a")
    assert len(seen[0]) == len("req-") + 36


def test_settled_stacks_are_compared() -> None:
    """What vanished, was changed, failed or lost its marks is found by one question; the rest is silent."""
    rig = Rig()
    for number in range(4):
        rig.ask(f"{number}", number)
        rig.done(f"{number}")
    expected = tuple(Expected(ref(number), 1, "CREATE_COMPLETE") for number in range(4))

    def compare(rid: str, expected: tuple[Expected, ...]) -> HeatCompared:
        rig.host.tell(rig.heat, HeatCompare(rid, "t", expected), sender=rig.me)
        answer = rig.done(rid)
        assert isinstance(answer, HeatCompared)
        return answer

    before = rig.stacks.requests["find"]
    first = compare("c1", expected)
    assert (first.findings, first.failure) == ((), None)
    assert rig.stacks.requests["find"] == before + 1
    by_name = {one.name: one for one in rig.stacks.engine.living("t")}
    rig.stacks.delete("t", stack_name(ref(0)), by_name[stack_name(ref(0))].id)
    spec = StackSpec("t", stack_name(ref(1)), by_name[stack_name(ref(1))].template.document, {"v": "x"}, 10)
    rig.stacks.update(spec, by_name[stack_name(ref(1))].id)
    rig.stacks.engine.act(by_name[stack_name(ref(2))], "CHECK")
    rig.run(5.0)
    second = compare("c2", first.expected)
    assert {(one.ref, one.drift) for one in second.findings} == {
        (ref(0), Drift.VANISHED),
        (ref(1), Drift.FOREIGN),
        (ref(2), Drift.CHANGED),
    }
    rig.down = True
    failed = compare("c3", first.expected)
    assert failed.failure is not None
    assert failed.expected == first.expected


def test_a_request_that_came_too_late_blames_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The stack is at a later version, with all of its tags: nobody is said to have dropped them."""
    rig = Rig()
    for rid, version in (("newer", 3), ("late", 2)):
        rig.ask(rid, version=version, value=ref(0).id)
        rig.done(rid)
    assert (rig.answers["late"][1].failure.kind, rig.answers["late"][1].shown) == ("Superseded", 3)
    assert "somebody" not in caplog.text
    assert rig.stacks.requests["get"] == 1
