"""What the HeatActor asks of Heat, of its own process, and of the patience of others: all of it is bounded."""

from __future__ import annotations

import threading

import pytest

from actors import heat_calls
from actors.core.errors import ErrorClass, PortError
from actors.core.options import Options
from actors.messages import HeatDone, HeatFailed
from actors.ports import Stack, StackSpec
from sim.heat.engine import Fate, Settings
from tests.actors import heat_rig
from tests.actors.heat_rig import HANGS, Rig, calls_take_time

__all__ = ["calls_take_time"]


def test_a_big_tenant_does_not_delay_a_small_one() -> None:
    """A thousand creates of one tenant delay another's single one by less than two job times."""
    alone = Rig()
    alone.ask("only", tenant="small")
    alone.done("only")
    job_s = alone.answers["only"][0]
    rig = Rig(Options(types=(), heat_threads=4, heat_stacks_max=40, heat_stacks_per_tenant_max=40))
    for number in range(1000):
        rig.ask(f"big {number}", number, tenant="big")
    rig.run(1.0)
    began = rig.host.now
    rig.ask("only", tenant="small")
    rig.done("only")
    assert rig.answers["only"][0] - began <= job_s + 2 * job_s
    assert len(rig.answers) < 500, "the big one is far from done"


def test_stacks_in_flight_are_bounded() -> None:
    """No more stacks are in Heat's hands than allowed, per tenant and in all; all are done in the end."""
    rig = Rig(Options(types=(), heat_stacks_max=5, heat_stacks_per_tenant_max=3))
    for number in range(12):
        rig.ask(f"{number}", number, tenant="ab"[number % 2])
    most = {"a": 0, "b": 0, "both": 0}
    while len(rig.answers) < 12:
        rig.run(0.1)
        counts = {tenant: len(list(rig.stacks.engine.running(tenant))) for tenant in "ab"}
        counts["both"] = counts["a"] + counts["b"]
        most = {key: max(most[key], counts[key]) for key in most}
        assert rig.host.now < 60
    assert most == {"a": 3, "b": 3, "both": 5}


def test_looks_are_shared() -> None:
    """A hundred creates at once are looked at in a handful of questions."""
    rig = Rig()
    for number in range(100):
        rig.ask(f"{number}", number)
    while len(rig.answers) < 100:
        rig.run(0.1)
    assert rig.stacks.requests["create"] == 100
    assert rig.stacks.requests["find"] <= 60, "of 200 looks"
    assert sum(rig.stacks.requests.values()) / 100 < 2.7


def test_while_heat_is_away_hardly_anything_is_asked_and_nothing_fails() -> None:
    """The breaker opens, people are told, and when Heat is back everything goes on by itself."""
    rig = Rig()
    rig.down = True
    for number in range(50):
        rig.ask(f"{number}", number, tenant=f"t{number}")
    rig.run(120.0, 1.0)
    failed = [rid for rid, (_, answer) in rig.answers.items() if isinstance(answer, HeatFailed)]
    assert len(failed) <= 5, "those that were on their way before it opened are the requester's"
    assert rig.stacks.requests["find"] <= 40
    assert "refused" in rig.told[-1].status
    (opened,) = rig.health()
    assert not opened.up
    assert 45 <= opened.waiting + opened.under_way <= 50
    rig.down = False
    while len(rig.answers) < 50:
        rig.run(1.0)
        assert rig.host.now < 200
    assert sum(isinstance(answer, HeatDone) for _, answer in rig.answers.values()) == 50 - len(failed)
    (closed,) = rig.health()
    assert closed.up


def test_the_time_without_heat_is_not_held_against_a_stack() -> None:
    """A stack whose deadline passed while Heat was away is not given up."""
    rig = Rig(Options(types=(), heat_grace_s=1.0))
    rig.ask("a")
    rig.run(0.5)
    rig.down = True
    rig.run(3600.0, 5.0)
    assert "a" not in rig.answers
    rig.down = False
    assert isinstance(rig.done("a"), HeatDone)


def test_heat_has_its_full_time_for_each_action() -> None:
    """What a stack was busy with before, and what had to be deleted first, is not taken off the time of the update."""
    rig = Rig(Options(types=(), heat_grace_s=10.0))
    rig.stacks.engine.settings = Settings(extra_s=lambda action, name: 400.0)
    rig.ask("first")
    rig.run(5.0)
    rig.ask("second", version=2)
    assert isinstance(rig.done("second", 900.0), HeatDone)
    assert rig.host.now > 800.0


