"""Further versions (contract 2.4, 8.1, 10.5, 10.12): sequences, newest wins, one workflow at a time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.core import keys
from actors.core.model import Ref
from actors.ports import Delete, WriteSet
from sim.heat.engine import Fate, Settings
from tests.actors.trial import GATEWAY, LOGICAL_PORT, NETWORK, PORT, ROUTER, SLOW, SUBNET, Trial, body_of
from tests.actors.trouble import document, error_of, fate_of, jobs_of, nothing_in_flight, template


def shape(trial: Trial, ref: Ref, version: int) -> list[str]:
    """`action:handler` of each of its jobs."""
    return [f"{body['action']}:{handler}" for handler, body, _ in jobs_of(trial, ref, version)]


def one_at_a_time(trial: Trial) -> None:
    """From now on: fail if Heat is asked for something while the stack is still busy with something else."""

    def fault(point: str, name: str) -> None:
        if point not in ("create", "update", "delete"):
            return
        tenants = list(trial.stacks.engine._tenants)
        busy = {one.name for tenant in tenants for one in trial.stacks.engine.running(tenant)}
        assert name not in busy, f"{point} of {name} while it is in progress"

    trial.stacks._fault = fault


def versions(trial: Trial, root: str, ref: Ref) -> list[int]:
    """The versions that a key has passed through; 0 where it was deleted."""
    return [value["version"] if value is not None else 0 for _, value in trial.written(root, ref)]


# ------------------------------------------------------------------------------------------------ sequences


def test_an_update_of_a_monitored_resource(trial: Trial) -> None:
    """Contract 8.1: three jobs with version 2, the first may fail; CREATE_COMPLETED in the end (G1)."""
    trial.change(LOGICAL_PORT, 2, vlan_id=1025, description="changed")
    trial.settle()
    assert shape(trial, LOGICAL_PORT, 2) == [
        "delete:monitoring_worker",
        "modify:heat_worker",
        "create:monitoring_worker",
    ]
    bodies = [body for _, body, _ in jobs_of(trial, LOGICAL_PORT, 2)]
    assert [body["on_failure"] for body in bodies] == ["ignore", "fail", "fail"]
    assert [len(body["dependency"]) for body in bodies] == [0, 1, 2]
    assert all(":2:" in body["id"] for body in bodies)
    state = trial.state(LOGICAL_PORT)
    assert (state["version"], state["error"]) == (2, "")
    assert state["state"]["worker_state"] == "CREATE_COMPLETED"
    assert trial.at(keys.HEAT_STACKS, LOGICAL_PORT)["stack_status"] == "UPDATE_COMPLETE"
    assert nothing_in_flight(trial)


def test_at_most_five_revisions_and_one_for_the_stop(trial: Trial) -> None:
    """T1, end of the stop, T2, T3, T4, T5: no write without effect."""
    before = len(trial.touched(LOGICAL_PORT))
    trial.change(LOGICAL_PORT, 2)
    trial.settle()
    trial.host.advance(1.0)
    assert len(trial.touched(LOGICAL_PORT)) - before == 6


def test_monitoring_is_kept_until_the_new_version_is_seen(trial: Trial) -> None:
    """Contract 10.12: never deleted in an update; version 2 replaces version 1 after `/state` 2."""
    trial.change(LOGICAL_PORT, 2)
    trial.host.advance(1.0)
    assert trial.at(keys.MONITORING, LOGICAL_PORT) == {"logical_port": "UP", "version": 1}
    trial.settle()
    trial.host.advance(1.0)
    assert versions(trial, keys.MONITORING, LOGICAL_PORT) == [1, 2]
    seen, state = trial.written(keys.MONITORING, LOGICAL_PORT), trial.written(keys.STATE, LOGICAL_PORT)
    assert seen[1][0] > state[1][0]


def test_a_renamed_port_is_watched_under_its_new_name(trial: Trial) -> None:
    """The target follows the declaration: DOWN of the new one is seen, the old one is not looked at any more."""
    trial.change(LOGICAL_PORT, 2, name="xe-0/0/4.1025")
    trial.settle()
    trial.host.advance(1.0)
    switch = trial.tables["QFX-NW02"]
    switch.set_port("xe-0/0/3.1025", 2, trial.host.now)
    trial.host.advance(90.0)
    assert trial.at(keys.MONITORING, LOGICAL_PORT) == {"logical_port": "UP", "version": 2}
    switch.set_port("xe-0/0/4.1025", 2, trial.host.now)
    trial.host.advance(90.0)
    assert trial.at(keys.MONITORING, LOGICAL_PORT) == {"logical_port": "DOWN", "version": 2}


def test_an_update_to_what_is_not_watched_ends_what_was_seen(trial: Trial) -> None:
    """Contract 10.12: with the target `/monitoring` goes, as no value of the new version will ever take its place."""
    template = f"{keys.TEMPLATES}ese_logical_port_monitoring"
    trial.client.commit([WriteSet((Delete(template),))])
    trial.change(LOGICAL_PORT, 2)
    trial.settle()
    trial.host.advance(100.0)
    assert shape(trial, LOGICAL_PORT, 2) == ["delete:monitoring_worker", "modify:heat_worker"]
    assert trial.state(LOGICAL_PORT)["version"] == 2
    assert versions(trial, keys.MONITORING, LOGICAL_PORT) == [1, 0]


def test_an_update_of_what_is_only_monitored(trial: Trial) -> None:
    """Two jobs, no request to Heat."""
    trial.declare_example([ROUTER])
    trial.settle()
    requests = dict(trial.stacks.requests)
    trial.change(ROUTER, 2, description="changed")
    trial.settle()
    trial.host.advance(1.0)
    assert shape(trial, ROUTER, 2) == ["delete:monitoring_worker", "create:monitoring_worker"]
    assert trial.at(keys.MONITORING, ROUTER) == {"router": "UP", "version": 2}
    assert trial.stacks.requests == requests


def test_an_update_of_what_has_only_a_stack(trial: Trial) -> None:
    """One job: modify; MODIFY_COMPLETED (contract 5.5)."""
    trial.change(SUBNET, 2, description="changed")
    trial.settle()
    assert shape(trial, SUBNET, 2) == ["modify:heat_worker"]
    assert trial.state(SUBNET)["state"]["worker_state"] == "MODIFY_COMPLETED"


def test_an_attached_port_waits_for_its_gateway(trial: Trial) -> None:
    """The internal update of the seed: port v2 depends on the gateway, which was declared in between."""
    trial.apply_example()
    trial.host.advance(1.0)
    assert trial.row(GATEWAY).stage == "running"
    trial.change(PORT, 2, attached=True)
    trial.host.advance(0.5)
    first = jobs_of(trial, PORT, 2)[0][1]
    assert first["id"].startswith("delete:monitoring_worker:port:")
    assert {":".join(name.split(":")[:4]) for name in first["dependency"]} == {
        f"create:heat_worker:{GATEWAY}"
    }
    trial.settle()
    trial.host.advance(1.0)
    assert json.loads(trial.state(PORT)["state"]["state_monitoring"]) == {"vmi": "ACTIVE"}
    assert trial.written(keys.STATE, PORT)[1][0] > trial.written(keys.HEAT_STACKS, GATEWAY)[0][0]


# --------------------------------------------------------------------------------------- nothing to be done


def test_the_same_declaration_again_is_no_work(trial: Trial) -> None:
    """Appendix C 18: unchanged version and body, any number of times: no job, no write of ours."""
    revision, requests = trial.etcd.revision, dict(trial.stacks.requests)
    trial.declare_example()
    trial.declare_example()
    trial.host.advance(20.0)
    assert trial.etcd.revision - revision == 2 * sum(1 for _ in trial.keys(keys.CONFIG))
    assert trial.stacks.requests == requests


def test_an_older_version_is_no_work(trial: Trial) -> None:
    """A version that was realised before (a restored backup) undoes nothing."""
    trial.change(SUBNET, 2)
    trial.settle()
    trial.change(SUBNET, 1)
    trial.host.advance(20.0)
    assert trial.state(SUBNET)["version"] == 2
    assert versions(trial, keys.STATE, SUBNET) == [1, 2]


# ------------------------------------------------------------------------------------ versions in succession


def test_a_version_during_the_first_build_follows_it(trial: Trial) -> None:
    """Contract 10.5: what has begun is finished, then the newest comes; those between are skipped."""
    one_at_a_time(trial)
    trial.change(NETWORK, 2)
    trial.host.advance(1.0)
    for version in (3, 4, 5):
        trial.change(NETWORK, version)
        trial.host.advance(0.1)
    trial.settle()
    assert versions(trial, keys.STATE, NETWORK) == [1, 2, 5]
    assert not jobs_of(trial, NETWORK, 3) + jobs_of(trial, NETWORK, 4)
    assert nothing_in_flight(trial)


def test_a_version_that_has_not_begun_is_replaced(trial: Trial) -> None:
    """While it waits for others, a newer version takes its place: create stays create."""
    with Trial(heat=SLOW) as fresh:
        one_at_a_time(fresh)
        fresh.declare_example()
        fresh.host.advance(1.0)
        assert fresh.row(SUBNET).stage == "waiting"
        fresh.change(SUBNET, 2)
        fresh.host.advance(0.1)
        fresh.change(SUBNET, 3)
        fresh.settle()
        assert versions(fresh, keys.STATE, SUBNET) == [3]
        assert shape(fresh, SUBNET, 3) == ["create:heat_worker"]
        assert fresh.stacks.requests.get("update", 0) == 0
        assert error_of(fresh, PORT) == "", "who waited for the replaced job waits for the new one"
        assert nothing_in_flight(fresh)
    assert trial.state(SUBNET)["version"] == 1


@pytest.mark.parametrize("restart", [False, True])
def test_who_needs_only_the_order_waits_for_the_job_that_took_the_place(restart: bool) -> None:
    """Contract 10.5 with 2.5: a subnet is declared anew while it waits for its network; a port that reads no output of
    it is built after it all the same."""
    source = """
        heat_template_version: 2013-05-23
        parameters: {name: {type: string}}
        resources: {n: {type: OS::Heat::None}}
    """
    path = {"field": "id", "path": [{"type": "subnet", "id": "subnet_id"}]}
    mappings: dict[str, dict[str, Any]] = {
        "network": {"name": "Pid"},
        "subnet": {"name": "Pid", "jinja_n": "Fnetwork+network_id:id"},
        "port": {"name": "Pid", "jinja_s": {"for_field": "fixed_ips", "for_mapping": path}},
    }
    slow = Settings(extra_s=lambda _, name: 30.0 if name.startswith("network") else 1.0)
    with Trial(heat=slow) as fresh:
        fresh.declare([template(name, mapping, source) for name, mapping in mappings.items()])
        fresh.declare([document(ref) for ref in (NETWORK, SUBNET, PORT)])
        fresh.host.advance(3.0)
        fresh.change(SUBNET, 2)
        fresh.host.advance(3.0)
        if restart:
            fresh.kill("all")
            fresh.host.advance(3.0)
        assert fresh.row(PORT).reason.startswith(f"waits for create:heat_worker:{SUBNET}:2:")
        fresh.settle()
        assert versions(fresh, keys.STATE, SUBNET) == [2]
        assert jobs_of(fresh, PORT, 1)[0][1]["dependency"] == [jobs_of(fresh, SUBNET, 1)[0][1]["id"]]
        stacks = [fresh.written(keys.HEAT_STACKS, ref)[0][0] for ref in (NETWORK, SUBNET, PORT)]
        assert stacks == sorted(stacks)
        assert error_of(fresh, PORT) == ""


@pytest.mark.parametrize("pause", [0.0, 0.02, 0.3, 1.1])
def test_many_versions_in_quick_succession(trial: Trial, pause: float) -> None:
    """Ten versions of four resources: each ends at the tenth, never two operations on one stack."""
    one_at_a_time(trial)
    refs = (NETWORK, SUBNET, PORT, LOGICAL_PORT)
    for version in range(2, 12):
        for ref in refs:
            trial.change(ref, version, description=f"version {version}")
        trial.host.advance(pause)
    trial.settle(limit_s=300.0)
    trial.host.advance(1.0)
    for ref in refs:
        seen = versions(trial, keys.STATE, ref)
        assert (seen[-1], error_of(trial, ref)) == (11, ""), ref
        assert seen == sorted(set(seen)), "versions only grow"
        assert trial.at(keys.ACCEPTED, ref)["version"] == 11
    assert trial.at(keys.MONITORING, LOGICAL_PORT) == {"logical_port": "UP", "version": 11}
    assert len(trial.living()) == len(set(trial.living())) == 6
    assert nothing_in_flight(trial)


def test_a_failed_update_keeps_the_stack(trial: Trial) -> None:
    """MODIFY_FAILED with Heat's reason; the stack stays; the next version repairs it by an update."""
    fate_of(trial, SUBNET, Fate.FAIL, "UPDATE")
    trial.change(SUBNET, 2)
    trial.settle()
    assert trial.state(SUBNET)["state"]["worker_state"] == "MODIFY_FAILED"
    assert error_of(trial, SUBNET).startswith("StackFailed: ")
    assert keys.stack_name(SUBNET) in trial.living()
    fate_of(trial, SUBNET, Fate.NATURAL)
    trial.change(SUBNET, 3)
    trial.settle()
    assert (error_of(trial, SUBNET), trial.state(SUBNET)["version"]) == ("", 3)
    assert trial.stacks.requests.get("delete", 0) == 0


