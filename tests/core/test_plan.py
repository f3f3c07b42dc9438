"""Planning: job sequences (2.4), parameters of updates (3.3), dependencies (2.5), refusals, job ids."""

from __future__ import annotations

import re
from typing import Any

import pytest

from actors.core.keys import ResourceType, TypeTable
from actors.core.mapping import MissingResource
from actors.core.model import (
    Action,
    Declared,
    Handler,
    Job,
    OnFailure,
    Param,
    ParamType,
    Ref,
    Template,
    Workflow,
)
from actors.core.outcome import completed_state
from actors.core.plan import (
    Jobless,
    LiveJob,
    PlanError,
    compile_template,
    job_id,
    plan,
    references,
    template_ids,
)
from tests.core.replay import World

HEAT, MONITORING = Handler.HEAT, Handler.MONITORING
NET, OTHER_NET, PORT, GATEWAY = Ref("net", "n1"), Ref("net", "n2"), Ref("port", "p1"), Ref("gateway", "g1")


def unless_dhcp(mapping: str) -> dict[str, Any]:
    """A template path that is null for ports of the network itself."""
    condition = {"regexp": [{"field": "owner"}, "network:dhcp"]}
    return {"if_mapping": condition, "then_mapping": {"constant": None}, "else_mapping": mapping}


TYPES = TypeTable(
    [
        ResourceType("net", "nets", template_path={HEAT: "Cnet", MONITORING: "Cnet_monitoring"}),
        ResourceType(
            "port",
            "ports",
            relations={"net_id": "net"},
            template_path={
                HEAT: unless_dhcp("Cport"),
                MONITORING: unless_dhcp("Cport_monitoring"),
            },
        ),
        ResourceType("gateway", "gateways", template_path={HEAT: "ACgateway_&Pkind"}),
        ResourceType("router", "routers", template_path={MONITORING: "Crouter_monitoring"}),
        ResourceType("quota", "quotas"),
    ]
)
GENERATION_1 = {
    "net": {"name": "Pname"},
    "net_monitoring": {"name": "Pname", "uuid": {"output_key": "id"}},
    "port": {"net": "Mnet:net_id:id", "name": "Pname"},
    "port_monitoring": {"version": "Vauto_filled", "name": "Pname"},
    "router_monitoring": {"ip": "Pip"},
}
HEAT_ONLY = {name: mapping for name, mapping in GENERATION_1.items() if "monitoring" not in name}


def world(templates: dict[str, Any]) -> World:
    """A world with these templates; networks n1 and n2 are declared."""
    made = World(TYPES)
    for name, mappings in templates.items():
        handler = MONITORING if name.endswith("_monitoring") else HEAT
        made.templates[name] = compile_template(Template(name, handler, mappings, ""))
    made.bodies = {NET: {"name": "one"}, OTHER_NET: {"name": "two"}}
    return made


def declared(ref: Ref = PORT, version: int = 1, **body: Any) -> Declared:
    """A declaration; a port is on network n1 unless told otherwise."""
    return Declared(ref, version, {"id": ref.id, "name": f"name {version}", "net_id": "n1", **body})


def workflow(view: World, now: Declared, before: Declared | None, action: Action) -> Workflow:
    """The plan, which must not be Jobless."""
    made = plan(view, now, before, action, salt="s")
    assert isinstance(made, Workflow)
    return made


def shape(made: Workflow) -> list[str]:
    """`action:handler` of each job."""
    return [f"{job.action.value}:{job.handler.value}" for job in made.jobs]


def live(view: World, ref: Ref, action: Action, handler: Handler, *refers: Ref) -> str:
    """Add an unfinished job that refers to these resources; returns its id."""
    name = job_id(action, handler, ref, 1, "live")
    params = (Param("p", ParamType.VALUE, None, refers),)
    view.live[name] = Job(name, action, handler, ref, 1, {}, params)
    return name


