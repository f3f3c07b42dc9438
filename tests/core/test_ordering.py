"""When a declaration can be planned: what it sees, what it waits for, whatever the timing; and cycles."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from actors.core import keys
from actors.core.model import Action, Declared, Handler, Ref, Workflow
from actors.core.ordering import (
    Held,
    find_cycle,
    is_unplanned,
    try_plan,
)
from actors.core.plan import Jobless, PlanError
from actors.core.referring import referrers_to_delete
from tests.core.mirror import GATEWAY, HEAT, NET, PORT, QUOTA, Mirror

CREATE, MODIFY, GONE = Action.CREATE, Action.MODIFY, Action.LOGICAL_DELETE
#: A port that needs its gateway, which needs the port.
MUTUAL: dict[str, Any] = {
    "port": {"gateway": {"field": "id", "path": [{"type": "gateway", "id": "gateway_id"}]}},
    "gateway": {"port": "Mport:port_id:id"},
}
#: A network that needs a gateway that needs a port that needs the network.
RING: dict[str, Any] = {
    **MUTUAL,
    "port": {"net": "Mnet:net_id:id"},
    "net": {"name": {"field": "id", "path": [{"type": "gateway", "id": "name"}]}},
}


@pytest.fixture
def mirror() -> Mirror:
    """Templates only."""
    return Mirror()


def plan(mirror: Mirror, declared: Declared, action: Action = CREATE) -> Workflow | Jobless | Held:
    """Try to plan the first version, or the deletion of something built."""
    built = frozenset({HEAT}) if action is GONE else frozenset[Handler]()
    return try_plan(mirror.world, declared, None, action, built=built)


def planned(mirror: Mirror, declared: Declared, action: Action = CREATE) -> Workflow:
    """The workflow, which there must be."""
    made = plan(mirror, declared, action)
    assert isinstance(made, Workflow), made
    return made


def waits_for(made: Workflow) -> set[str]:
    """Resources whose jobs the first job waits for."""
    return {dependency.split(":")[2] for dependency in made.external}


# ------------------------------------------------------------------------------------------------- holding


def test_a_missing_resource_is_waited_for_with_a_bound(mirror: Mirror) -> None:
    """A mapping that needs a resource nobody declared: held, bounded, with resource and parameter named."""
    made = plan(mirror, mirror.declare(PORT))
    assert isinstance(made, Held)
    assert made.bounded
    assert made.awaits == (NET,)
    assert made.reason == "net:n is not declared (template 'port' parameter 'net' refers to it)"


def test_a_declared_but_unplanned_producer_is_waited_for_without_a_bound(mirror: Mirror) -> None:
    """Its jobs are about to come: then the plan depends on them."""
    mirror.declare(NET)
    port = mirror.declare(PORT)
    made = plan(mirror, port)
    assert made == Held("net:n is not planned yet", (NET,), bounded=False)
    job = mirror.job(NET)
    assert planned(mirror, port).external == (job,)


def test_a_producer_that_is_to_be_deleted_is_not_waited_for(mirror: Mirror) -> None:
    """Its deletion, which may wait for this, brings no stack: the plan is made with what it gave."""
    mirror.declare(NET)
    mirror.settle(NET)
    mirror.declare(NET, 2, marked=True)
    assert isinstance(plan(mirror, mirror.declare(PORT)), Workflow)


def test_a_settled_producer_is_not_waited_for(mirror: Mirror) -> None:
    """Nothing unfinished is left of it: the plan waits for nothing."""
    mirror.declare(NET)
    mirror.settle(NET)
    assert planned(mirror, mirror.declare(PORT)).external == ()


def test_a_failed_producer_does_not_hold(mirror: Mirror) -> None:
    """It has an outcome; that the dependant cannot be built shows when it is to run."""
    mirror.declare(NET)
    mirror.settle(NET, error="StackFailed: x")
    assert planned(mirror, mirror.declare(PORT)).external == ()


def test_what_failed_and_is_to_be_tried_once_more_is_unplanned(mirror: Mirror) -> None:
    """`retry` of a chain: who needs it would fail with the failure that is being mended; who is built needs no wait."""
    mirror.declare(NET)
    mirror.settle(NET, error="StackFailed: x")
    port = mirror.declare(PORT)
    mirror.put(keys.RECONCILE + mirror.world.types.path(NET), {"by": "me"})
    assert plan(mirror, port) == Held("net:n is not planned yet", (NET,), bounded=False)
    mirror.settle(NET)
    assert planned(mirror, port).external == ()


def test_a_producer_at_a_newer_version_is_unplanned_again(mirror: Mirror) -> None:
    """An outcome or job of an older version does not count."""
    mirror.declare(NET)
    mirror.settle(NET)
    mirror.declare(NET, 2)
    port = mirror.declare(PORT)
    assert isinstance(plan(mirror, port), Held)
    mirror.job(NET, 1)
    assert isinstance(plan(mirror, port), Held)
    mirror.job(NET, 2, action=Action.MODIFY)
    assert waits_for(planned(mirror, port)) == {"net"}


def test_resources_without_a_stack_are_not_waited_for(mirror: Mirror) -> None:
    """No template, no stack: nothing is to be expected of it."""
    mirror.declare(QUOTA)
    assert not is_unplanned(mirror.world, QUOTA)
    assert plan(mirror, mirror.declare(QUOTA)) == Jobless(QUOTA, 1, "READ_COMPLETE")


def test_a_late_template_makes_a_resource_expected(mirror: Mirror) -> None:
    """The same resource counts as a producer once its template is there."""
    mirror.world.delete(keys.TEMPLATES + "net")
    mirror.declare(NET)
    assert not is_unplanned(mirror.world, NET)
    body = {"handler": "heat_worker", "parameter_mappings": {}, "template_file": ""}
    mirror.put(keys.TEMPLATES + "net", {"body": body})
    assert is_unplanned(mirror.world, NET)


# ---------------------------------------------------------------------------------------- ignore_missing


def test_ignore_missing_sees_only_what_was_declared_before(mirror: Mirror) -> None:
    """A gateway declared after its port is not waited for by it: neither is what it says seen."""
    mirror.declare(NET)
    mirror.job(NET)
    port = mirror.declare(PORT)
    mirror.declare(GATEWAY)
    mirror.job(GATEWAY, refers=[PORT])
    made = planned(mirror, port)
    assert waits_for(made) == {"net"}
    assert made.jobs[0].params[1].value == ""


def test_ignore_missing_sees_what_was_declared_before(mirror: Mirror) -> None:
    """The same declarations the other way round: the port waits for the gateway."""
    mirror.declare(NET)
    mirror.job(NET)
    mirror.declare(GATEWAY)
    port = mirror.declare(PORT)
    made = plan(mirror, port)
    assert isinstance(made, Held)
    assert made.awaits == (GATEWAY,)
    mirror.job(GATEWAY, refers=[PORT])
    made = planned(mirror, port)
    assert waits_for(made) == {"net", "gateway"}
    assert made.jobs[0].params[1].value == "g"


def test_a_second_version_sees_what_came_between(mirror: Mirror) -> None:
    """What counts is when this version was declared, not the first."""
    mirror.declare(NET)
    mirror.settle(NET)
    mirror.declare(PORT)
    mirror.declare(GATEWAY)
    mirror.job(GATEWAY, refers=[PORT])
    assert waits_for(planned(mirror, mirror.declare(PORT, 2))) == {"gateway"}


def test_what_must_be_seen_is_seen_however_late(mirror: Mirror) -> None:
    """A mapping without ignore_missing finds a resource that was declared after it."""
    port = mirror.declare(PORT)
    mirror.declare(NET)
    job = mirror.job(NET)
    assert planned(mirror, port).external == (job,)


@pytest.mark.parametrize("order", list(itertools.permutations([NET, PORT, GATEWAY])))
def test_the_plan_does_not_depend_on_when_it_is_made(order: tuple[Ref, ...]) -> None:
    """For every order of declarations: planning each as soon as it can be, or all at the end, is the same."""
    plans = []
    for eager in (True, False):
        mirror, made = Mirror(), dict[Ref, Workflow]()
        revisions = {ref: number for number, ref in enumerate(order, 100)}

        def proceed(mirror: Mirror = mirror, made: dict[Ref, Workflow] = made) -> None:
            while True:
                before = len(made)
                for ref in order:
                    declared = mirror.world.declaration(ref)
                    if declared is None or ref in made:
                        continue
                    found = try_plan(mirror.world, declared, None, CREATE)
                    if isinstance(found, Workflow):
                        made[ref] = found
                        params = [p for job in found.jobs for p in job.params]
                        mirror.job(ref, refers=[r for p in params for r in p.resources])
                if len(made) == before:
                    return

        for ref in order:
            mirror.revision = revisions[ref] - 1
            mirror.declare(ref)
            if eager:
                proceed()
        proceed()
        plans.append({ref: (waits_for(one), one.jobs[0].params) for ref, one in made.items()})
    assert plans[0] == plans[1]
    expected = {"net", "gateway"} if order.index(GATEWAY) < order.index(PORT) else {"net"}
    assert plans[0][PORT][0] == expected


# ------------------------------------------------------------------------------------------------- cycles


def test_a_cycle_is_refused_and_printed() -> None:
    """Two that need each other's stack: refused for good, with the chain."""
    mirror = Mirror(**MUTUAL)
    mirror.declare(PORT)
    gateway = mirror.declare(GATEWAY)
    with pytest.raises(PlanError, match="dependency cycle: gateway:g → port:p → gateway:g"):
        plan(mirror, gateway)


