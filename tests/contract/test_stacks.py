"""The `Stacks` contract, over the fake and over HeatStacks: on the embedded server and on OpenStack's own Heat."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from actors.core.errors import ErrorClass, PortError
from actors.heat_drive import HIDDEN
from actors.ports import Stack
from sim.heat_server.launch import RunningHeat, start
from tests.contract.heat_worlds import (
    LOGICAL_PORT,
    FakeWorld,
    HttpWorld,
    RealWorld,
    World,
    spec,
    test_resource,
)


@pytest.fixture(scope="module")
def heat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHeat]:
    """One server for the module; each test has tenants of its own."""
    running = start(tmp_path_factory.mktemp("heat"))
    yield running
    running.stop()


@pytest.fixture(params=["fake", "server", "real"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Each world in turn."""
    if request.param == "fake":
        yield FakeWorld()
        return
    if request.param == "server":
        http: RealWorld = HttpWorld(request.getfixturevalue("heat"))
    else:
        http = RealWorld(request.getfixturevalue("real_heat"))
    yield http
    http.close()


def finished(world: World, tenant: str, name: str, stack_id: str) -> Stack:
    """The stack once nothing is under way."""
    world.until(lambda: stack_id not in world.stacks.in_progress(tenant))
    return world.stacks.get(tenant, name, stack_id, outputs=True)


def refusal(error: pytest.ExceptionInfo[PortError]) -> tuple[ErrorClass, str]:
    """Class and kind of a failure."""
    return error.value.failure.error_class, error.value.failure.kind


def test_create_goes_through_in_progress_to_complete_with_outputs(world: World) -> None:
    """A create is IN_PROGRESS, then COMPLETE, with Heat's reason, tags, and outputs of all kinds."""
    tenant = world.tenant()
    slow = {**LOGICAL_PORT["resources"], "wait": test_resource(wait_secs=1.5)["resources"]["a"]}
    wanted = spec(tenant, template={**LOGICAL_PORT, "resources": slow})
    stack_id = world.stacks.create(wanted)
    assert world.stacks.in_progress(tenant) == {stack_id}
    early = world.stacks.get(tenant, wanted.name, stack_id, outputs=False)
    assert (early.action, early.status, early.outputs) == ("CREATE", "IN_PROGRESS", ())
    done = finished(world, tenant, wanted.name, stack_id)
    assert (done.id, done.name, done.action, done.status) == (stack_id, wanted.name, "CREATE", "COMPLETE")
    assert done.reason == "Stack CREATE completed successfully"
    assert done.tags == ("gatewright", "v1")
    outputs = {output["output_key"]: output for output in done.outputs}
    assert len(outputs["id"]["output_value"]) == 36
    assert outputs["vlan"]["output_value"] == 7
    assert outputs["vlan"]["description"] == "No description given"
    assert outputs["name"] == {
        "output_key": "name",
        "description": "The name",
        "output_value": None,
        "output_error": "'ContrailLogicalInterface' object has no attribute 'li_uuid'",
    }


def test_find_knows_the_exact_name_only(world: World) -> None:
    """`find` gives the stack of that very name, with status and tags, and nothing for part of a name."""
    tenant = world.tenant()
    stack_id = world.stacks.create(spec(tenant, "port_10"))
    world.stacks.create(spec(tenant, "port_100"))
    world.until(lambda: not world.stacks.in_progress(tenant))
    (found,) = world.stacks.find(tenant, "port_10")
    assert (found.id, found.action, found.status, found.tags) == (
        stack_id,
        "CREATE",
        "COMPLETE",
        ("gatewright", "v1"),
    )
    assert world.stacks.find(tenant, "port_1") == ()


def test_many_long_names_are_found_beside_impossible_ones(world: World) -> None:
    """Sixty names that no URL holds at once, and some that Heat does not take: what is there is found."""
    tenant = world.tenant()
    long = [f"port_{number:03d}{'x' * 200}" for number in range(60)]
    odd = ["port_" + "я" * 60, "port_" + "x" * 9_000, "port_a/b?c&d", "7port", "", "port_\n"]
    made = [world.stacks.create(spec(tenant, name)) for name in (long[0], long[-1])]
    found = world.stacks.find(tenant, *odd, *long, *odd)
    assert [one.id for one in found] == made
    assert world.stacks.find(tenant, *odd) == ()


def test_second_create_of_a_name_is_a_conflict(world: World) -> None:
    """Heat refuses a second stack of a name with StackExists."""
    tenant = world.tenant()
    world.stacks.create(spec(tenant))
    with pytest.raises(PortError) as error:
        world.stacks.create(spec(tenant))
    assert refusal(error) == (ErrorClass.CONFLICT, "StackExists")
    assert error.value.failure.text == "The Stack (ese_logical_port_1) already exists."


