"""The seed's flow on a real etcd, an embedded Heat over HTTP and SNMP agents over UDP, checkpoint by checkpoint.

The switch, the routers and the pools are there and settled; then the API server declares a gateway as the seed
does: network, subnet, ports, logical ports, gateway, a few ten milliseconds apart.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from config.examples import GATEWAY_FILE, load_declarations, load_templates
from config.types import load_types
from sim.etcd_http import OWNERSHIP, Change, Etcd
from tests.e2e.harness import GATEWAY, LOGICAL_PORT, PORT, TENANT, Product, eventually, heat_get
from tests.e2e.seed import NAMES, comparable, seed

NETWORK = "networks/f2de53ae-bc76-46f2-b2ae-a7eefa9d6e57"
SUBNET = "subnets/e1353d56-b05a-43a9-b924-383ab0d64d7b"
DHCP_PORT = "ports/bbaac433-1023-4660-88f0-ccd8c2c26c89"
RESOURCE_S = 0.3
RESULTS = ("/state/", "/monitoring/", "/esi-worker/", "/jobs/")


@dataclass
class Flow:
    """What happened: every change, what Heat has at the end, when it began each stack, and etcd's counters."""

    changes: list[Change]
    puts: int
    requests: dict[str, int]
    stacks: dict[str, dict[str, Any]]
    created: dict[str, float]

    def of(self, key: str) -> list[Change]:
        """All changes of one key."""
        return [change for change in self.changes if change.key == key]

    def job(self, handler: str, path: str = LOGICAL_PORT) -> Change:
        """The change that published a job."""
        kind, rid = path.split("/")
        begin = f"/jobs/all/create:{handler}:{kind.removesuffix('s')}:{rid}:1:"
        found = [c for c in self.changes if c.key.startswith(begin) and c.value is not None]
        assert len(found) == 1, found
        return found[0]

    def checkpoint(self, name: str) -> Change:
        """The change that the seed shows at this point, for the logical port."""
        v2 = f"v2.0/{LOGICAL_PORT}"
        if name.startswith("2"):
            return self.job(f"{name[2:]}_worker")
        states = [c for c in self.of(f"/esi-worker/job_state/{v2}") if c.value is not None]
        return {
            "1": self.of(f"/config/{v2}"),
            "3": self.of(f"/esi-worker/heat_stacks/{v2}"),
            "4": [c for c in states if set(c.json) == {"heat_outputs"}],
            "5": [c for c in states if "state_monitoring" in c.json],
            "6": self.of(f"/state/{v2}"),
            "7": self.of(f"/monitoring/{v2}"),
        }[name][0]