def test_the_other_of_a_cycle_is_held_until_it_has_an_outcome() -> None:
    """Once one of them has failed, the other does not wait for it any more."""
    mirror = Mirror(**MUTUAL)
    port, _ = mirror.declare(PORT), mirror.declare(GATEWAY)
    with pytest.raises(PlanError):
        plan(mirror, port)
    mirror.settle(GATEWAY, error="PlanError: dependency cycle")
    assert planned(mirror, port).external == ()


def test_a_long_cycle_is_printed_whole() -> None:
    """Every resource on the way is named, in the order in which they wait."""
    mirror = Mirror(**RING)
    mirror.declare(NET, name="g")
    mirror.declare(PORT)
    net = mirror.world.declaration(NET)
    assert net is not None
    mirror.declare(GATEWAY)
    chain = find_cycle(mirror.world, NET, [GATEWAY])
    assert chain == (NET, GATEWAY, PORT, NET)
    with pytest.raises(PlanError, match="net:n → gateway:g → port:p → net:n"):
        plan(mirror, net)


def test_no_cycle_through_what_is_planned(mirror: Mirror) -> None:
    """A chain that runs into recorded jobs is no cycle."""
    mirror.declare(NET)
    mirror.declare(PORT)
    mirror.declare(GATEWAY)
    mirror.job(PORT, refers=[NET])
    assert find_cycle(mirror.world, GATEWAY, [PORT]) is None
    assert find_cycle(mirror.world, GATEWAY, [NET]) is None


