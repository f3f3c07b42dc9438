"""The gateway of the seed through all actors: its checkpoints in order, its dependencies, its monitoring."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from actors.core import keys
from actors.core.model import Ref
from tests.actors.rig import EXAMPLE, TYPES
from tests.actors.trial import (
    DHCP_PORT,
    GATEWAY,
    LOGICAL_PORT,
    LOGICAL_PORT_2,
    NETWORK,
    PHYSICAL_PORT,
    PHYSICAL_PORT_2,
    PORT,
    PORT_2,
    ROUTER,
    SUBNET,
    SWITCH,
    Trial,
    example,
    short,
)

#: What has a stack, and of these what is monitored by a job as well.
STACKED = (
    *(SWITCH, PHYSICAL_PORT, PHYSICAL_PORT_2, NETWORK, SUBNET),
    *(PORT, PORT_2, LOGICAL_PORT, LOGICAL_PORT_2, GATEWAY),
)
#: Everything that is looked at, with what is seen of it.
SEEN = {
    SWITCH: {"switch": "UP"},
    PHYSICAL_PORT: {"port": "UP"},
    LOGICAL_PORT: {"logical_port": "UP"},
    ROUTER: {"router": "UP"},
    GATEWAY: {
        "primary_41": "MASTER",
        "secondary_41": "BACKUP",
        "primary_42": "MASTER",
        "secondary_42": "BACKUP",
    },
}


class Watched(Trial):
    """A Trial that notes at which revision Heat was asked to create each stack."""

    def watch_heat(self) -> None:
        """Begin noting."""
        self.creates: dict[str, int] = {}

        def fault(point: str, name: str) -> None:
            if point == "create":
                assert name not in self.creates, f"{name} is created twice"
                self.creates[name] = self.etcd.revision

        self.stacks._fault = fault


@pytest.fixture(scope="module")
def built() -> Iterator[Watched]:
    """The gateway, built; tests that share it only look."""
    with Watched() as trial:
        trial.watch_heat()
        trial.apply_example()
        trial.settle()
        trial.host.advance(1.0)
        yield trial


def refs() -> list[Ref]:
    """Everything that is declared."""
    found = [TYPES.ref(key, keys.CONFIG) for key in example()]
    return [ref for ref in found if ref is not None]


# ------------------------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("ref", [LOGICAL_PORT, SWITCH, PHYSICAL_PORT, GATEWAY], ids=lambda ref: ref.type)
def test_checkpoints_in_order(built: Watched, ref: Ref) -> None:
    """T1 to T5 of a monitored resource with a stack: five revisions, each with exactly its keys."""
    heat, monitoring = "create:heat_worker", "create:monitoring_worker"
    assert [names for _, names in built.touched(ref)] == [
        ("accepted", heat, monitoring, "job_state"),
        (heat, "heat_stacks", "job_state"),
        ("job_state", "targets"),
        (monitoring, "history", "job_state", "state"),
        ("monitoring",),
    ]


def test_never_more_than_five_revisions(built: Watched) -> None:
    """Figure of design 6, for every resource."""
    assert {ref for ref in refs() if len(built.touched(ref)) > 5} == set()
    assert all(built.touched(ref) for ref in refs())


def test_job_state_passes_through_its_stages(built: Watched) -> None:
    """Seed check points (4) and (5): {} → outputs → outputs and monitoring → gone; native values, no text."""
    stages = [value for _, value in built.written(keys.JOB_STATE, LOGICAL_PORT)]
    assert [sorted(stage) if stage is not None else None for stage in stages] == [
        [],
        ["heat_outputs"],
        ["heat_outputs", "state_monitoring"],
        None,
    ]
    assert stages[2]["state_monitoring"] == {"logical_port": "ACTIVE"}
    assert isinstance(stages[1]["heat_outputs"], list)


def test_state_comes_before_monitoring(built: Watched) -> None:
    """Design 1.4: for every resource `/state` is written once, and `/monitoring` later, at the same version."""
    for ref in refs():
        states, seen = built.written(keys.STATE, ref), built.written(keys.MONITORING, ref)
        assert len(states) == 1, ref
        assert states[0][1]["version"] == 1
        assert all(revision > states[0][0] and value["version"] == 1 for revision, value in seen), ref


def test_jobs_are_those_of_the_seed(built: Watched) -> None:
    """Seed check point (2): two jobs for the logical port; ids, order, parameters and dependencies."""
    jobs = {}
    for revision, changes in built.etcd._history:
        for change in changes:
            if (
                str(LOGICAL_PORT) in change.key
                and change.key.startswith(keys.JOBS)
                and hasattr(change, "value")
            ):
                jobs[short(change.key)] = (revision, change.key[len(keys.JOBS) :], json.loads(change.value))
    (_, heat_id, heat), (_, monitoring_id, monitoring) = (
        jobs["create:heat_worker"],
        jobs["create:monitoring_worker"],
    )
    assert len(jobs) == 2
    for name, (handler, body, zero) in ((heat_id, heat), (monitoring_id, monitoring)):
        assert re.fullmatch(rf"create:{handler}:{LOGICAL_PORT}:1:[a-z0-9]{{5}}", name)
        assert (body["id"], zero) == (name, 0)
    assert (heat[1]["is_first"], heat[1]["is_last"]) == (True, False)
    assert {param["param"]: param["type"] for param in heat[1]["params"]} == {
        "logical_port_name": "value",
        "logical_port_type": "value",
        "logical_port_vlan_id": "value",
        "virtual_machine_interface_ids": "list",
        "physical_port_id": "output_key",
    }
    waits = {":".join(dependency.split(":")[:4]) for dependency in heat[1]["dependency"]}
    assert f"create:heat_worker:{PORT}" in waits
    assert all(one.startswith("create:heat_worker:") for one in waits), "monitoring jobs are not waited for"
    assert len(monitoring[1]["params"]) == 6
    assert monitoring[1]["dependency"] == [heat_id]


def test_the_stack_record_is_that_of_the_seed(built: Watched) -> None:
    """Seed check point (3): six members; an output that Heat could not compute is carried and fails nothing."""
    record = built.at(keys.HEAT_STACKS, LOGICAL_PORT)
    assert sorted(record) == ["id", "output", "stack_id", "stack_status", "status_reason", "tenant_id"]
    outputs = {output["output_key"]: output for output in record["output"]}
    assert outputs["name"]["output_value"] is None
    assert "li_uuid" in outputs["name"]["output_error"]
    assert outputs["id"]["output_value"]
    state = built.state(LOGICAL_PORT)
    assert json.loads(state["state"]["heat_outputs"]) == record["output"]
    assert state["state"]["state_monitoring"] == '{"logical_port": "ACTIVE"}'
    assert (state["version"], state["error"], state["state"]["worker_state"]) == (1, "", "CREATE_COMPLETED")


def test_a_dhcp_port_needs_no_job(built: Watched) -> None:
    """Appendix C 11: one revision, only READ_COMPLETE and the accepted copy."""
    assert [names for _, names in built.touched(DHCP_PORT)] == [("accepted", "history", "state")]
    assert built.state(DHCP_PORT) == {"error": "", "state": {"worker_state": "READ_COMPLETE"}, "version": 1}


def test_nothing_of_the_work_remains(built: Watched) -> None:
    """No job, no job_state, no attempts; a stack for each of the ten, created once."""
    assert not [k for k in built.keys("/") if k.startswith((keys.JOBS, keys.JOB_STATE, keys.ATTEMPTS))]
    assert built.living() == sorted(keys.stack_name(ref) for ref in STACKED)
    assert set(built.creates) == set(built.living())


def test_a_person_sees_everything_settled(built: Watched) -> None:
    """Status: all resources, all settled, all seen, the store up, no problems."""
    status = built.status()
    assert status.counts == {"settled": len(refs())}
    assert status.ready
    assert status.store == "up"
    assert not status.problems
    assert all(row.seen and not row.error for row in status.rows)


# ------------------------------------------------------------------------------------------ dependencies


def test_dependencies_hold(built: Watched) -> None:
    """No stack is begun before the jobs that its job waits for are recorded as done (T2)."""
    ends: dict[str, int] = {}
    needs: dict[str, list[str]] = {}
    for revision, changes in built.etcd._history:
        for change in changes:
            if not change.key.startswith(keys.JOBS):
                continue
            name = change.key[len(keys.JOBS) :]
            if hasattr(change, "value"):
                needs[name] = json.loads(change.value)[1]["dependency"]
            else:
                ends[name] = revision
    checked = 0
    for name, dependencies in needs.items():
        _, handler, kind, rid, *_ = name.split(":")
        if handler != "heat_worker":
            continue
        begun = built.creates[keys.stack_name(Ref(kind, rid))]
        for dependency in dependencies:
            assert ends[dependency] <= begun, f"{name} was begun before {dependency} was done"
            checked += 1
    assert checked >= 12


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        (SUBNET, NETWORK),
        (PORT, SUBNET),
        (PORT_2, NETWORK),
        (LOGICAL_PORT, PORT),
        (LOGICAL_PORT, PHYSICAL_PORT),
        (PHYSICAL_PORT, SWITCH),
        (GATEWAY, SUBNET),
    ],
    ids=lambda ref: ref.type,
)
def test_the_order_of_the_seed(built: Watched, later: Ref, earlier: Ref) -> None:
    """The dependencies of contract 2.5: the outputs of the one are recorded before the other is begun."""
    recorded = built.written(keys.HEAT_STACKS, earlier)[0][0]
    assert recorded <= built.creates[keys.stack_name(later)]


# -------------------------------------------------------------------------------------------- monitoring


@pytest.mark.parametrize(("ref", "statuses"), SEEN.items(), ids=lambda value: getattr(value, "type", ""))
def test_what_is_seen(built: Watched, ref: Ref, statuses: dict[str, str]) -> None:
    """Seed check point (7): flat, with the version; written once."""
    assert built.at(keys.MONITORING, ref) == {**statuses, "version": 1}
    assert len(built.written(keys.MONITORING, ref)) == 1


def test_vrrp_roles_in_the_state(built: Watched) -> None:
    """`state_monitoring` says the role in lower case (contract 6.2)."""
    assert json.loads(built.state(GATEWAY)["state"]["state_monitoring"]) == {
        "primary_41": "master",
        "secondary_41": "backup",
        "primary_42": "master",
        "secondary_42": "backup",
    }


def test_passive_monitors_are_active_at_once_and_never_published(built: Watched) -> None:
    """Types that are not SNMP: ACTIVE in `/state`, no `/monitoring`, no target kept."""
    for kind, members in (("network", {"network"}), ("ha_router", {"primary", "secondary"})):
        ref = next(ref for ref in refs() if ref.type == kind)
        state = json.loads(built.state(ref)["state"]["state_monitoring"])
        assert state == dict.fromkeys(members, "ACTIVE")
        assert not built.written(keys.MONITORING, ref)
        assert built.at(keys.TARGETS, ref) is None


def test_an_unattached_port_is_not_monitored(built: Watched) -> None:
    """An empty document: `state_monitoring` is "{}" and there is no `/monitoring` (contract 8.1)."""
    assert built.state(PORT)["state"]["state_monitoring"] == "{}"
    assert not built.written(keys.MONITORING, PORT)


def test_no_secret_is_written(built: Watched) -> None:
    """Passwords stand where the API server put them, and in the copies of the body, nowhere else."""
    assert "lab-password" in EXAMPLE.read_text()
    for entry in built.client.page("/", limit=100_000).entries:
        if b"lab-password" in entry.value:
            assert entry.key.startswith((keys.CONFIG, keys.ACCEPTED)), entry.key