@pytest.fixture(scope="module")
def flow(given_etcd: Etcd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    """The whole scenario, once."""
    declarations = load_declarations(GATEWAY_FILE, load_types())
    first = next(i for i, (key, _) in enumerate(declarations) if "/networks/" in key)
    before = load_templates() + declarations[:first]
    for key, value in before:
        given_etcd.put(key, value)
    folder = tmp_path_factory.mktemp("seed")
    endpoint = f"http://{given_etcd.endpoint}"
    with Product(folder, STANDALONE__RESOURCE_SECONDS=RESOURCE_S, ETCD__ENDPOINTS=endpoint) as product:
        product.built()
        for key, value in declarations[first:]:
            given_etcd.put(key, value)
            time.sleep(0.03)  # as far apart as the seed's API server writes them
        eventually(lambda: given_etcd.get(f"/monitoring/v2.0/{GATEWAY}"), 60, "the gateway is watched")
        stacks = {}
        for stack in product.stacks():
            url = f"{product.heat_url}/v1/{TENANT}/stacks/{stack['stack_name']}/{stack['id']}"
            stacks[stack["stack_name"]] = heat_get(url)["stack"]
        with sqlite3.connect(product.state_dir / "heat" / "heat.sqlite") as journal:
            rows = journal.execute("SELECT created, value FROM stacks").fetchall()
        journal.close()
        created = {json.loads(value)["name"]: moment for moment, value in rows}
        puts = len(before) + len(declarations[first:])
        yield Flow(given_etcd.history(), puts, given_etcd.requests(), stacks, created)


@pytest.mark.parametrize("point", NAMES)
def test_checkpoints_are_those_of_the_seed(flow: Flow, point: str) -> None:
    """Key and value at each checkpoint equal the seed's, but for what is assigned anew in each run."""
    key, value = seed()[point]
    change = flow.checkpoint(point)
    found = change.json
    assert comparable(change.key) == comparable(key)
    if point == "1":
        found["body"] = json.loads(found["body"])
    if point == "6":
        for each in (found, value):
            each["state"]["heat_outputs"] = json.loads(each["state"]["heat_outputs"])
    assert comparable(found) == comparable(value)


def test_jobs_have_their_form(flow: Flow) -> None:
    """Two jobs, each an array of handler, job and 0; ids end in five characters; first and last are marked."""
    pattern = r"/jobs/all/create:(heat|monitoring)_worker:ese_logical_port:" + LOGICAL_PORT[-36:]
    published = {c.key for c in flow.changes if "/jobs/" in c.key and LOGICAL_PORT[-36:] in c.key}
    assert len(published) == 2
    for name, handler, first in (
        ("2 heat", "heat_worker", True),
        ("2 monitoring", "monitoring_worker", False),
    ):
        change = flow.checkpoint(name)
        assert re.fullmatch(pattern + r":1:[a-z0-9]{5}", change.key)
        head, job, zero = change.json
        assert (head, zero, "/jobs/all/" + job["id"]) == (handler, 0, change.key)
        assert (job["is_first"], job["is_last"], job["on_failure"]) == (first, not first, "fail")
        assert set(job) == {
            "is_first", "resource_id", "handler", "job_name", "dependency", "version", "params",
            "resource_type", "action", "is_last", "on_failure", "id", "resource_input",
        }  # fmt: skip


def test_parameters_are_resolved_as_in_the_seed(flow: Flow) -> None:
    """Five parameters of the stack and six of monitoring, each with its type, late-bound ones unresolved."""
    heat = {p["param"]: p for p in flow.checkpoint("2 heat").json[1]["params"]}
    assert {name: param["type"] for name, param in heat.items()} == {
        "logical_port_name": "value",
        "logical_port_type": "value",
        "virtual_machine_interface_ids": "list",
        "logical_port_vlan_id": "value",
        "physical_port_id": "output_key",
    }
    assert heat["logical_port_vlan_id"]["value"] == 1025
    assert heat["virtual_machine_interface_ids"]["resources"] == [
        {"resource_type": "port", "resource_id": PORT[-36:]}
    ]
    monitoring = {p["param"]: p for p in flow.checkpoint("2 monitoring").json[1]["params"]}
    assert {name: param["value"] for name, param in monitoring.items()} == {
        "name": "xe-0/0/3.1025",
        "port_ids": [PORT[-36:]],
        "device_ip": "10.161.0.34",
        "contarail_port_id": {
            "output_key": "id",
            "resource_type": "ese_logical_port",
            "resource_id": LOGICAL_PORT[-36:],
        },
        "community_name": "ESE_NODE_COMMUNITY",
        "id": LOGICAL_PORT[-36:],
    }
    assert monitoring["contarail_port_id"]["resources"] == []


def test_dependencies_are_exactly_the_producers_in_flight(flow: Flow) -> None:
    """The logical port waits for its port's stack alone: the physical port is settled, the DHCP port jobless."""

    def waits_for(handler: str, path: str) -> set[str]:
        return {"/jobs/all/" + each for each in flow.job(handler, path).json[1]["dependency"]}

    heat = "heat_worker"
    assert waits_for(heat, LOGICAL_PORT) == {flow.job(heat, PORT).key}
    assert waits_for("monitoring_worker", LOGICAL_PORT) == {flow.job(heat).key}
    assert waits_for(heat, PORT) == {flow.job(heat, NETWORK).key, flow.job(heat, SUBNET).key}
    assert waits_for(heat, SUBNET) == {flow.job(heat, NETWORK).key}
    assert waits_for(heat, GATEWAY) == {flow.job(heat, SUBNET).key}
    assert waits_for(heat, NETWORK) == set()


def test_job_state_grows_and_goes(flow: Flow) -> None:
    """`{}`, then the outputs of Heat, then also what monitoring found, then nothing."""
    states = [change.json for change in flow.of(f"/esi-worker/job_state/v2.0/{LOGICAL_PORT}")]
    members = [None if state is None else set(state) for state in states]
    assert members == [set(), {"heat_outputs"}, {"heat_outputs", "state_monitoring"}, None]
    assert states[2]["state_monitoring"] == {"logical_port": "ACTIVE"}
    assert states[1]["heat_outputs"] == states[2]["heat_outputs"]


def test_a_broken_output_is_carried_and_fails_nothing(flow: Flow) -> None:
    """The stack's record has six members; an output that Heat could not compute stands there with its error."""
    record = flow.checkpoint("3").json
    assert set(record) == {"stack_id", "tenant_id", "stack_status", "output", "status_reason", "id"}
    outputs = {each["output_key"]: each for each in record["output"]}
    assert uuid.UUID(outputs["id"]["output_value"])
    assert outputs["name"] == {
        "output_key": "name",
        "description": "The name of the logical interface.",
        "output_value": None,
        "output_error": "'ContrailLogicalInterface' object has no attribute 'li_uuid'",
    }
    assert "output_error" not in outputs["id"]
    state = flow.checkpoint("6").json
    assert json.loads(state["state"]["heat_outputs"]) == record["output"]
    assert state["error"] == ""


def test_text_inside_state_has_the_spacing_of_the_seed(flow: Flow) -> None:
    """JSON text in `/state` has a space after commas and colons, in every resource."""
    states = [c.json["state"] for c in flow.changes if c.key.startswith("/state/")]
    assert len(states) == 22
    assert flow.checkpoint("6").json["state"]["state_monitoring"] == '{"logical_port": "ACTIVE"}'
    for state in states:
        for member in ("state_monitoring", "heat_outputs"):
            if member in state:
                assert state[member] == json.dumps(json.loads(state[member]))


def test_checkpoints_come_in_order(flow: Flow) -> None:
    """Each checkpoint is a later revision than the one before; both jobs, and (3) with (4), are one revision."""
    at = {name: flow.checkpoint(name).revision for name in NAMES}
    assert at["2 heat"] == at["2 monitoring"]
    assert at["3"] == at["4"]
    assert at["1"] < at["2 heat"] < at["3"] < at["5"] < at["6"] < at["7"]


def test_state_comes_before_monitoring_for_everybody(flow: Flow) -> None:
    """`/monitoring` of a version is never written before `/state` of it; both are written once."""
    states = {c.key[len("/state/") :]: c for c in flow.changes if c.key.startswith("/state/")}
    watched = [c for c in flow.changes if c.key.startswith("/monitoring/")]
    assert len(watched) == len({c.key for c in watched}) == 10
    for change in watched:
        state = states[change.key[len("/monitoring/") :]]
        assert state.revision < change.revision
        assert state.json["version"] == change.json["version"] == 1


def test_a_version_costs_at_most_five_revisions(flow: Flow) -> None:
    """Whatever is written for a resource, its declaration apart, is at most five revisions."""
    touched: dict[str, set[int]] = defaultdict(set)
    for change in flow.changes:
        rid = re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", change.key)
        if rid and not change.key.startswith("/config/"):
            touched[rid[0]].add(change.revision)
    assert LOGICAL_PORT[-36:] in touched
    assert {rid: len(at) for rid, at in touched.items() if len(at) > 5} == {}
    assert len(touched[LOGICAL_PORT[-36:]]) == 5


def test_heat_is_asked_in_the_order_of_dependencies(flow: Flow) -> None:
    """Heat begins the subnet only when the network is complete and the port only when both are, with their ids."""

    def stack(path: str) -> str:
        kind, rid = path.split("/")
        return f"{kind.removesuffix('s')}_{rid}"

    def output(path: str) -> str:
        outputs = {each["output_key"]: each for each in flow.stacks[stack(path)]["outputs"]}
        return str(outputs["id"]["output_value"])

    for earlier, later in ((NETWORK, SUBNET), (SUBNET, PORT), (PORT, LOGICAL_PORT), (SUBNET, GATEWAY)):
        assert flow.created[stack(later)] >= flow.created[stack(earlier)] + RESOURCE_S
        record = flow.of(f"/esi-worker/heat_stacks/v2.0/{earlier}")[0]
        assert record.revision < flow.of(f"/esi-worker/heat_stacks/v2.0/{later}")[0].revision
    assert flow.stacks[stack(SUBNET)]["parameters"]["network_id"] == output(NETWORK)
    assert flow.stacks[stack(PORT)]["parameters"]["virtual_network"] == output(NETWORK)
    interfaces = flow.stacks[stack(LOGICAL_PORT)]["parameters"]["virtual_machine_interface_ids"]
    assert output(PORT) in interfaces


def test_one_stack_for_each_resource_with_work(flow: Flow) -> None:
    """Heat has one complete stack per heat job that was ever published, named after the resource."""
    jobs = {c.json[1]["id"].split(":")[2:4][0] + "_" + c.json[1]["resource_id"]
            for c in flow.changes if c.key.startswith("/jobs/all/create:heat_worker") and c.value}  # fmt: skip
    assert set(flow.stacks) == jobs
    assert len(flow.created) == len(flow.stacks)
    assert {stack["stack_status"] for stack in flow.stacks.values()} == {"CREATE_COMPLETE"}


def test_the_dhcp_port_needs_no_work(flow: Flow) -> None:
    """A port of the DHCP server has `/state` READ_COMPLETE and neither jobs nor results nor monitoring."""
    state = flow.of(f"/state/v2.0/{DHCP_PORT}")
    assert [c.json for c in state] == [
        {"state": {"worker_state": "READ_COMPLETE"}, "version": 1, "error": ""}
    ]
    families = {c.key.split("/v2.0/")[0] for c in flow.changes if DHCP_PORT[-36:] in c.key}
    assert families <= {"/config", "/state", "/esi-worker/config", "/gatewright/history"}


def test_nothing_of_the_workflows_remains(flow: Flow) -> None:
    """At the end there is no job and no job_state, and every declared resource has a `/state` without error."""
    final = {c.key: c.json for c in flow.changes if not c.key.startswith(OWNERSHIP)}
    left = [
        k for k, v in final.items() if v is not None and k.startswith(("/jobs/", "/esi-worker/job_state"))
    ]
    assert left == []
    declared = [k[len("/config") :] for k in final if k.startswith("/config/") and "heat_templates" not in k]
    assert len(declared) == 22
    assert {key: final["/state" + key]["error"] for key in declared} == dict.fromkeys(declared, "")


def test_every_write_is_a_guarded_transaction(flow: Flow) -> None:
    """By etcd's own count nobody but the API server puts and nobody deletes: the product writes by Txn alone."""
    assert flow.requests["Put"] == flow.puts
    assert flow.requests["DeleteRange"] == 0
    assert flow.requests["Txn"] > 0
    results = {c.revision for c in flow.changes if c.key.startswith(RESULTS)}
    declared = {c.revision for c in flow.changes if c.key.startswith("/config/")}
    assert not results & declared
