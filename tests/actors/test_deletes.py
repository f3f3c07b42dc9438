"""Deleting (contract 8.3, 8.4, 10.9, 10.11, 10.24): the sequence, the order in a burst, and nothing left."""

from __future__ import annotations

import pytest

from actors.core import keys
from actors.core.model import Ref
from actors.ports import Delete, WriteSet
from sim.heat.engine import Fate
from tests.actors.rig import TYPES
from tests.actors.trial import (
    CHAIN,
    DHCP_PORT,
    LOGICAL_PORT,
    NETWORK,
    OWNERSHIP,
    PORT,
    ROUTER,
    SLOW,
    SUBNET,
    SWITCH,
    Trial,
    body_of,
    config_key,
    example,
)
from tests.actors.trouble import HOUR, error_of, fate_of, jobs_of, nothing_in_flight


def vanish(trial: Trial, ref: Ref) -> None:
    """`/config` goes without a mark."""
    trial.client.commit([WriteSet((Delete(config_key(ref)),))])


def quiet(trial: Trial) -> None:
    """Long enough for anything that is still to come."""
    trial.host.advance(30.0)
    assert nothing_in_flight(trial)


def everything() -> list[Ref]:
    """All resources of the seed."""
    return [ref for key in example() if (ref := TYPES.ref(key, keys.CONFIG)) is not None]


# ----------------------------------------------------------------------------------------------- one by one


def test_the_sequence(trial: Trial) -> None:
    """Contract 8.4: monitoring is stopped first, then the stack goes; every transaction has exactly its keys."""
    before = len(trial.touched(LOGICAL_PORT))
    trial.change(LOGICAL_PORT, 2, marked=True)
    trial.settle()
    monitoring, heat = "logical_delete:monitoring_worker", "logical_delete:heat_worker"
    assert [names for _, names in trial.touched(LOGICAL_PORT)[before:]] == [
        ("accepted", "job_state", heat, monitoring),
        (monitoring, "monitoring", "targets"),
        ("heat_stacks", "job_state"),
        ("history", "job_state", heat, "state"),
    ]


def test_what_is_recorded(trial: Trial) -> None:
    """Contract 8.3: heat_stacks emptied, `/state` DELETE_COMPLETED at the marked version, no `/monitoring`."""
    trial.change(LOGICAL_PORT, 2, marked=True)
    trial.settle()
    assert trial.at(keys.HEAT_STACKS, LOGICAL_PORT) == {
        "id": str(LOGICAL_PORT),
        "output": [],
        "stack_id": "",
        "stack_status": "DELETE_COMPLETE",
        "status_reason": "",
        "tenant_id": "0b576f6f4cbf414f829cd12f008bf08f",
    }
    state = trial.state(LOGICAL_PORT)
    assert (state["version"], state["error"]) == (2, "")
    assert state["state"] == {"heat_outputs": "[]", "worker_state": "DELETE_COMPLETED"}
    assert trial.at(keys.MONITORING, LOGICAL_PORT) is None
    assert trial.at(keys.ACCEPTED, LOGICAL_PORT)["deleted"] is True
    assert keys.stack_name(LOGICAL_PORT) not in trial.living()


def test_nothing_remains_once_the_api_server_has_removed_it(trial: Trial) -> None:
    """Appendix C 10: no key with that id, and none comes back."""
    trial.change(LOGICAL_PORT, 2, marked=True)
    trial.settle()
    trial.remove(LOGICAL_PORT)
    quiet(trial)
    assert trial.leftovers(LOGICAL_PORT) == []
    trial.kill("all")
    trial.host.advance(HOUR)
    assert trial.leftovers(LOGICAL_PORT) == []


def test_nothing_is_polled_for_what_is_gone(trial: Trial) -> None:
    """The last resource of a device takes the device along; those that stay are still watched."""
    trial.change(LOGICAL_PORT, 2, marked=True)
    trial.settle()
    trial.host.advance(60.0)
    trial.tables["QFX-NW02"].set_port("xe-0/0/3.1025", 2, trial.host.now)
    trial.host.advance(90.0)
    assert trial.at(keys.MONITORING, LOGICAL_PORT) is None
    assert trial.at(keys.MONITORING, SWITCH) == {"switch": "UP", "version": 1}


def test_it_may_be_declared_again(trial: Trial) -> None:
    """After everything is gone the same id begins anew at version 1."""
    trial.change(LOGICAL_PORT, 2, marked=True)
    trial.settle()
    trial.remove(LOGICAL_PORT)
    quiet(trial)
    trial.declare_example([LOGICAL_PORT])
    trial.settle()
    trial.host.advance(1.0)
    assert trial.state(LOGICAL_PORT)["state"]["worker_state"] == "CREATE_COMPLETED"
    assert trial.at(keys.MONITORING, LOGICAL_PORT) == {"logical_port": "UP", "version": 1}


