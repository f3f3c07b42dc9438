"""Every kind of bad input at once, together with the good example: one clear error each, all others are built."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from config.examples import GATEWAY_FILE, load_declarations, load_templates
from config.types import load_types
from sim.etcd_http import Change, Etcd
from tests.e2e.bad_input import ABSENT, IDS, SILENT, SPOILT, UNREADABLE, declarations, path, templates
from tests.e2e.harness import GATEWAY, Product

CONFIG = "/config/"


@dataclass
class Seen:
    """What became of it: the last value of every key, all changes, the output and the log."""

    values: dict[str, Any]
    changes: list[Change]
    out: str
    log: list[dict[str, Any]]
    stacks: set[str]

    def error(self, kind: str) -> str:
        """The error in `/state` of the one resource of that type, whose form is that of contract 10.3."""
        state = self.values["/state/" + path(kind)]
        assert set(state) == {"state", "version", "error"}
        assert state["version"] == 1
        assert state["state"] == {"heat_outputs": "[]", "worker_state": "CREATE_FAILED"}
        return str(state["error"])


@pytest.fixture(scope="module")
def seen(given_etcd: Etcd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """One start on an etcd that holds the good and the bad."""
    bad = dict(templates())
    for key, value in [(k, v) for k, v in load_templates() if k not in bad] + list(bad.items()):
        given_etcd.put(key, value)
    for key, value in (UNREADABLE | SPOILT).items():
        given_etcd.put(key, value)
    for key, value in load_declarations(GATEWAY_FILE, load_types()) + declarations():
        given_etcd.put(key, value)
    settings = {
        "STANDALONE__RESOURCE_SECONDS": 0.1,
        "LIMITS__MISSING_RESOURCE_WAIT_S": 2,
        "SNMP__TIMEOUT_S": 0.3,
        "SNMP__RETRIES": 1,
    }
    endpoint = f"http://{given_etcd.endpoint}"
    with Product(tmp_path_factory.mktemp("bad"), ETCD__ENDPOINTS=endpoint, **settings) as product:
        product.built()
        values = {k: v for k, v in given_etcd.values().items() if k not in UNREADABLE | SPOILT}
        stacks = {stack["stack_name"] for stack in product.stacks()}
        history = given_etcd.history()
        log = [json.loads(line) for line in product.err.splitlines()]
        yield Seen(values, history, product.out, log, stacks)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (f"/config/v2.0/networks/{ABSENT}", "value is not JSON"),
        (f"/config/v2.0/subnets/{ABSENT}", "member 'body' must be an object or JSON text of one"),
        (f"/config/v2.0/widgets/{ABSENT}", "ignored, no resource type has the path 'v2.0/widgets'"),
        (f"/config/v2.0/firewalls/{ABSENT}", "value is not JSON (depth limit exceeded"),
        (
            f"/config/v2.0/load_balancers/{ABSENT}",
            "member 'body' is text but not JSON (more than 50 arrays and objects within each other)",
        ),
        (
            f"/config/v2.0/internet_services/{ABSENT}",
            "member 'body' is text but not JSON (no low surrogate in string",
        ),
        (f"/config/v2.0/ports/{ABSENT}", "value is not JSON (unexpected character"),
        ("/config/v2.0/ports/\\udcff", "ignored, the key is not UTF-8"),
    ],
    ids=[
        "no JSON",
        "no object",
        "unknown type",
        "too deep to be JSON",
        "too deep",
        "half a letter",
        "NaN",
        "no UTF-8",
    ],
)
def test_what_cannot_be_read_is_named_once(seen: Seen, key: str, reason: str) -> None:
    """A value that is no declaration: one line that names the key and what is wrong; nothing is written for it."""
    lines = [line for line in seen.out.splitlines() if key in line]
    assert len(lines) == 1
    assert f"problem: {key}: {reason}" in lines[0]
    written = {c.key.encode(errors="backslashreplace").decode() for c in seen.changes}
    assert {one for one in written if key[len(CONFIG) :] in one} == {key}


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("gcp_gateway", ["template 'gcp_gateway'", "parameter 'speed'", "'Z'"]),
        ("azure_gateway", ["template azure_gateway: line 3", "Expected an expression"]),
        ("azure_interface", ["template azure_interface: line 2", "ZeroDivisionError"]),
        ("internet_gateway", ["template 'internet_gateway'", "OS::No::SuchThing"]),
        ("vpn_gateway", ["template 'vpn_gateway'", "parameter 'name'", "takes too long to be evaluated"]),
        ("interdc_gateway", ["template interdc_gateway: line 2", "takes more than 2 s of processor time"]),
        ("load_balancer_syslog_server", ["template 'load_balancer_syslog_server'", "title"]),
        ("gcp_interface", ["parameter 'name'", f"gcp_gateway:{ABSENT} is not declared", "waited 2 s"]),
        (
            "edge_router",
            ["template 'edge_router_monitoring'", "monitor 'router'", SILENT, "wanted UP within 3 s"],
        ),
        ("aws_gateway", ["aws_gateway_monitoring", "monitor 'uplink'", "'carrier_pigeon'"]),
    ],
)
def test_each_mistake_is_one_clear_error(seen: Seen, kind: str, parts: list[str]) -> None:
    """`/state` carries one error that names the resource's key, the template and what in it is wrong."""
    error = seen.error(kind)
    assert "/config/" + path(kind) in error
    for part in parts:
        assert part in error
    assert error.count("\n") == 0
    assert len([c for c in seen.changes if c.key == "/state/" + path(kind)]) == 1


