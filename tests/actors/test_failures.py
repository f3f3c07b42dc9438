"""Failures (contract 10.3, 10.4): recorded once, told to dependents, retried where that may help, healed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.core import keys
from actors.core.errors import ErrorClass, PortError
from actors.core.model import Ref
from actors.ports import Delete, Put, WriteSet
from sim.heat.engine import Fate, Settings
from tests.actors.rig import TYPES
from tests.actors.trial import (
    CHAIN,
    LOGICAL_PORT,
    NETWORK,
    PHYSICAL_PORT,
    PORT,
    SUBNET,
    SWITCH,
    Trial,
    down,
    lost,
)
from tests.actors.trouble import (
    HOUR,
    LINE,
    document,
    error_of,
    fate_of,
    jobs_of,
    nothing_in_flight,
    quota,
    refuse,
    template,
)


@pytest.fixture
def trial() -> Iterator[Trial]:
    """A controller over an empty etcd."""
    with Trial() as made:
        yield made


# ------------------------------------------------------------------------------------------------ recording


def test_a_failed_stack_is_recorded_and_its_dependents_with_it(trial: Trial) -> None:
    """`/state` with version and error for it and for all that depend on it, each naming the job it died of."""
    fate_of(trial, NETWORK, Fate.FAIL)
    trial.declare_example()
    trial.settle()
    state = trial.state(NETWORK)
    assert state["version"] == 1
    assert state["error"].startswith("StackFailed: ")
    assert "CREATE_FAILED: Resource CREATE failed" in state["error"]
    assert state["state"] == {"heat_outputs": "[]", "worker_state": "CREATE_FAILED"}
    for ref, cause in ((SUBNET, NETWORK), (PORT, NETWORK), (LOGICAL_PORT, PORT)):
        assert error_of(trial, ref).startswith("DependencyFailed: ")
        assert f"dependency failed: create:heat_worker:{cause}:1:" in error_of(trial, ref)
        assert error_of(trial, ref).endswith(state["error"]), "the first cause is carried to the end"
        assert trial.state(ref)["state"]["worker_state"] == "CREATE_FAILED"
    assert nothing_in_flight(trial)


def test_others_go_on(trial: Trial) -> None:
    """What does not depend on the failed resource is built and watched; nothing is built on its ruins."""
    fate_of(trial, NETWORK, Fate.FAIL)
    trial.declare_example()
    trial.settle()
    for ref in (SWITCH, PHYSICAL_PORT):
        assert error_of(trial, ref) == ""
        assert trial.at(keys.MONITORING, ref) is not None
    assert trial.living() == sorted(keys.stack_name(ref) for ref in (SWITCH, PHYSICAL_PORT, NETWORK))
    assert trial.at(keys.MONITORING, LOGICAL_PORT) is None


def test_a_producer_that_only_the_monitoring_template_names_is_one(trial: Trial) -> None:
    """Contract 2.5: the workflow waits for what any of its jobs refers to, and fails with it before it begins."""
    source = """
        heat_template_version: 2013-05-23
        parameters: {name: {type: string}}
        resources: {n: {type: OS::Heat::None}}
    """
    watch = {
        "handler": "monitoring_worker",
        "parameter_mappings": {"n": {"field": "id", "path": ["network_id"]}},
        "template_file": "vmi: {type: virtual_network, uuid: x, fq_name: y}",
    }
    fate_of(trial, NETWORK, Fate.FAIL)
    trial.declare(
        [
            *(template(name, {"name": "Pid"}, source) for name in ("network", "port")),
            (f"{keys.TEMPLATES}port_monitoring", keys.encode_declared(watch, 1)),
            document(NETWORK),
            document(PORT),
        ]
    )
    trial.settle()
    assert f"dependency failed: create:heat_worker:{NETWORK}:1:" in error_of(trial, PORT)
    assert keys.stack_name(PORT) not in trial.living()
    assert nothing_in_flight(trial)


@pytest.mark.parametrize("order", [CHAIN, CHAIN[::-1]], ids=["root first", "root last"])
def test_a_failed_chain_is_built_by_one_retry(trial: Trial, order: tuple[Ref, ...]) -> None:
    """`retry` asks for all that failed at once: none dies of the failure that is being mended."""
    fate_of(trial, NETWORK, Fate.FAIL)
    trial.declare_example()
    trial.settle()
    failed = [ref for ref in order if error_of(trial, ref)]
    assert set(failed) == {NETWORK, SUBNET, PORT, LOGICAL_PORT}
    fate_of(trial, NETWORK, Fate.NATURAL)
    asked = [WriteSet((Put(keys.RECONCILE + TYPES.path(ref), b"{}"),)) for ref in failed]
    trial.client.commit(asked)
    trial.settle()
    assert [error_of(trial, ref) for ref in failed] == [""] * len(failed)


def test_dependents_are_told_at_once(trial: Trial) -> None:
    """Contract 2.8, in one step: whatever else they wait for, and whoever waits for them in turn."""
    refuse(trial, "create", SWITCH, quota, 10_000)
    fate_of(trial, NETWORK, Fate.FAIL)
    trial.declare_example()
    trial.host.advance(5.0)
    assert f"dependency failed: create:heat_worker:{PORT}:1:" in error_of(trial, LOGICAL_PORT)
    assert trial.row(SWITCH).stage == "backing-off"
    assert [key for key in trial.keys(keys.JOBS) if str(LOGICAL_PORT) in key] == []


def test_a_paused_dependent_is_told_when_it_goes_on(trial: Trial) -> None:
    """While an operator has paused it nothing is recorded of it, a failure of others neither."""
    pause = f"{keys.PAUSE}type/{LOGICAL_PORT.type}"
    refuse(trial, "create", SWITCH, quota, 10_000)
    fate_of(trial, NETWORK, Fate.FAIL)
    trial.declare_example()
    trial.host.advance(0.2)
    assert trial.row(LOGICAL_PORT).stage == "waiting"
    trial.client.commit([WriteSet((Put(pause, b"{}"),))])
    trial.host.advance(5.0)
    assert error_of(trial, PORT)
    assert trial.state(LOGICAL_PORT) is None
    trial.client.commit([WriteSet((Delete(pause),))])
    trial.host.advance(1.0)
    assert "dependency failed: " in error_of(trial, LOGICAL_PORT)


@pytest.mark.parametrize("network_s", [1.0, 300.0])
def test_a_failed_monitoring_job_is_the_failure_of_its_own_resource_only(network_s: float) -> None:
    """Contract 2.5: monitoring jobs of others are not waited for. Who waited for the stack alone is built,
    whether it looks before or after the failure, and after a restart."""
    with Trial(heat=Settings(extra_s=lambda _, name: network_s * name.startswith("network"))) as trial:
        trial.tables["QFX-NW02"].set_port("xe-0/0/3", 2, 0.0)
        trial.declare_example()
        trial.host.advance(200.0)
        kind, _, text = error_of(trial, PHYSICAL_PORT).partition(": ")
        assert kind == "MonitorTimeout"
        assert text.startswith(f"create:monitoring_worker:{PHYSICAL_PORT}:1:"), "the job that failed is named"
        trial.kill("all")
        trial.settle(limit_s=HOUR)
        assert error_of(trial, LOGICAL_PORT) == ""


def test_without_monitoring_templates_the_orchestration_state_is_told(trial: Trial) -> None:
    """G2 deployments: `orchestration_state` CREATE_ERROR beside CREATE_FAILED (contract 10.3)."""
    fate_of(trial, NETWORK, Fate.FAIL)
    source = """
        heat_template_version: 2013-05-23
        parameters: {name: {type: string}}
        resources: {n: {type: OS::Heat::None}}
    """
    trial.declare([template("network", {"name": "Pid"}, source), document(NETWORK)])
    trial.settle()
    assert trial.state(NETWORK)["state"] == {
        "heat_outputs": "[]",
        "worker_state": "CREATE_FAILED",
        "orchestration_state": "CREATE_ERROR",
    }


def test_a_failed_resource_stays_failed(trial: Trial) -> None:
    """Terminal is terminal: no retry, not after an hour, not after a restart."""
    fate_of(trial, NETWORK, Fate.FAIL)
    trial.declare_example(LINE)
    trial.settle()
    before = trial.state(NETWORK), dict(trial.stacks.requests)
    trial.kill("all")
    trial.host.advance(HOUR)
    assert (trial.state(NETWORK), trial.stacks.requests) == before


def test_the_next_version_heals(trial: Trial) -> None:
    """After a failure v2 is a create again; what died of it is built once it is declared again."""
    fate_of(trial, NETWORK, Fate.FAIL)
    trial.declare_example()
    trial.settle()
    fate_of(trial, NETWORK, Fate.NATURAL)
    for ref in LINE:
        trial.change(ref, 2)
    trial.settle()
    for ref in LINE:
        assert (trial.state(ref)["version"], error_of(trial, ref)) == (2, ""), ref
        assert trial.state(ref)["state"]["worker_state"] == "CREATE_COMPLETED"
    assert len(trial.living()) == len(set(trial.living())) == 6


# -------------------------------------------------------------------------------------------------- retries


@pytest.mark.parametrize("point", ["find", "create", "get"])
@pytest.mark.parametrize("times", [1, 3, 12])
def test_a_transient_error_heals(trial: Trial, point: str, times: int) -> None:
    """Heat away for a while: retried with back-off until it is back, however long it takes."""
    refuse(trial, point, NETWORK, down, times)
    trial.declare_example(LINE[:2])
    took = trial.settle(limit_s=HOUR)
    assert error_of(trial, NETWORK) == error_of(trial, SUBNET) == ""
    assert trial.living() == sorted(keys.stack_name(ref) for ref in LINE[:2])
    assert took < 60.0 * (times + 1)


@pytest.mark.parametrize("point", ["create", "create.done", "get.done", "find.done"])
@pytest.mark.parametrize("times", [1, 2, 7])
def test_a_lost_answer_of_heat_makes_no_second_stack(trial: Trial, point: str, times: int) -> None:
    """In doubt: it looks, and adopts what it finds."""
    refuse(trial, point, NETWORK, lost, times)
    trial.declare_example(LINE[:2])
    trial.settle(limit_s=HOUR)
    assert error_of(trial, NETWORK) == ""
    assert trial.living() == sorted(keys.stack_name(ref) for ref in LINE[:2])
    if point == "create.done":
        assert trial.stacks.requests["create"] == 2, "one for each resource: the lost one was found again"


def test_the_reason_is_told_while_it_waits(trial: Trial) -> None:
    """Design 1.6: a person sees that it is retried, when, and why; the others see whom they wait for."""
    refuse(trial, "create", NETWORK, down, 10_000)
    trial.declare_example(LINE[:2])
    trial.host.advance(30.0)
    row = trial.row(NETWORK)
    assert row.stage == "backing-off"
    assert "Unreachable: " in row.reason
    assert "connection refused" in row.reason
    waiting = trial.row(SUBNET)
    assert waiting.stage == "waiting"
    assert f"waits for create:heat_worker:{NETWORK}:1:" in waiting.reason


def test_back_off_grows_to_its_cap(trial: Trial) -> None:
    """An outage of an hour costs some requests a minute in all, not thousands."""
    refuse(trial, "find", NETWORK, down, 10_000)
    trial.declare_example([NETWORK])
    trial.host.advance(HOUR)
    first = trial.stacks.requests["find"]
    trial.host.advance(HOUR)
    assert 200 <= trial.stacks.requests["find"] - first <= 500
    assert first < 520


def test_a_quota_is_waited_out(trial: Trial) -> None:
    """No failure is recorded while a quota is exhausted; when there is room it is built."""
    refuse(trial, "create", NETWORK, quota, 20)
    trial.declare_example(LINE[:2])
    trial.host.advance(60.0)
    assert trial.state(NETWORK) is None
    assert "RequestLimitExceeded" in trial.row(NETWORK).reason
    trial.settle(limit_s=HOUR)
    assert error_of(trial, NETWORK) == error_of(trial, SUBNET) == ""


def test_a_conflict_that_does_not_end_is_given_up(trial: Trial) -> None:
    """Bounded: a plain conflict is retried `retry_attempts_max` times, then it is the outcome."""
    refuse(trial, "create", NETWORK, lambda: PortError(ErrorClass.CONFLICT, "Conflict", "go away"), 10_000)
    trial.declare_example(LINE[:2])
    trial.settle(limit_s=HOUR)
    assert error_of(trial, NETWORK).startswith("Conflict: ")
    assert error_of(trial, NETWORK).endswith("go away")
    assert "dependency failed" in error_of(trial, SUBNET)


def test_the_store_away_for_a_while(trial: Trial) -> None:
    """etcd does not answer for a minute in the middle of the work: afterwards everything is as without that."""
    trial.declare_example()
    trial.host.advance(0.9)
    trial.stores[-1].disconnect()
    trial.host.advance(8.0)
    assert trial.status().store.startswith("down")
    trial.stores[-1].reconnect()
    trial.settle(limit_s=300.0)
    assert [ref for ref in CHAIN if error_of(trial, ref)] == []
    assert len(trial.living()) == len(set(trial.living())) == 6


def test_who_was_paused_waits_for_a_producer_that_is_tried_again() -> None:
    """It had a plan when the producer failed, and goes on while that one is being built once more: neither does it die
    of the failure that is being mended, nor is it built first."""
    trial = Trial(heat=Settings(extra_s=lambda action, name: 5.0))
    fate_of(trial, NETWORK, Fate.FAIL)
    trial.declare_example([NETWORK, SUBNET])
    trial.host.advance(2.0)
    assert jobs_of(trial, SUBNET, 1), "it is planned"
    pause = f"{keys.PAUSE}resource/{TYPES.path(SUBNET)}"
    trial.put(pause, {"by": "me"})
    trial.host.advance(20.0)
    assert error_of(trial, NETWORK)
    fate_of(trial, NETWORK, Fate.NATURAL)
    trial.put(keys.RECONCILE + TYPES.path(NETWORK), {"by": "me"})
    trial.host.advance(2.0)
    trial.client.commit([WriteSet((Delete(pause),))])
    trial.settle()
    assert (error_of(trial, NETWORK), error_of(trial, SUBNET)) == ("", "")


def test_who_is_resumed_with_a_producer_that_is_to_be_tried_again_waits_for_it() -> None:
    """Everything was paused, and what failed meanwhile was asked for: it has no jobs yet as all go on."""
    trial = Trial(heat=Settings(extra_s=lambda action, name: 5.0))
    fate_of(trial, NETWORK, Fate.FAIL)
    trial.declare_example([NETWORK, SUBNET])
    trial.host.advance(2.0)
    assert jobs_of(trial, SUBNET, 1), "it is planned"
    trial.put(f"{keys.PAUSE}all", {"by": "me"})
    trial.host.advance(20.0)
    assert error_of(trial, NETWORK)
    fate_of(trial, NETWORK, Fate.NATURAL)
    trial.put(keys.RECONCILE + TYPES.path(NETWORK), {"by": "me"})
    trial.host.advance(2.0)
    trial.client.commit([WriteSet((Delete(f"{keys.PAUSE}all"),))])
    trial.settle()
    assert (error_of(trial, NETWORK), error_of(trial, SUBNET)) == ("", "")