@pytest.mark.parametrize(
    ("templates", "ref", "action", "jobs"),
    [
        (GENERATION_1, PORT, Action.CREATE, ["create:heat_worker", "create:monitoring_worker"]),
        (HEAT_ONLY, PORT, Action.CREATE, ["create:heat_worker"]),
        (GENERATION_1, Ref("router", "r"), Action.CREATE, ["create:monitoring_worker"]),
        (
            GENERATION_1,
            PORT,
            Action.MODIFY,
            ["delete:monitoring_worker", "modify:heat_worker", "create:monitoring_worker"],
        ),
        (HEAT_ONLY, PORT, Action.MODIFY, ["modify:heat_worker"]),
        (
            GENERATION_1,
            Ref("router", "r"),
            Action.MODIFY,
            ["delete:monitoring_worker", "create:monitoring_worker"],
        ),
        (
            GENERATION_1,
            PORT,
            Action.LOGICAL_DELETE,
            ["logical_delete:monitoring_worker", "logical_delete:heat_worker"],
        ),
        (HEAT_ONLY, PORT, Action.LOGICAL_DELETE, ["logical_delete:heat_worker"]),
        (GENERATION_1, Ref("router", "r"), Action.LOGICAL_DELETE, ["logical_delete:monitoring_worker"]),
    ],
)
def test_job_sequences(templates: dict[str, Any], ref: Ref, action: Action, jobs: list[str]):
    """The table of contract 2.4: sequence, first and last, each job after all before it, one version."""
    made = workflow(world(templates), declared(ref, 2), declared(ref, 1), action)
    assert shape(made) == jobs
    assert [job.is_first for job in made.jobs] == [True] + [False] * (len(jobs) - 1)
    assert [job.is_last for job in made.jobs] == [False] * (len(jobs) - 1) + [True]
    assert [job.version for job in made.jobs] == [2] * len(jobs)
    ids = [job.id for job in made.jobs]
    assert [job.dependency for job in made.jobs] == [tuple(ids[:index]) for index in range(len(ids))]
    ignored = [job.action is Action.DELETE for job in made.jobs]
    assert [job.on_failure is OnFailure.IGNORE for job in made.jobs] == ignored


def test_update_stops_monitoring_with_old_values_and_new_input():
    """In an update the delete job has the old values (version too), all jobs have the new body as input."""
    now, before = declared(version=2, net_id="n2"), declared(version=1)
    stop, modify, start = workflow(world(GENERATION_1), now, before, Action.MODIFY).jobs
    assert {param.name: param.value for param in stop.params} == {"version": 1, "name": "name 1"}
    assert {param.name: param.value for param in start.params} == {"version": 2, "name": "name 2"}
    assert all(job.resource_input == now.body for job in (stop, modify, start))
    net = next(param for param in modify.params if param.name == "net")
    assert net.value["resource_id"] == "n2"
    assert net.resources == (NET, OTHER_NET)


def test_update_lists_each_resource_once():
    """A resource that old and new body refer to stands once in `resources` (quirk 15)."""
    modify = workflow(world(HEAT_ONLY), declared(version=2), declared(), Action.MODIFY).jobs[0]
    assert [param.resources for param in modify.params] == [(NET,), ()]


def test_update_that_gains_and_loses_templates():
    """Monitoring is stopped only if the old body was monitored and started only if the new one is."""
    view, plain, dhcp = world(GENERATION_1), declared(version=2), declared(version=2, owner="network:dhcp")
    gained = workflow(view, plain, dhcp, Action.MODIFY)
    assert shape(gained) == ["modify:heat_worker", "create:monitoring_worker"]
    lost = workflow(view, dhcp, plain, Action.MODIFY)
    assert shape(lost) == ["delete:monitoring_worker"]
    assert completed_state(lost.jobs[-1].action) == "MODIFY_COMPLETED"
    assert plan(world(HEAT_ONLY), dhcp, plain, Action.MODIFY, salt="") == Jobless(PORT, 2, "READ_COMPLETE")


def test_no_template_needs_no_job():
    """Without template, or with a null template path: READ_COMPLETE, and for a delete DELETE_COMPLETED."""
    view, quota = world(HEAT_ONLY), declared(Ref("quota", "default"))
    for now in (quota, declared(owner="network:dhcp")):
        assert plan(view, now, None, Action.CREATE, salt="") == Jobless(now.ref, 1, "READ_COMPLETE")
        gone = plan(view, now, now, Action.LOGICAL_DELETE, salt="")
        assert gone == Jobless(now.ref, 1, "DELETE_COMPLETED")