def test_a_failed_update_leaves_no_status_that_nobody_keeps_true(trial: Trial) -> None:
    """Whether it fails in Heat, at its device or before its first job: `/monitoring` of the version before goes with
    its outcome, since nobody may write there any more, and the next version brings its own."""
    fate_of(trial, LOGICAL_PORT, Fate.FAIL, "UPDATE")
    trial.change(LOGICAL_PORT, 2)
    trial.settle()
    assert error_of(trial, LOGICAL_PORT).startswith("StackFailed: ")
    assert trial.at(keys.MONITORING, LOGICAL_PORT) is None
    fate_of(trial, LOGICAL_PORT, Fate.NATURAL)
    trial.change(LOGICAL_PORT, 3)
    trial.settle()
    trial.host.advance(1.0)
    assert trial.at(keys.MONITORING, LOGICAL_PORT) == {"logical_port": "UP", "version": 3}
    trial.change(LOGICAL_PORT, 4, name="xe-9/9/9.1")
    trial.settle(200.0)
    assert "is FAIL (the device has no such thing), wanted UP within 120 s" in error_of(trial, LOGICAL_PORT)
    assert trial.at(keys.MONITORING, LOGICAL_PORT) is None
    trial.change(LOGICAL_PORT, 5)
    trial.settle()
    trial.change(LOGICAL_PORT, 6, ese_physical_port_id=None)
    trial.settle()
    assert error_of(trial, LOGICAL_PORT).startswith("PlanError: ")
    assert trial.at(keys.MONITORING, LOGICAL_PORT) is None
    assert all(row.seen for row in trial.status().rows), "a start with --once does not wait for it"


def test_a_stack_of_a_former_life_is_taken_over(trial: Trial) -> None:
    """Etcd has lost a resource, and it begins anew at version 1: its stack, at version 3, becomes its own again at the
    second attempt, when etcd was read after Heat showed the higher version."""
    trial.change(SUBNET, 3)
    trial.settle()
    stack = keys.stack_name(SUBNET)
    before = [
        one.id for one in trial.stacks.engine.living(str(body_of(SUBNET)["tenant_id"])) if one.name == stack
    ]
    trial.crash()
    trial.client.commit([WriteSet(tuple(Delete(key) for key in trial.leftovers(SUBNET)))])
    trial.start()
    trial.change(SUBNET, 1)
    trial.settle()
    assert (trial.state(SUBNET)["version"], error_of(trial, SUBNET)) == (1, "")
    after = [
        one for one in trial.stacks.engine.living(str(body_of(SUBNET)["tenant_id"])) if one.name == stack
    ]
    assert [(one.id, one.tags[-1]) for one in after] == [(before[0], "v1")]
    assert trial.at(keys.ATTEMPTS, SUBNET) is None
