"""Updates and deletions: of two of which one refers to the other, what was declared before is planned before (2.5)."""

from __future__ import annotations

import pytest

from actors.core import keys
from actors.core.model import Ref, Workflow
from actors.core.ordering import Held, is_unplanned
from tests.core.mirror import GATEWAY, NET, PORT, Mirror
from tests.core.test_ordering import GONE, MODIFY, MUTUAL, plan, planned


@pytest.fixture
def built() -> Mirror:
    """A network, a port on it and a gateway, all built."""
    mirror = Mirror()
    for ref in (NET, PORT, GATEWAY):
        mirror.declare(ref)
        mirror.settle(ref)
    return mirror


def test_an_update_that_was_declared_later_is_not_waited_for(built: Mirror) -> None:
    """Contract 2.5: what its users need stands, and the update itself waits for them."""
    port = built.declare(PORT, 2)
    built.declare(NET, 2)
    assert planned(built, port, MODIFY).external == ()


@pytest.mark.parametrize("marked", [False, True], ids=["update", "deletion"])
def test_users_that_were_declared_before_are_planned_before(built: Mirror, marked: bool) -> None:
    """An update or a deletion waits for the jobs of whoever uses it, those that are about to come included."""
    built.declare(PORT, 2)
    net = built.declare(NET, 2, marked=marked)
    action = GONE if marked else MODIFY
    reason = "port:p, which refers to it, was declared before and is not planned yet"
    assert plan(built, net, action) == Held(reason, (PORT,), bounded=False, ordered=True)
    job = built.job(PORT, 2, action=MODIFY, refers=[NET])
    assert planned(built, net, action).external == (job,)
    built.declare(GATEWAY, 2)
    assert planned(built, net, action).external == (job,)


def test_a_user_whose_deletion_was_declared_before_is_planned_before(built: Mirror) -> None:
    """An update waits for the deletion of whoever uses it, as for any other of its jobs (contract 2.5, consumers)."""
    built.declare(PORT, 2, marked=True)
    net = built.declare(NET, 2)
    reason = "port:p, which refers to it, was declared before and is not planned yet"
    assert plan(built, net, MODIFY) == Held(reason, (PORT,), bounded=False, ordered=True)
    job = built.job(PORT, 2, action=GONE, refers=[NET])
    assert planned(built, net, MODIFY).external == (job,)


def test_a_deletion_that_cannot_be_planned_now_holds_no_update(built: Mirror) -> None:
    """Nor does one that was declared later, that is paused or that is done."""
    net = built.declare(NET, 2)
    built.declare(PORT, 2, marked=True)
    assert isinstance(plan(built, net, MODIFY), Workflow)
    net = built.declare(NET, 3)
    assert isinstance(plan(built, net, MODIFY), Held)
    built.put(keys.PAUSE + "type/port", b"{}")
    assert isinstance(plan(built, net, MODIFY), Workflow)
    built.world.delete(keys.PAUSE + "type/port")
    built.settle(PORT, 2)
    assert isinstance(plan(built, net, MODIFY), Workflow)


def test_a_deletion_that_waits_for_another_holds_no_update() -> None:
    """It is planned only after those that use it: the update would wait for what may come later still."""
    mirror = Mirror(port={"net": "Mnet:net_id:id"}, gateway={"port": "Mport:port_id:id"})
    for ref in (NET, PORT, GATEWAY):
        mirror.declare(ref)
        mirror.settle(ref)
    mirror.declare(PORT, 2, marked=True)
    net = mirror.declare(NET, 2)
    assert isinstance(plan(mirror, net, MODIFY), Held)
    mirror.declare(GATEWAY, 2, marked=True)
    assert isinstance(plan(mirror, net, MODIFY), Workflow)


def test_whatever_a_user_waits_for_is_planned_before_as_well() -> None:
    """The whole chain that was declared before the update is waited for, so that news of each of it is heard."""
    mirror, other = Mirror(gateway={"net": "Mnet:net_id:id", "port": "Mport:port_id:id"}), Ref("net", "m")
    for ref in (NET, PORT, GATEWAY):
        mirror.declare(ref)
        mirror.settle(ref)
    body = {"id": "m", "name": "two"}
    mirror.put(keys.CONFIG + mirror.world.types.path(other), keys.encode_declared(body, 1))
    mirror.declare(GATEWAY, 2, net_id="m")
    made = plan(mirror, mirror.declare(PORT, 2, gateway_id=None), MODIFY)
    assert isinstance(made, Held)
    assert made.awaits == (GATEWAY, other)


def test_a_user_that_waits_for_what_is_declared_later_is_not_waited_for(built: Mirror) -> None:
    """Nor one that an operator has paused, or that has jobs already: nobody waits in a ring, or for people."""
    built.declare(PORT, 2, net_id="late")
    net = built.declare(NET, 2)
    assert isinstance(plan(built, net, MODIFY), Workflow)
    built.declare(PORT, 3)
    net = built.declare(NET, 3)
    assert isinstance(plan(built, net, MODIFY), Held)
    built.put(keys.PAUSE + "type/port", b"{}")
    assert isinstance(plan(built, net, MODIFY), Workflow)
    built.world.delete(keys.PAUSE + "type/port")
    built.declare(PORT, 4, marked=True)
    assert isinstance(plan(built, net, MODIFY), Workflow)


def test_updates_of_two_that_refer_to_each_other_are_no_cycle() -> None:
    """Each update in its turn, as if one had been handled before the other was declared."""
    mirror = Mirror(**MUTUAL)
    mirror.declare(PORT, gateway_id=None)
    mirror.declare(GATEWAY, port_id=None)
    for ref in (PORT, GATEWAY):
        mirror.settle(ref)
    port, gateway = mirror.declare(PORT, 2), mirror.declare(GATEWAY, 2)
    assert isinstance(plan(mirror, gateway, MODIFY), Held)
    assert planned(mirror, port, MODIFY).external == ()
    job = mirror.job(PORT, 2, action=MODIFY, refers=[GATEWAY])
    assert planned(mirror, gateway, MODIFY).external == (job,)


def test_what_is_declared_anew_is_unplanned_at_any_version(built: Mirror) -> None:
    """A new life begins at version 1, whatever the last one came to."""
    built.declare(NET, 5, marked=True)
    built.settle(NET, 5)
    built.declare(NET, 1)
    assert is_unplanned(built.world, NET)