def test_template_without_document_is_told():
    """A named template of which there is no document makes a resource job-less, and the plan says why."""
    made = plan(world({}), declared(), None, Action.CREATE, salt="")
    assert made == Jobless(PORT, 1, "READ_COMPLETE", ("port", "port_monitoring"))


def test_templates_by_handler():
    """`template_ids` evaluates each handler's path on the body and leaves out nulls."""
    assert template_ids(world(GENERATION_1), declared()) == {HEAT: "port", MONITORING: "port_monitoring"}
    assert template_ids(world(GENERATION_1), declared(owner="network:dhcp")) == {}


def test_producers_are_waited_for_by_the_first_job_only():
    """The heat job of a related resource is waited for; its monitoring job and its delete are not."""
    view = world(GENERATION_1)
    producer = live(view, NET, Action.CREATE, HEAT)
    live(view, NET, Action.CREATE, MONITORING)
    live(view, OTHER_NET, Action.CREATE, HEAT)
    made = workflow(view, declared(), None, Action.CREATE)
    assert made.external == made.jobs[0].dependency == (producer,)
    assert made.jobs[1].dependency == (made.jobs[0].id,)


def test_update_waits_for_producers_of_old_and_new_body():
    """A resource that only the old body refers to is waited for as well."""
    view = world(HEAT_ONLY)
    old = live(view, NET, Action.MODIFY, HEAT)
    new = live(view, OTHER_NET, Action.CREATE, HEAT)
    made = workflow(view, declared(version=2, net_id="n2"), declared(), Action.MODIFY)
    assert set(made.external) == {old, new}


@pytest.mark.parametrize("action", [Action.MODIFY, Action.LOGICAL_DELETE])
def test_change_and_delete_wait_for_consumers(action: Action):
    """Jobs of both handlers that refer to the resource are waited for, a create waits for none of them."""
    view = world(GENERATION_1)
    consumers = {
        live(view, PORT, Action.CREATE, HEAT, NET),
        live(view, PORT, Action.CREATE, MONITORING, NET),
        live(view, Ref("port", "p2"), Action.LOGICAL_DELETE, HEAT, NET),
    }
    assert set(workflow(view, declared(NET, 2), declared(NET), action).external) == consumers
    assert workflow(view, declared(NET, 2), None, Action.CREATE).external == ()


def test_delete_does_not_wait_for_the_delete_of_what_it_refers_to():
    """Of two resources deleted together the referrer goes first: it never waits for the other (10.11)."""
    view = world(HEAT_ONLY)
    live(view, NET, Action.LOGICAL_DELETE, HEAT)
    assert workflow(view, declared(), declared(), Action.LOGICAL_DELETE).external == ()


def test_never_waits_for_itself():
    """Neither a leftover job of the resource nor a mapping that leads back to it makes a dependency."""
    view = world({"net": {"self": {"field": "id", "path": [{"type": "net", "id": "id"}]}}})
    live(view, NET, Action.MODIFY, HEAT, NET)
    assert workflow(view, declared(NET, 2), declared(NET), Action.MODIFY).external == ()


def test_missing_related_resource_is_waited_for():
    """Planning raises MissingResource with the ref, for parameters and for the template path."""
    with pytest.raises(MissingResource) as caught:
        plan(world(HEAT_ONLY), declared(net_id="later"), None, Action.CREATE, salt="")
    assert caught.value.ref == Ref("net", "later")


@pytest.mark.parametrize(
    ("templates", "body", "words"),
    [
        ({"port": {"vlan": "Xvlan"}}, {}, ["port:p1", "'port'", "'vlan'", "'X'"]),
        ({"port": {"net": "Fnet+net_id:id"}}, {"net_id": None}, ["port:p1", "'port'", "'net'", "'net_id'"]),
    ],
)
def test_refusal_names_key_template_and_parameter(
    templates: dict[str, Any], body: dict[str, Any], words: list[str]
):
    """A bad template and a bad body are refused as INVALID input, with everything needed to find the spot."""
    with pytest.raises(PlanError) as caught:
        plan(world(templates), declared(**body), None, Action.CREATE, salt="")
    assert caught.value.failure.error_class == "invalid"
    assert all(word in caught.value.failure.text for word in words)


