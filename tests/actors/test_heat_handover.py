"""A HeatActor whose resources go to another controller lets go of them, and says when nothing is under way."""

from __future__ import annotations

import pytest

from actors.core.ownership import VSHARDS, vshard
from actors.messages import HeatDone, Owned, Rested, Tenure
from tests.actors.heat_rig import CALL_S, CREATE, STACK_S, Rig, calls_take_time, ref

__all__ = ["calls_take_time"]


def at_work() -> tuple[Rig, Owned]:
    """A HeatActor with a stack whose create is under way, and what tells it that this resource leaves."""
    rig = Rig()
    rig.ask("a")
    rig.run(CALL_S * 1.5)  # looked: the create is on its way
    number = vshard(str(ref()))
    return rig, Owned({number: 1}, frozenset({number}), 5)


@pytest.mark.parametrize("newer", [False, True])
def test_a_resource_that_leaves_is_let_go_of_when_the_call_under_way_has_returned(newer: bool) -> None:
    """A create that was sent is waited for, then said to rest, also if a newer version waits behind it; nobody is told
    how it ended, and Heat is asked no more about it."""
    rig, owned = at_work()
    if newer:
        rig.ask("b", version=2)
    bridge = rig.host.external("bridge")
    rig.host.tell(rig.heat, owned, sender=bridge)
    rig.run(0.02, 0.01)
    assert rig.host.take(bridge) == []
    rig.run(CALL_S)
    assert rig.host.take(bridge) == [Rested(5)]
    calls = len(rig.stacks.engine._names)
    rig.run(3 * STACK_S)
    assert rig.answers == {}
    assert calls == 1


def test_what_is_idle_rests_at_once() -> None:
    """Nothing about what leaves is under way: there is nothing to wait for; what stays goes on."""
    rig = Rig()
    rig.ask("a")
    number = vshard(str(ref()))
    bridge = rig.host.external("bridge")
    free = (number + 1) % VSHARDS
    rig.host.tell(rig.heat, Owned({number: 1, free: 1}, frozenset({free}), 2), sender=bridge)
    rig.run(0.01, 0.01)
    assert rig.host.take(bridge) == [Rested(2)]
    assert isinstance(rig.done("a"), HeatDone)


def test_it_begins_anew_if_the_resource_stays() -> None:
    """The same request again, while the call of the one that was let go is under way: it takes turns with that
    call, and ends in one stack."""
    rig, owned = at_work()
    bridge = rig.host.external("bridge")
    rig.host.tell(rig.heat, owned, sender=bridge)
    rig.host.tell(rig.heat, Owned(owned.terms, frozenset(), 6), sender=bridge)
    rig.ask("a", action=CREATE)
    assert isinstance(rig.done("a"), HeatDone)
    (stack,) = rig.stacks.find("t", f"network_{ref().id}")
    assert (stack.action, stack.status) == ("CREATE", "COMPLETE")


def test_heat_is_not_asked_for_what_is_not_ours() -> None:
    """Ownership was lost: what waits for its stack is forgotten without an answer."""
    rig, _ = at_work()
    rig.run(CALL_S * 2)
    rig.host.tell(rig.heat, Owned({}), sender=rig.host.external("bridge"))
    rig.run(3 * STACK_S)
    assert rig.answers == {}


@pytest.mark.parametrize("newest", [7, 8])
def test_what_was_said_before_an_ownership_does_not_end_it(newest: int) -> None:
    """While a controller takes its share, piece by piece, a shard may hear of the next piece and ask for something in
    it before this actor has heard of the last one, which knows nothing of the request. A later word ends it."""
    rig, number = Rig(), vshard(str(ref()))
    free, bridge = (number + 1) % VSHARDS, rig.host.external("bridge")
    rig.host.tell(rig.heat, Tenure({number: 8}, 1e9), sender=bridge)
    rig.ask("a", term=8)
    rig.run(CALL_S * 1.5)
    rig.host.tell(rig.heat, Owned({free: 7}, newest=newest), sender=bridge)
    rig.run(3 * STACK_S)
    assert ("a" in rig.answers) is (newest < 8)