def test_update_keeps_the_id_and_sets_parameters_and_tags(world: World) -> None:
    """An update changes that very stack: same id, new values, new tags."""
    tenant = world.tenant()
    stack_id = world.stacks.create(spec(tenant))
    before = finished(world, tenant, "ese_logical_port_1", stack_id)
    changed = spec(tenant, parameters={"port_name": "xe-0/0/1", "vlan": 9}, tags=("gatewright", "v2"))
    world.stacks.update(changed, stack_id)
    after = finished(world, tenant, changed.name, stack_id)
    assert (after.id, after.action, after.status) == (before.id, "UPDATE", "COMPLETE")
    assert after.reason == "Stack UPDATE completed successfully"
    assert after.tags == ("gatewright", "v2")
    values = {output["output_key"]: output["output_value"] for output in after.outputs}
    ids = {output["output_key"]: output["output_value"] for output in before.outputs}
    assert values["vlan"] == 9
    assert values["id"] == ids["id"]


def test_update_of_a_missing_stack_is_not_found(world: World) -> None:
    """An update names its stack; if that is gone, nothing is made."""
    tenant = world.tenant()
    with pytest.raises(PortError) as error:
        world.stacks.update(spec(tenant), "0b576f6f-4cbf-414f-829c-d12f008bf08f")
    assert refusal(error) == (ErrorClass.NOT_FOUND, "EntityNotFound")
    assert world.stacks.find(tenant, "ese_logical_port_1") == ()


def test_delete_ends_in_not_found_and_may_be_repeated(world: World) -> None:
    """After a delete the stack is gone by id and name; deleting again is no error; the name is free."""
    tenant = world.tenant()
    stack_id = world.stacks.create(spec(tenant))
    world.stacks.delete(tenant, "ese_logical_port_1", stack_id)
    world.until(lambda: not world.stacks.find(tenant, "ese_logical_port_1"))
    with pytest.raises(PortError) as error:
        world.stacks.get(tenant, "ese_logical_port_1", stack_id, outputs=False)
    assert refusal(error) == (ErrorClass.NOT_FOUND, "EntityNotFound")
    world.stacks.delete(tenant, "ese_logical_port_1", stack_id)
    assert world.stacks.create(spec(tenant)) != stack_id


def test_delete_is_in_progress_while_resources_go(world: World) -> None:
    """A delete that takes time shows as DELETE_IN_PROGRESS, and the name stays taken."""
    tenant = world.tenant()
    template = test_resource(action_wait_secs={"delete": 1.5})
    stack_id = world.stacks.create(spec(tenant, template=template, parameters={}))
    world.until(lambda: not world.stacks.in_progress(tenant))
    world.stacks.delete(tenant, "ese_logical_port_1", stack_id)
    (under_way,) = world.stacks.find(tenant, "ese_logical_port_1")
    assert (under_way.action, under_way.status) == ("DELETE", "IN_PROGRESS")
    assert world.stacks.in_progress(tenant) == {stack_id}
    world.until(lambda: not world.stacks.find(tenant, "ese_logical_port_1"))


def test_failed_create_shows_the_reason_and_is_repaired_by_an_update(world: World) -> None:
    """CREATE_FAILED carries Heat's reason; an update of that stack repairs it."""
    tenant = world.tenant()
    stack_id = world.stacks.create(spec(tenant, template=test_resource(fail=True), parameters={}))
    failed = finished(world, tenant, "ese_logical_port_1", stack_id)
    assert (failed.action, failed.status) == ("CREATE", "FAILED")
    assert failed.reason == "Resource CREATE failed: ValueError: resources.a: Test Resource failed a"
    world.stacks.update(spec(tenant, template=test_resource(fail=False), parameters={}), stack_id)
    mended = finished(world, tenant, "ese_logical_port_1", stack_id)
    assert (mended.action, mended.status) == ("UPDATE", "COMPLETE")


_WRONG = [
    ({"parameters": {}}, "UserParameterMissing", "The Parameter (port_name) was not provided."),
    (
        {"parameters": {"port_name": None}},
        "UserParameterMissing",
        "The Parameter (port_name) was not provided.",
    ),
    (
        {"parameters": {"port_name": "a", "zz": 1}},
        "UnknownUserParameter",
        "The Parameter (zz) was not defined in template.",
    ),
    (
        {"parameters": {"port_name": "a", "vlan": "abc"}},
        "StackValidationFailed",
        "Parameter 'vlan' is invalid: could not convert string to float: 'abc'",
    ),
    (
        {"template": {"heat_template_version": "2013-05-23", "resources": {"a": {"type": "OS::No::Such"}}}},
        "StackValidationFailed",
        "The Resource Type (OS::No::Such) could not be found.",
    ),
    (
        {"template": {"heat_template_version": "1999-01-01"}},
        "InvalidTemplateVersion",
        'The template version is invalid: "heat_template_version: 1999-01-01".',
    ),
    (
        {"name": "1 bad"},
        "StackValidationFailed",
        "Invalid stack name 1 bad must contain only alphanumeric",
    ),
]