def test_an_answer_that_is_on_its_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack is complete in time and Heat computes its outputs when time runs out: that is no time-out."""
    rig = Rig(Options(types=(), heat_grace_s=1.0))
    rig.stacks.engine.settings = Settings(extra_s=lambda action, name: 598.0)
    get = rig.stacks.get

    def slow(tenant: str, name: str, stack_id: str, *, outputs: bool) -> Stack:
        monkeypatch.setattr(heat_rig, "CALL_S", 40.0)
        return get(tenant, name, stack_id, outputs=outputs)

    monkeypatch.setattr(rig.stacks, "get", slow)
    rig.ask("a")
    assert isinstance(rig.done("a", 700.0), HeatDone)
    assert rig.host.now > 635.0


def test_what_takes_too_long_is_named() -> None:
    """Of an update that never ends is told that it is one, while it lasts and in the end."""
    rig = Rig(Options(types=(), heat_grace_s=10.0))
    rig.ask("made")
    rig.done("made")
    rig.fates["UPDATE"] = Fate.STUCK
    rig.ask("stuck", version=2)
    failure = rig.done("stuck", 700.0).failure
    assert failure.kind == "HeatTimeout"
    assert "is still UPDATE_IN_PROGRESS after its time-out" in failure.text
    assert {one.status for one in rig.told[2:]} == {"UPDATE_IN_PROGRESS"}


def test_a_heat_that_refuses_to_tell_is_named() -> None:
    """Who waits for a stack about which Heat refuses to speak says so at once, and again when time is over."""
    rig = Rig(Options(types=(), heat_grace_s=10.0))
    rig.fates["CREATE"] = Fate.STUCK
    rig.ask("a")
    rig.run(5.0)

    def fault(point: str, _name: str) -> None:
        if point == "in_progress":
            raise PortError(ErrorClass.TERMINAL, "Forbidden", "You are not authorized to use stacks:index.")

    rig.stacks._fault = fault
    failure = rig.done("a", 700.0).failure
    said = "asked how it is, Heat says Forbidden: You are not authorized to use stacks:index."
    assert failure.kind == "HeatTimeout"
    assert failure.text.endswith(f"was CREATE_IN_PROGRESS when last seen, and its time is over: {said}")
    assert {one.status for one in rig.told[2:]} == {f"CREATE_IN_PROGRESS ({said})"}


def test_a_sign_of_life_every_few_seconds() -> None:
    """Whoever waits hears at least every ten seconds, also while it waits for its turn."""
    rig = Rig(Options(types=(), heat_stacks_max=1, heat_stacks_per_tenant_max=1))
    rig.fates["CREATE"] = Fate.STUCK
    rig.ask("first", 1)
    rig.ask("second", 2)
    rig.run(61.0, 0.5)
    for rid in ("first", "second"):
        assert sum(one.rid == rid for one in rig.told) >= 5
    assert any("waits for its turn" in one.status for one in rig.told if one.rid == "second")


def test_a_hung_call_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that never returns is given up in time; others go on meanwhile; the stack is still made once."""
    rig = Rig(Options(types=(), heat_threads=2, heat_call_max_s=20.0))
    create, hung = rig.stacks.create, threading.Event()

    def hangs(spec: StackSpec) -> str:
        made = create(spec)
        if not hung.is_set():
            hung.set()
            return HANGS  # type: ignore[no-any-return]  # the fixture knows it
        return made

    monkeypatch.setattr(rig.stacks, "create", hangs)
    rig.ask("hangs", 1, tenant="a")
    rig.run(1.0)
    rig.ask("goes on", 2, tenant="b")
    assert isinstance(rig.done("goes on", 10.0), HeatDone)
    assert isinstance(rig.done("hangs", 40.0), HeatDone)
    assert rig.stacks.requests["create"] == 2


def test_too_many_hung_calls_end_the_process() -> None:
    """When its threads are used up the actor gives itself up: the supervisor starts another."""
    rig = Rig(Options(types=(), heat_threads=1, heat_call_max_s=1.0))
    rig.stacks.find = lambda tenant, *names: HANGS  # type: ignore[method-assign]
    for number in range(heat_calls.HUNG_TIMES):
        assert rig.host.alive(rig.heat)
        rig.ask(f"{number}", number)
        rig.run(10.0, 1.0)
    assert not rig.host.alive(rig.heat)
