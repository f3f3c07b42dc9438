"""Stacks of the simulated Heat through time: durations, updates, failures, roll-back, time-outs."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from sim.heat.engine import Engine, Fate, Request, Settings
from sim.heat.fault import HeatError
from sim.heat.outputs import resolve
from sim.heat.records import Record


class Heat:
    """An engine with a clock to turn."""

    def __init__(self, **settings: Any) -> None:
        self.time = 0.0
        numbers = itertools.count(1)
        self.engine = Engine(lambda: self.time, lambda: f"id{next(numbers)}", Settings(**settings))

    def create(self, resources: dict[str, Any], **request: Any) -> Record:
        """Begin a create."""
        return self.engine.create("ten", "s1", asked(resources, **request))

    def after(self, seconds: float, record: Record) -> str:
        """The status some seconds later."""
        self.time += seconds
        self.engine.settle()
        return record.stack_status


def asked(resources: dict[str, Any], **request: Any) -> Request:
    """A request for these resources; each id is an output."""
    outputs = {name: {"value": {"get_resource": name}} for name in resources}
    document = {"heat_template_version": "2013-05-23", "resources": resources, "outputs": outputs}
    return Request(document, **request)


def wait(seconds: float, value: str = "", **more: Any) -> dict[str, Any]:
    """A resource whose actions take that long."""
    properties = {"wait_secs": seconds, "value": value, **more}
    return {"type": "OS::Heat::TestResource", "properties": properties}


def knob(**properties: Any) -> dict[str, Any]:
    """A resource that can fail."""
    return {"type": "ESI::Test::Knob", "properties": properties}


def ids(record: Record) -> dict[str, Any]:
    """Resource name → what get_resource gives."""
    return {one["output_key"]: one["output_value"] for one in resolve(record)}


def test_duration_is_that_of_the_critical_path() -> None:
    """Independent resources go side by side, dependent ones in turn, NETCONF takes three times as long."""
    heat = Heat(resource_s=1.0)
    network = {"type": "OS::Contrail::VirtualNetwork"}
    config = {"type": "OS::Contrail::NetconfNamedConfigs", "depends_on": "network"}
    record = heat.create({"network": network, "other": network, "config": config})
    assert heat.after(3.9, record) == "CREATE_IN_PROGRESS"
    assert heat.after(0.2, record) == "CREATE_COMPLETE"


def test_update_touches_only_what_changed() -> None:
    """Unchanged resources keep their id and cost no time; a changed one is altered or replaced as its type says."""
    heat = Heat(resource_s=1.0)

    def target(version: int) -> dict[str, Any]:
        return {"type": "ESI::Monitoring::MonitoringTarget", "properties": {"version": version}}

    record = heat.create({"kept": knob(v="1"), "altered": knob(v="1"), "target": target(1), "gone": knob()})
    heat.after(2, record)
    before = ids(record)
    heat.engine.update(record, asked({"kept": knob(v="1"), "altered": knob(v="2"), "target": target(2)}))
    assert heat.after(0.5, record) == "UPDATE_IN_PROGRESS"
    assert heat.after(2, record) == "UPDATE_COMPLETE"
    after = ids(record)
    assert (after["kept"], after["altered"]) == (before["kept"], before["altered"])
    assert after["target"] != before["target"]
    assert "gone" not in record.resources
    heat.engine.update(record, asked({"kept": knob(v="1"), "altered": knob(v="2"), "target": target(2)}))
    assert heat.after(0, record) == "UPDATE_COMPLETE"


def test_update_supersedes_the_action_under_way() -> None:
    """With convergence a second update is accepted; what has begun is finished first, and the last values win."""
    heat = Heat()
    record = heat.create({"a": wait(10, "1")})
    heat.after(1, record)
    heat.engine.update(record, asked({"a": wait(1, "2")}))
    assert heat.after(8.5, record) == "UPDATE_IN_PROGRESS"
    assert heat.after(2, record) == "UPDATE_COMPLETE"
    assert record.resources["a"].properties["value"] == "2"


def test_legacy_engine_refuses_an_update_under_way() -> None:
    """Without convergence an update during an action is 409 ActionInProgress."""
    heat = Heat(legacy=True)
    record = heat.create({"a": wait(10)})
    with pytest.raises(HeatError, match="already has an action") as error:
        heat.engine.update(record, asked({"a": wait(1)}))
    assert (error.value.status, error.value.type) == (409, "ActionInProgress")


def test_failure_stops_what_depends_on_it() -> None:
    """After a failed resource its dependents never begin; outputs show names for what never existed."""
    heat = Heat()
    record = heat.create({"a": knob(fail_on=["CREATE"]), "b": {**knob(), "depends_on": "a"}, "c": knob()})
    assert heat.after(0, record) == "CREATE_FAILED"
    assert record.reason == "Resource CREATE failed: ValueError: resources.a: knob failed on CREATE"
    shown = ids(record)
    assert (shown["a"], shown["b"]) == ("a", "b")
    assert shown["c"] != "c"


def test_refused_update_changes_nothing() -> None:
    """An update that fails validation leaves template, parameters and status as they were."""
    heat = Heat()
    record = heat.create({"a": knob(v="1")})
    heat.after(1, record)
    with pytest.raises(HeatError):
        heat.engine.update(record, asked({"a": knob(v={"get_param": "zz"})}))
    assert heat.after(1, record) == "CREATE_COMPLETE"
    heat.engine.update(record, asked({"a": knob(v="2")}))
    assert heat.after(1, record) == "UPDATE_COMPLETE"


def test_failed_update_is_repaired_by_the_next() -> None:
    """UPDATE_FAILED is not final: the next update does again what failed."""
    heat = Heat()
    record = heat.create({"a": knob(v="1")})
    heat.after(1, record)
    heat.engine.update(record, asked({"a": knob(v="2", fail_on=["UPDATE"])}))
    assert heat.after(1, record) == "UPDATE_FAILED"
    heat.engine.update(record, asked({"a": knob(v="2")}))
    assert heat.after(1, record) == "UPDATE_COMPLETE"


def test_rollback_of_create_and_update() -> None:
    """With roll-back a failed create leaves an empty stack of that name, a failed update the old values."""
    heat = Heat()
    record = heat.create({"a": knob(fail_on=["CREATE"])}, disable_rollback=False)
    assert heat.after(1, record) == "ROLLBACK_COMPLETE"
    assert record.resources == {}
    heat.engine.update(record, asked({"a": knob(v="1")}))
    heat.after(1, record)
    heat.engine.update(record, asked({"a": knob(v="2", fail_on=["UPDATE"])}))
    assert heat.after(1, record) == "ROLLBACK_COMPLETE"
    assert record.resources["a"].properties == {"v": "1"}


def test_timeout_ends_an_action() -> None:
    """timeout_mins bounds a create, and later the delete of the same stack."""
    heat = Heat()
    record = heat.create({"a": wait(-1)}, timeout_min=1)
    assert heat.after(59, record) == "CREATE_IN_PROGRESS"
    assert heat.after(2, record) == "CREATE_FAILED"
    assert record.reason == "Timed out"
    heat.engine.delete(record)
    assert heat.after(61, record) == "DELETE_FAILED"


def test_stuck_stack_outlives_its_timeout_and_can_be_deleted() -> None:
    """A stack whose engine died stays IN_PROGRESS whatever its timeout; a delete helps."""
    heat = Heat()
    record = heat.engine.create("ten", "s1", asked({"a": knob()}, timeout_min=1), Fate.STUCK)
    assert heat.after(10_000, record) == "CREATE_IN_PROGRESS"
    heat.engine.delete(record)
    assert heat.after(0, record) == "DELETE_COMPLETE"


def test_delete_waits_for_what_has_begun_and_goes_backwards() -> None:
    """A delete during a create lets begun resources finish, then removes dependents first."""
    heat = Heat()
    record = heat.create({"a": wait(4), "b": {**wait(2), "depends_on": "a"}})
    heat.after(1, record)
    heat.engine.delete(record)
    assert heat.after(6, record) == "DELETE_IN_PROGRESS"
    assert heat.after(1.5, record) == "DELETE_COMPLETE"


def test_delete_failed_takes_only_another_delete() -> None:
    """DELETE_FAILED refuses updates; deleting again is accepted."""
    heat = Heat()
    record = heat.create({"a": knob(fail_on=["DELETE"])})
    heat.after(1, record)
    heat.engine.delete(record)
    assert heat.after(1, record) == "DELETE_FAILED"
    assert record.reason == "Resource DELETE failed: ValueError: resources.a: knob failed on DELETE"
    with pytest.raises(HeatError, match="Updating a stack when it is deleting"):
        heat.engine.update(record, asked({"a": knob()}))
    heat.engine.delete(record)
    assert heat.after(1, record) == "DELETE_FAILED"


def test_cancel_update() -> None:
    """An update can be cancelled with and without going back, and nothing else can."""
    heat = Heat()
    record = heat.create({"a": wait(0, "1")})
    heat.after(1, record)
    with pytest.raises(HeatError, match="Cancelling update when stack is CREATE_COMPLETE"):
        heat.engine.cancel_update(record, rollback=True)
    heat.engine.update(record, asked({"a": wait(20, "2")}))
    heat.engine.cancel_update(record, rollback=False)
    assert (record.stack_status, record.reason) == ("UPDATE_FAILED", "Stack UPDATE cancelled")
    heat.engine.update(record, asked({"a": wait(20, "3")}))
    heat.engine.cancel_update(record, rollback=True)
    assert heat.after(1, record) == "ROLLBACK_COMPLETE"


def test_extra_seconds_come_on_top() -> None:
    """Latency per action and stack can be injected."""
    heat = Heat(extra_s=lambda action, name: 5.0 if (action, name) == ("CREATE", "s1") else 0.0)
    record = heat.create({"a": knob()})
    assert heat.after(4.9, record) == "CREATE_IN_PROGRESS"
    assert heat.after(0.2, record) == "CREATE_COMPLETE"