@pytest.mark.parametrize(("changes", "kind", "text"), _WRONG, ids=[text[:40] for _, _, text in _WRONG])
def test_invalid_input_is_terminal_with_heats_words(
    world: World, changes: dict[str, Any], kind: str, text: str
) -> None:
    """What Heat's validation refuses is TERMINAL, with Heat's type and text, and leaves no stack."""
    tenant = world.tenant()
    wrong = spec(tenant, **changes)
    with pytest.raises(PortError) as error:
        world.stacks.create(wrong)
    assert refusal(error) == (ErrorClass.TERMINAL, kind)
    assert error.value.failure.text.startswith(text)
    assert world.stacks.find(tenant, wrong.name) == ()


def test_null_parameter_means_the_default(world: World) -> None:
    """A null value is passed on, and Heat takes the parameter's default (contract 3.5)."""
    tenant = world.tenant()
    stack_id = world.stacks.create(spec(tenant, parameters={"port_name": "a", "vlan": None}))
    outputs = finished(world, tenant, "ese_logical_port_1", stack_id).outputs
    assert [one["output_value"] for one in outputs if one["output_key"] == "vlan"] == [7]


def test_tenants_do_not_see_each_other(world: World) -> None:
    """The same name in two tenants makes two stacks, and neither sees or ends the other's."""
    one, other = world.tenant(), world.tenant()
    first, second = world.stacks.create(spec(one)), world.stacks.create(spec(other))
    assert first != second
    with pytest.raises(PortError) as error:
        world.stacks.get(other, "ese_logical_port_1", first, outputs=False)
    assert refusal(error)[0] is ErrorClass.NOT_FOUND
    world.stacks.delete(other, "ese_logical_port_1", first)
    assert [stack.id for stack in world.stacks.find(one, "ese_logical_port_1")] == [first]


def test_empty_tenant_is_the_admin_project(world: World) -> None:
    """Resources without a tenant live in the admin project (contract 10.19)."""
    name = f"shared_{world.tenant()}"
    stack_id = world.stacks.create(spec("", name))
    assert [stack.id for stack in world.stacks.find("admin", name)] == [stack_id]


def test_secrets_are_masked_in_refusals(world: World) -> None:
    """Heat quotes wrong values; those of hidden or secretly named parameters do not reach the text."""
    tenant = world.tenant()
    secret = "s3cr3t'\"Value"
    limited = {"type": "string", "constraints": [{"allowed_pattern": "[a-z]+"}]}
    for name, schema in (("device_password", limited), ("plain", {**limited, "hidden": True})):
        template = {**LOGICAL_PORT, "parameters": {**LOGICAL_PORT["parameters"], name: schema}}
        with pytest.raises(PortError) as error:
            world.stacks.create(spec(tenant, template=template, parameters={"port_name": "a", name: secret}))
        text = str(error.value)
        assert f"Parameter '{name}' is invalid" in text
        assert "***" in text
        assert "s3cr3t" not in text
        assert "s3cr3t" not in repr(error.value)


def test_secrets_inside_a_template_are_masked_in_refusals(world: World) -> None:
    """What Jinja2 wrote into the template is no parameter: the spec says what of it is secret."""
    template = {**LOGICAL_PORT, "resources": {"a": {"type": "s3cr3tValue"}}, "outputs": {}}
    with pytest.raises(PortError) as error:
        world.stacks.create(spec(world.tenant(), template=template, secrets=frozenset({"s3cr3tValue"})))
    assert "***" in str(error.value)
    assert "s3cr3t" not in repr(error.value)


@pytest.mark.parametrize(
    "text", ["a", " a b ", "тест \U0001f600", "a\nb\t\"'\\", "007", "true", '{"b": 1, "a": [2]}', "null"]
)
def test_text_parameters_are_shown_as_they_were_given(world: World, text: str) -> None:
    """By them a stack of ours is told from one of another life; what is hidden is shown as stars."""
    tenant = world.tenant()
    template = {
        "heat_template_version": "2013-05-23",
        "parameters": {"p": {"type": "string"}, "h": {"type": "string", "hidden": True}},
        "resources": {},
    }
    wanted = spec(tenant, template=template, parameters={"p": text, "h": text})
    shown = finished(world, tenant, wanted.name, world.stacks.create(wanted)).parameters
    assert (shown["p"], shown["h"]) == (text, HIDDEN)


def test_many_threads_get_their_own_answers(world: World) -> None:
    """Concurrent callers neither disturb each other nor mix their answers up."""
    tenant = world.tenant()
    names = [f"port_{number}" for number in range(48)]
    ids: dict[str, str] = {}

    def work(mine: list[str]) -> None:
        for name in mine:
            ids[name] = world.stacks.create(spec(tenant, name))

    threads = [threading.Thread(target=work, args=(names[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: world.stacks.find(tenant, name)[0].id for name in names} == ids