# ------------------------------------------------------------------------------------------------ deletes


def test_referrers_are_deleted_first(mirror: Mirror) -> None:
    """Contract 10.11: of a burst of deletes the one that is referred to waits; it does not mind the others."""
    net, port = mirror.declare(NET, 2, marked=True), mirror.declare(PORT, 2, marked=True)
    made = plan(mirror, net, GONE)
    assert made == Held("port:p refers to it and is deleted first", (PORT,), bounded=False)
    assert isinstance(plan(mirror, port, GONE), Workflow)
    mirror.settle(PORT, 2)
    assert isinstance(plan(mirror, net, GONE), Workflow)


def test_a_referrer_whose_deletion_is_planned_is_waited_for_as_a_job(mirror: Mirror) -> None:
    """Contract 10.11: the jobs of a burst of deletes name those that come before, if the last of these is of a user."""
    net = mirror.declare(NET, 2, marked=True)
    mirror.declare(PORT, 2, marked=True)
    first = mirror.job(PORT, 2, action=GONE, handler=Handler.MONITORING, refers=[NET])
    assert planned(mirror, net, GONE).external == (first,)
    job = mirror.job(PORT, 2, action=GONE)
    assert isinstance(plan(mirror, net, GONE), Held)
    mirror.world.delete(keys.JOBS + job)
    mirror.job(PORT, 2, action=GONE, handler=Handler.MONITORING)
    job = mirror.job(PORT, 2, action=GONE, refers=[NET])
    assert planned(mirror, net, GONE).external == (job,)


def test_a_referrer_that_stays_does_not_hold_a_delete(mirror: Mirror) -> None:
    """Who deletes what is still used gets what is declared; Heat will have its say."""
    mirror.declare(PORT)
    mirror.settle(PORT)
    assert isinstance(plan(mirror, mirror.declare(NET, 2, marked=True), GONE), Workflow)


def test_a_delete_waits_for_live_jobs_of_referrers(mirror: Mirror) -> None:
    """Contract 10.11: a job that still uses it is finished before."""
    mirror.declare(PORT)
    job = mirror.job(PORT, refers=[NET])
    made = plan(mirror, mirror.declare(NET, 2, marked=True), GONE)
    assert isinstance(made, Workflow)
    assert made.external == (job,)


def test_two_that_refer_to_each_other_are_both_deleted() -> None:
    """One of the two goes first, always the same one."""
    mirror = Mirror(**MUTUAL)
    gateway, port = mirror.declare(GATEWAY, 2, marked=True), mirror.declare(PORT, 2, marked=True)
    held = {ref: referrers_to_delete(mirror.world, one) for ref, one in ((GATEWAY, gateway), (PORT, port))}
    assert sorted(map(len, held.values())) == [0, 1]


def test_a_missing_resource_never_holds_a_delete(mirror: Mirror) -> None:
    """Nothing a mapping says may keep a resource from being deleted."""
    assert isinstance(plan(mirror, mirror.declare(PORT, 2, marked=True), GONE), Workflow)


def test_a_ring_of_three_is_deleted() -> None:
    """However long the ring of references is, somebody goes first."""
    mirror = Mirror(**RING)
    marked = [
        mirror.declare(NET, 2, marked=True, name="g"),
        mirror.declare(PORT, 2, marked=True),
        mirror.declare(GATEWAY, 2, marked=True),
    ]
    assert any(isinstance(plan(mirror, one, GONE), Workflow) for one in marked)