@pytest.mark.parametrize("kind", sorted(IDS))
def test_each_failure_is_shown_and_logged_once(seen: Seen, kind: str) -> None:
    """The screen says `failed` with the error in one line, and the log has it once as an error."""
    begin = f"{kind} {IDS[kind][:8]} v1 failed: "
    lines = [line.partition("s  ")[2] for line in seen.out.splitlines() if begin in line]
    assert lines == [begin + seen.error(kind)]
    logged = [e for e in seen.log if e["level"] == "ERROR" and f"{kind}:{IDS[kind]} version" in e["message"]]
    assert len(logged) == 1


def test_dependents_name_the_job_they_died_of(seen: Seen) -> None:
    """A refused stack fails what needs its output, and what needs that in turn: "dependency failed: <job id>"."""
    for kind, cause in (("public_ip", "internet_gateway"), ("static_route", "public_ip")):
        begin = f"/jobs/all/create:heat_worker:{cause}:{IDS[cause]}:1:"
        jobs = {change.key[len("/jobs/all/") :] for change in seen.changes if change.key.startswith(begin)}
        assert len(jobs) == 1
        assert f"dependency failed: {jobs.pop()}" in seen.error(kind)


def test_nothing_is_left_of_what_failed(seen: Seen) -> None:
    """No job, no job_state, no target and no `/monitoring` remain of it; only what Heat took exists there."""
    left = ("/jobs/", "/esi-worker/job_state/")
    assert [key for key in seen.values if key.startswith(left)] == []
    for kind in IDS:
        assert "/monitoring/" + path(kind) not in seen.values
        assert "/gatewright/targets/" + path(kind) not in seen.values
    ours = {f"{kind}_{rid}" for kind, rid in IDS.items()}
    assert seen.stacks & ours == {f"aws_gateway_{IDS['aws_gateway']}"}


def test_all_others_are_built(seen: Seen) -> None:
    """The whole example is there without error and watched, whatever else was wrong."""
    good = [key for key, _ in load_declarations(GATEWAY_FILE, load_types())]
    errors = {key: seen.values["/state/" + key[len(CONFIG) :]]["error"] for key in good}
    assert errors == dict.fromkeys(good, "")
    assert seen.values[f"/monitoring/v2.0/{GATEWAY}"]["primary_41"] == "MASTER"
    assert len([key for key in seen.values if key.startswith("/monitoring/")]) == 10
    assert len([key for key in seen.values if key.startswith("/state/")]) == len(good) + len(IDS)
    assert f"{len(IDS)} failed, {len(good)} settled" in seen.out


def test_nothing_of_it_surprised_anybody(seen: Seen) -> None:
    """No actor failed on a message: what is spoilt was expected to be."""
    assert [
        e for e in seen.log if "Traceback" in json.dumps(e) or "failed on a message" in e["message"]
    ] == []