def test_declared_again_before_it_was_removed(trial: Trial) -> None:
    """A mark that is taken back after the delete was done: built anew, one stack."""
    trial.change(LOGICAL_PORT, 2, marked=True)
    trial.settle()
    trial.change(LOGICAL_PORT, 3)
    trial.settle()
    assert trial.state(LOGICAL_PORT)["version"] == 3
    assert trial.state(LOGICAL_PORT)["state"]["worker_state"] == "CREATE_COMPLETED"
    assert trial.living().count(keys.stack_name(LOGICAL_PORT)) == 1


@pytest.mark.parametrize("ref", [DHCP_PORT, ROUTER], ids=["job-less", "monitored"])
def test_what_has_no_stack(trial: Trial, ref: Ref) -> None:
    """Contract 10.9 and the monitoring-only sequence: DELETE_COMPLETED, then nothing."""
    trial.declare_example([ref])
    trial.settle()
    trial.host.advance(1.0)
    trial.change(ref, 2, marked=True)
    trial.settle()
    assert trial.state(ref)["state"]["worker_state"] == "DELETE_COMPLETED"
    assert trial.state(ref)["version"] == 2
    assert trial.at(keys.MONITORING, ref) is None
    trial.remove(ref)
    quiet(trial)
    assert trial.leftovers(ref) == []


def test_a_stack_that_is_gone_already(trial: Trial) -> None:
    """Somebody removed it from Heat: the delete is a success."""
    tenant = "0b576f6f4cbf414f829cd12f008bf08f"
    (found,) = trial.stacks.find(tenant, keys.stack_name(LOGICAL_PORT))
    trial.stacks.delete(tenant, found.name, found.id)
    trial.host.advance(5.0)
    trial.change(LOGICAL_PORT, 2, marked=True)
    trial.settle()
    assert error_of(trial, LOGICAL_PORT) == ""
    assert trial.state(LOGICAL_PORT)["state"]["worker_state"] == "DELETE_COMPLETED"


def test_a_mark_on_something_never_built() -> None:
    """Marked before the controller ever saw it: DELETE_COMPLETED without a stack having existed."""
    with Trial() as trial:
        trial.declare_example([])
        trial.change(NETWORK, 2, marked=True)
        trial.settle()
        assert trial.state(NETWORK)["version"] == 2
        assert trial.state(NETWORK)["state"]["worker_state"] == "DELETE_COMPLETED"
        assert "create" not in trial.stacks.requests


def test_a_mark_while_it_is_built(trial: Trial) -> None:
    """Contract 10.5: a delete mark supersedes; what was begun is ended and then deleted, nothing is left."""
    with Trial(heat=SLOW) as fresh:
        fresh.declare_example([NETWORK])
        fresh.host.advance(1.0)
        fresh.change(NETWORK, 2, marked=True)
        fresh.settle()
        assert fresh.state(NETWORK)["state"]["worker_state"] == "DELETE_COMPLETED"
        assert fresh.living() == []
        assert nothing_in_flight(fresh)
    assert trial.living()


def test_a_delete_that_heat_refuses(trial: Trial) -> None:
    """DELETE_FAILED is final and leaves its traces; the stack is still there; a further version tries again."""
    fate_of(trial, LOGICAL_PORT, Fate.FAIL, "DELETE")
    trial.change(LOGICAL_PORT, 2, marked=True)
    trial.settle(limit_s=HOUR)
    state = trial.state(LOGICAL_PORT)
    assert state["version"] == 2
    assert state["state"]["worker_state"] == "DELETE_FAILED"
    assert state["error"]
    assert keys.stack_name(LOGICAL_PORT) in trial.living()
    fate_of(trial, LOGICAL_PORT, Fate.NATURAL)
    trial.change(LOGICAL_PORT, 3, marked=True)
    trial.settle()
    assert trial.state(LOGICAL_PORT)["state"]["worker_state"] == "DELETE_COMPLETED"
    assert keys.stack_name(LOGICAL_PORT) not in trial.living()


# ------------------------------------------------------------------------------------------ without a mark


def test_a_declaration_that_vanishes_is_deleted_and_forgotten(trial: Trial) -> None:
    """Contract 10.24: the stack goes, monitoring ends, and no key remains once `/state` is removed too."""
    vanish(trial, LOGICAL_PORT)
    trial.host.advance(10.0)
    assert keys.stack_name(LOGICAL_PORT) not in trial.living()
    assert trial.at(keys.MONITORING, LOGICAL_PORT) is None
    quiet(trial)
    trial.remove(LOGICAL_PORT)
    quiet(trial)
    assert trial.leftovers(LOGICAL_PORT) == []


def test_a_declaration_that_vanishes_while_nobody_looks(trial: Trial) -> None:
    """The controller was down: it finds out when it starts."""
    trial.crash()
    vanish(trial, LOGICAL_PORT)
    trial.start()
    trial.host.advance(15.0)
    assert keys.stack_name(LOGICAL_PORT) not in trial.living()
    trial.remove(LOGICAL_PORT)
    quiet(trial)
    assert trial.leftovers(LOGICAL_PORT) == []


