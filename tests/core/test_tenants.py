"""A tenant that can be none is refused when its resource is planned, and keeps nothing from being deleted."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.keys import ResourceType, TypeTable
from actors.core.model import Action, Declared, Handler, Ref, Template, Workflow
from actors.core.outcome import DELETE_COMPLETED
from actors.core.plan import Jobless, PlanError, compile_template, plan
from actors.core.tenants import wrong_tenant
from tests.core.replay import World

NET, WATCHED = Ref("net", "n1"), Ref("watched", "w1")
TYPES = TypeTable(
    [
        ResourceType("net", "nets", template_path={Handler.HEAT: "Cnet"}),
        ResourceType("watched", "watched", template_path={Handler.MONITORING: "Cwatched"}),
    ]
)
WRONG = ["..", ".", "a/b", "/", "a\nb", "x" * 256, 5, 0, False, ["a"], {}]


def world() -> World:
    """One template of each handler, without parameters."""
    made = World(TYPES)
    for name, handler in (("net", Handler.HEAT), ("watched", Handler.MONITORING)):
        made.templates[name] = compile_template(Template(name, handler, {}, ""))
    return made


def declared(tenant: Any, ref: Ref = NET) -> Declared:
    """A declaration in that tenant."""
    return Declared(ref, 1, {"id": ref.id, "tenant_id": tenant})


@pytest.mark.parametrize("tenant", WRONG)
def test_a_stack_in_a_tenant_that_can_be_none_is_refused(tenant: Any):
    """Asked of Heat it would be another address, and its 404 would count as Heat being away for everybody."""
    with pytest.raises(PlanError, match=r"net:n1: tenant_id .*(must be text|cannot be the id of a tenant)"):
        plan(world(), declared(tenant), None, Action.CREATE, salt="")


@pytest.mark.parametrize("tenant", ["t1", "тенант", "a.b", "...", "", None])
def test_a_tenant_that_may_exist_is_planned(tenant: Any):
    """Whether it exists is for Heat to say; without one it is the admin's (contract 10.19)."""
    assert wrong_tenant({"tenant_id": tenant}) == ""
    assert isinstance(plan(world(), declared(tenant), None, Action.CREATE, salt=""), Workflow)


def test_the_tenant_of_what_has_no_stack_does_not_matter():
    """Only Heat is asked by tenant."""
    assert isinstance(plan(world(), declared("..", WATCHED), None, Action.CREATE, salt=""), Workflow)


def test_nothing_is_looked_for_in_a_tenant_that_can_be_none():
    """What was refused is deleted without a job; what was built before, in the tenant of its stack, has one."""
    view, now = world(), declared("a/b")
    gone = plan(view, now, now, Action.LOGICAL_DELETE, salt="")
    assert isinstance(gone, Jobless)
    assert gone.worker_state == DELETE_COMPLETED
    view.left[NET] = frozenset({Handler.HEAT})
    assert isinstance(plan(view, now, now, Action.LOGICAL_DELETE, salt=""), Workflow)
