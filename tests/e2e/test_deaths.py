"""kill -9 of each process in turn while the example is being built: the end is the same as without.

Promises 1 to 4 of the design, on real parts: one outcome, one stack, state before monitoring, no intermediate
values; and whoever died was replaced.
"""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from sim.etcd_http import Change, Etcd
from tests.e2e.harness import TENANT, Product, eventually
from tests.e2e.seed import comparable

SLOW = {
    "STANDALONE__RESOURCE_SECONDS": 0.3,
    "LIMITS__REQUEST_TIMEOUT_S": 2,  # until an actor asks again what a dead one was asked
    "LIMITS__RETRY_BASE_S": 0.2,
    "ETCD__OWNER_TTL_S": 3,  # until a successor of run.py may write
}
SUBNET_BUILT = "/esi-worker/heat_stacks/v2.0/subnets/e1353d56-b05a-43a9-b924-383ab0d64d7b"
COMPARED = ("/config/", "/state/", "/monitoring/", "/esi-worker/", "/jobs/", "/gatewright/targets/")
#: Each alone, but for what knows nothing and nobody of each other: pools without a state, two services.
VICTIMS = (
    *(("admin",), ("supervisor",), ("shard",), ("bridge",), ("etcd",)),
    *(("heat pool", "snmp pool"), ("heat", "agents")),
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def final_keys(etcd: Etcd) -> dict[str, str]:
    """What etcd holds, without the ids that Heat assigned."""
    values = {key: json.loads(value) for key, value in etcd.range().items() if key.startswith(COMPARED)}
    declared = {key[-36:] for key in values if key.startswith("/config/")} | {TENANT}
    return {key: _without_ids(value, declared) for key, value in values.items()}


def _without_ids(value: Any, declared: set[str]) -> str:
    state = value.get("state", {})
    if "heat_outputs" in state:
        state["heat_outputs"] = json.loads(state["heat_outputs"])
    text = json.dumps(comparable(value), sort_keys=True)
    return _UUID.sub(lambda found: found[0] if found[0] in declared else "<uuid>", text)


def assert_one_stack_each(product: Product, keys: dict[str, str]) -> None:
    """Heat has exactly one stack, a complete one, for each record of a stack."""
    wanted = [json.loads(v)["stack_id"] for k, v in keys.items() if k.startswith("/esi-worker/heat_stacks/")]
    stacks = product.stacks()
    assert sorted(stack["stack_name"] for stack in stacks) == sorted(wanted)
    assert {stack["stack_status"] for stack in stacks} == {"CREATE_COMPLETE"}


def assert_history(changes: list[Change]) -> None:
    """Every `/state` was written once, without error, and before the first `/monitoring`."""
    states: dict[str, Change] = {}
    for change in changes:
        if change.key.startswith("/state/"):
            assert change.key not in states
            assert change.json["error"] == ""
            states[change.key] = change
        if change.key.startswith("/monitoring/"):
            assert states["/state/" + change.key[len("/monitoring/") :]].revision < change.revision
    assert len(states) == 22


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The final keys of a run in which nobody dies."""
    with Product(tmp_path_factory.mktemp("undisturbed"), **SLOW) as product:
        product.built()
        keys = final_keys(product.etcd)
        assert_one_stack_each(product, keys)
        assert_history(product.etcd.history())
    assert len([key for key in keys if key.startswith("/state/")]) == 22
    assert not [key for key in keys if key.startswith(("/jobs/", "/esi-worker/job_state/"))]
    return keys


@pytest.mark.parametrize("victims", VICTIMS, ids=" and ".join)
def test_a_death_changes_nothing(
    tmp_path: Path, undisturbed: dict[str, str], victims: tuple[str, ...]
) -> None:
    """Killed in the midst of the build, with stacks in progress: same keys, one stack each, a successor, an end."""
    with Product(tmp_path, **SLOW) as product:
        etcd = product.etcd
        eventually(lambda: etcd.get(SUBNET_BUILT), 30, "the subnet is built")
        killed = {victim: product.kill(victim) for victim in victims}
        product.built(90)
        assert final_keys(etcd) == undisturbed
        assert_one_stack_each(product, undisturbed)
        assert_history(etcd.history())
        successors = product.processes()
        assert [victim for victim, pid in killed.items() if successors[victim].pid == pid] == []
        assert product.end(signal.SIGTERM) == 0
        product.assert_nothing_left()


@pytest.mark.parametrize("victim", ["admin", "bridge", "etcd"])
def test_a_death_while_declaring(tmp_path: Path, undisturbed: dict[str, str], victim: str) -> None:
    """Killed as soon as it is there, before the example is declared: it is declared and built all the same."""
    with Product(tmp_path, **{**SLOW, "STANDALONE__RESOURCE_SECONDS": 0.05}) as product:
        product.said("actor system of")
        eventually(lambda: victim in product.processes(), 10, victim)
        product.kill(victim)
        product.built(60)
        assert final_keys(product.etcd) == undisturbed
        assert_one_stack_each(product, undisturbed)


def test_run_py_itself_may_die(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    """kill -9 of run.py in the midst of the build: nothing survives, and the next start finishes what was begun."""
    with Product(tmp_path, **SLOW) as product:
        etcd = product.etcd
        eventually(lambda: etcd.get(SUBNET_BUILT), 30, "the subnet is built")
        product.kill("run.py")
        product.process.wait()
        product.assert_nothing_left(socket_too=False)
    with Product(tmp_path, **SLOW) as product:
        product.built(90)
        assert final_keys(product.etcd) == undisturbed
        assert_one_stack_each(product, undisturbed)
        assert_history(product.etcd.history())