def test_a_failed_declaration_that_vanishes_leaves_no_stack() -> None:
    """What Heat failed to build has no record of its stack, which stands: it is deleted like any other."""
    with Trial() as trial:
        fate_of(trial, NETWORK, Fate.FAIL)
        trial.declare_example([NETWORK])
        trial.settle()
        assert trial.state(NETWORK)["state"]["worker_state"] == "CREATE_FAILED"
        assert trial.living() == [keys.stack_name(NETWORK)]
        vanish(trial, NETWORK)
        quiet(trial)
        assert trial.living() == []
        assert trial.leftovers(NETWORK) == []


def test_a_job_less_declaration_that_vanishes(trial: Trial) -> None:
    """Types that are removed in one step (contract 8.6): only the accepted copy is dropped."""
    told = trial.written(keys.STATE, DHCP_PORT)
    trial.remove(DHCP_PORT)
    quiet(trial)
    assert trial.leftovers(DHCP_PORT) == []
    assert [value for _, value in trial.written(keys.STATE, DHCP_PORT)[len(told) :] if value] == []


@pytest.mark.parametrize("down", [False, True], ids=["seen", "while nobody looks"])
def test_a_job_less_deletion_of_which_only_the_declaration_is_cleared_away(trial: Trial, down: bool) -> None:
    """`/state` is all that a job-less deletion leaves: it goes with the declaration, whoever forgets to remove it."""
    trial.change(DHCP_PORT, 2, marked=True)
    trial.settle()
    assert trial.state(DHCP_PORT)["state"]["worker_state"] == "DELETE_COMPLETED"
    if down:
        trial.crash()
    vanish(trial, DHCP_PORT)
    if down:
        trial.start()
    quiet(trial)
    assert trial.leftovers(DHCP_PORT) == []


def test_what_failed_before_it_was_accepted_vanishes_and_begins_anew(trial: Trial) -> None:
    """A failure without a plan is forgotten with its declaration: the same version, declared later, is built."""
    lost = Ref("subnet", "5a1d0c1e-9d0b-4f0e-8e53-0b5a3b0c7f11")
    trial.declare([(config_key(lost), keys.encode_declared({**body_of(SUBNET), "network_id": "none"}, 1))])
    trial.settle(limit_s=HOUR)
    assert trial.state(lost)["state"]["worker_state"] == "CREATE_FAILED"
    vanish(trial, lost)
    quiet(trial)
    assert trial.leftovers(lost) == []
    trial.declare([(config_key(lost), keys.encode_declared(body_of(SUBNET), 1))])
    trial.settle()
    assert trial.state(lost)["state"]["worker_state"] == "CREATE_COMPLETED"


def test_a_mark_without_a_new_version_is_a_mark(trial: Trial) -> None:
    """Contract 2.1: another deletion flag is a change, though the API server raises the version with it."""
    trial.change(SUBNET, 1, marked=True)
    trial.settle()
    assert trial.state(SUBNET)["state"]["worker_state"] == "DELETE_COMPLETED"
    assert keys.stack_name(SUBNET) not in trial.living()


# ---------------------------------------------------------------------------------------------- in a burst


def test_a_deletion_waits_for_the_update_of_a_user_that_came_before(trial: Trial) -> None:
    """Contract 10.11: it waits for the jobs of those that refer to it, those about to come included."""
    trial.change(SUBNET, 2)
    trial.change(NETWORK, 2, marked=True)
    trial.settle(limit_s=300.0)
    awaited = jobs_of(trial, NETWORK, 2)[0][1]["dependency"]
    assert [":".join(name.split(":")[:3]) for name in awaited] == ["modify:heat_worker:subnet"]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_burst_is_deleted_in_reverse_order(trial: Trial, backwards: bool) -> None:
    """Contract 10.11: everything marked at once, in any order: referrers go first, and everything goes."""
    for ref in CHAIN[::-1] if backwards else CHAIN:
        trial.change(ref, 2, marked=True)
    trial.settle(limit_s=300.0)
    assert [ref for ref in CHAIN if error_of(trial, ref)] == []
    assert trial.living() == []
    ends = {ref: trial.written(keys.STATE, ref)[-1][0] for ref in CHAIN}
    for later, earlier in ((NETWORK, SUBNET), (SUBNET, PORT), (PORT, LOGICAL_PORT), (SWITCH, LOGICAL_PORT)):
        assert ends[earlier] < ends[later], f"{earlier} goes before {later}"
    for ref in CHAIN:
        trial.remove(ref)
    quiet(trial)
    assert [trial.leftovers(ref) for ref in CHAIN] == [[]] * len(CHAIN)


def test_the_whole_gateway_is_deleted(trial: Trial) -> None:
    """All 22 resources of the seed at once: nothing is left in Heat, nothing in etcd, nothing is polled."""
    trial.apply_example()
    trial.settle()
    for ref in everything():
        trial.change(ref, 2, marked=True)
    trial.settle(limit_s=600.0)
    assert [ref for ref in everything() if error_of(trial, ref)] == []
    assert trial.living() == []
    for ref in everything():
        trial.remove(ref)
    quiet(trial)
    ours = (keys.TEMPLATES, *OWNERSHIP)
    assert [key for key in trial.keys("/") if not key.startswith(ours)] == []
    polls = trial.agent.gets
    trial.host.advance(HOUR)
    assert trial.agent.gets == polls
