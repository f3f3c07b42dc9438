"""What is declared while an update waits (contract 10.5): it takes its place, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.core import keys
from actors.core.model import Ref
from actors.ports import Delete, WriteSet
from tests.actors.trial import CHAIN, LOGICAL_PORT, NETWORK, PORT, PORT_2, SUBNET, Trial
from tests.actors.trouble import HOUR, error_of, nothing_in_flight, quota, refuse


@pytest.fixture
def trial() -> Iterator[Trial]:
    """A VLAN on a switch port, built and watched; there is no room for the stack of a second port."""
    with Trial() as made:
        made.declare_example(CHAIN)
        made.settle()
        made.host.advance(1.0)
        refuse(made, "create", PORT_2, quota, 10**6)
        made.declare_example([PORT_2])
        made.host.advance(1.0)
        yield made


def waits_for_the_second_port(trial: Trial) -> None:
    """The VLAN is moved to the port that has no stack. Somebody takes that one's job out of etcd, so that the watch is
    stopped, and then its stack is waited for."""
    trial.change(LOGICAL_PORT, 2, port_ids=[PORT_2.id])
    trial.host.advance(1.0)
    jobs = tuple(Delete(key) for key in trial.keys(keys.JOBS) if str(PORT_2) in key)
    trial.client.commit([WriteSet(jobs)])
    trial.host.advance(1.0)
    trial.change(PORT_2, 2)
    trial.host.advance(100.0)
    assert trial.row(LOGICAL_PORT).reason == f"{PORT_2} has no stack yet"


def outcome(trial: Trial, ref: Ref) -> tuple[int, str]:
    """Version and word of its `/state`."""
    state = trial.state(ref)
    return state["version"], state["state"]["worker_state"]


def test_what_waits_for_the_next_version_of_a_producer_is_watched_as_before(trial: Trial) -> None:
    """A producer that is declared anew before it began is waited for with nothing of the update begun."""
    trial.change(LOGICAL_PORT, 2, port_ids=[PORT_2.id])
    trial.host.advance(1.0)
    trial.change(PORT_2, 2)
    trial.host.advance(100.0)
    assert trial.row(LOGICAL_PORT).reason.startswith(f"waits for create:heat_worker:{PORT_2}:2:")
    assert trial.at(keys.TARGETS, LOGICAL_PORT)["version"] == 1
    trial.stacks._fault = lambda point, name: None
    trial.settle(limit_s=HOUR)
    assert outcome(trial, LOGICAL_PORT) == (2, "CREATE_COMPLETED")


def test_a_consumer_and_what_it_waits_for_are_deleted_together(trial: Trial) -> None:
    """The producer, never built, is deleted after the consumer, and the consumer does not wait for its stack."""
    waits_for_the_second_port(trial)
    trial.change(LOGICAL_PORT, 3, marked=True)
    trial.change(PORT_2, 3, marked=True)
    trial.settle()
    assert outcome(trial, LOGICAL_PORT) == (3, "DELETE_COMPLETED")
    assert outcome(trial, PORT_2) == (3, "DELETE_COMPLETED")
    assert nothing_in_flight(trial)


def test_a_newer_version_takes_the_place_of_an_update_that_waits(trial: Trial) -> None:
    """Moved back to the port that stands: the version between is skipped, Heat never hears of it. As jobs wait for
    what the version before refers to as well (contract 2.5), it is built when the second port is."""
    waits_for_the_second_port(trial)
    trial.change(LOGICAL_PORT, 3, port_ids=[PORT.id])
    trial.host.advance(1.0)
    row = trial.row(LOGICAL_PORT)
    assert (row.version, row.stage) == (3, "waiting")
    trial.stacks._fault = lambda point, name: None
    trial.settle(limit_s=HOUR)
    assert outcome(trial, LOGICAL_PORT) == (3, "CREATE_COMPLETED")
    assert trial.stacks.requests["update"] == 1
    assert trial.at(keys.MONITORING, LOGICAL_PORT) == {"logical_port": "UP", "version": 3}
    assert nothing_in_flight(trial)


def test_what_is_deleted_before_it_is_built_is_a_failure_of_who_waits_for_it(trial: Trial) -> None:
    """Only the producer is marked: it goes, the update ends with a reason, and the stack is left as it was."""
    waits_for_the_second_port(trial)
    trial.change(PORT_2, 3, marked=True)
    trial.settle()
    assert outcome(trial, PORT_2) == (3, "DELETE_COMPLETED")
    assert outcome(trial, LOGICAL_PORT) == (2, "MODIFY_FAILED")
    assert f"{PORT_2} is marked for deletion and has no stack" in error_of(trial, LOGICAL_PORT)
    assert trial.stacks.requests.get("update", 0) == 0
    assert nothing_in_flight(trial)


def test_an_update_for_which_there_is_no_room_does_not_keep_a_resource(trial: Trial) -> None:
    """A mark that comes while an update of a watched port is refused for its quota is carried out."""
    refuse(trial, "update", LOGICAL_PORT, quota, 10**6)
    trial.change(LOGICAL_PORT, 2, description="changed")
    trial.host.advance(100.0)
    assert trial.row(LOGICAL_PORT).stage == "backing-off"
    trial.change(LOGICAL_PORT, 3, marked=True)
    trial.settle(limit_s=HOUR)
    assert outcome(trial, LOGICAL_PORT) == (3, "DELETE_COMPLETED")


def test_what_was_seen_goes_though_the_stop_was_that_of_another_version(trial: Trial) -> None:
    """The watch is stopped by an update that waits; the next two versions name no monitoring, and the first of them
    never begins: `/monitoring` of the version that stands does not stay."""
    waits_for_the_second_port(trial)
    assert trial.at(keys.MONITORING, LOGICAL_PORT) == {"logical_port": "UP", "version": 1}
    template = f"{keys.TEMPLATES}ese_logical_port_monitoring"
    trial.client.commit([WriteSet((Delete(template),))])
    for version in (3, 4):
        trial.change(LOGICAL_PORT, version, port_ids=[PORT.id])
        trial.host.advance(1.0)
    trial.stacks._fault = lambda point, name: None
    trial.settle(limit_s=HOUR)
    assert outcome(trial, LOGICAL_PORT)[0] == 4
    assert trial.at(keys.MONITORING, LOGICAL_PORT) is None


def test_three_that_would_wait_for_each_other() -> None:
    """A port that stays waits for its network's job, the network's deletion for the subnet's, and that one's for the
    port's job: the network's job, which never began, is withdrawn, the port fails with the reason, and both go."""
    with Trial() as trial:
        refuse(trial, "create", NETWORK, quota, 10**6)
        trial.declare_example([NETWORK, SUBNET, PORT])
        trial.host.advance(1.0)
        assert trial.row(PORT).stage == "waiting"
        trial.change(SUBNET, 2, marked=True)
        trial.change(NETWORK, 2, marked=True)
        trial.settle(limit_s=HOUR)
        assert outcome(trial, PORT) == (1, "CREATE_FAILED")
        assert f"{NETWORK} is marked for deletion and has no stack" in error_of(trial, PORT)
        assert outcome(trial, SUBNET) == outcome(trial, NETWORK) == (2, "DELETE_COMPLETED")
        assert nothing_in_flight(trial)