def test_refusal_of_a_template_path_and_of_a_foreign_template():
    """A template path that fails and a template for another handler are refused by name."""
    view = world({"net": {}})
    with pytest.raises(PlanError, match="gateway:g1: template_path for heat_worker"):
        plan(view, Declared(GATEWAY, 1, {"kind": None}), None, Action.CREATE, salt="")
    view.templates["net"] = compile_template(Template("net", MONITORING, {}, ""))
    with pytest.raises(PlanError, match="is for monitoring_worker"):
        plan(view, declared(NET), None, Action.CREATE, salt="")
    with pytest.raises(PlanError, match="resource type 'thing' is not known"):
        plan(view, declared(Ref("thing", "t")), None, Action.CREATE, salt="")


@pytest.mark.parametrize(
    "broken", [{"net_id": "gone"}, {"net_id": None}], ids=["related resource gone", "relation is null"]
)
def test_delete_is_never_refused(broken: dict[str, Any]):
    """What cannot be evaluated becomes null in a delete: a bad template must not keep a resource alive."""
    now = declared(version=2, **broken)
    job = workflow(world(HEAT_ONLY), now, now, Action.LOGICAL_DELETE).jobs[0]
    assert {param.name: param.value for param in job.params} == {"net": None, "name": "name 2"}
    unreadable = world({"port": {"vlan": "Xvlan"}})
    assert workflow(unreadable, now, now, Action.LOGICAL_DELETE).jobs[0].params == ()


def test_delete_removes_what_is_built_even_without_template():
    """A stack of a body that no longer names a template is still deleted."""
    view, now = world(HEAT_ONLY), declared(version=3, owner="network:dhcp")
    view.left[PORT] = frozenset({HEAT})
    assert shape(workflow(view, now, now, Action.LOGICAL_DELETE)) == ["logical_delete:heat_worker"]
    view.left = {}
    assert isinstance(plan(view, now, now, Action.LOGICAL_DELETE, salt=""), Jobless)


def test_an_update_ends_a_watch_of_a_version_before_the_last():
    """What is watched is stopped though the version before, which was planned and never begun, names no template."""
    view, now = world(HEAT_ONLY), declared(version=3)
    view.left[PORT] = frozenset({HEAT, MONITORING})
    stop, modify = workflow(view, now, declared(version=2), Action.MODIFY).jobs
    assert (stop.action, stop.handler, stop.on_failure) == (Action.DELETE, MONITORING, OnFailure.IGNORE)
    assert (modify.action, modify.handler) == (Action.MODIFY, HEAT)


def test_job_ids_are_deterministic_and_of_the_form():
    """Equal arguments give equal ids; salt, version and handler change the suffix."""
    arguments = (Action.CREATE, HEAT, PORT, 1)
    first = job_id(*arguments, "a")
    assert re.fullmatch(r"create:heat_worker:port:p1:1:[a-z0-9]{5}", first)
    assert first == job_id(*arguments, "a")
    suffixes = {job_id(*arguments, str(salt))[-5:] for salt in range(200)}
    assert len(suffixes) > 190


def test_plans_are_functions():
    """The same view and declarations give the same plan."""
    view = world(GENERATION_1)
    live(view, NET, Action.CREATE, HEAT)
    plans = [plan(view, declared(), None, Action.CREATE, salt="s") for _ in range(2)]
    assert plans[0] == plans[1]


def test_references_of_a_declaration():
    """`references` names what is walked through and what is missing, and never fails."""
    view = world(HEAT_ONLY)
    assert references(view, declared()) == (NET,)
    assert references(view, declared(net_id="later")) == (Ref("net", "later"),)
    assert references(view, declared(net_id=None)) == ()
    assert references(view, Declared(GATEWAY, 1, {"kind": None})) == ()


def test_live_jobs_of_the_view():
    """The world of these tests behaves as PlanView demands (it would hide dependencies otherwise)."""
    view = world(HEAT_ONLY)
    name = live(view, PORT, Action.CREATE, HEAT, NET)
    expected = [LiveJob(name, Action.CREATE, HEAT, PORT)]
    assert (view.jobs_of(PORT), view.jobs_referring(NET), view.jobs_of(NET)) == (expected, expected, [])
