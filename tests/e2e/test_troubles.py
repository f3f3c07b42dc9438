"""Ten ways to break it: each time status, explain, metrics, API and doctor name the true cause, and what heals it."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from actors.core.json_text import compact
from actors.core.keys import encode_declared
from sim.etcd_http import Etcd
from tests.e2e.bad_input import ABSENT, GOOD
from tests.e2e.harness import TENANT, Product, eventually
from tests.e2e.tour import Tour

OTHER_TENANT = "11111111222222223333333344444444"
#: Types of which the example has none: a gateway of theirs, and an interface that may need it.
GW, IF = "gcp_gateway", "gcp_interface"
FAST = {
    "STANDALONE__RESOURCE_SECONDS": 0.1,
    "LIMITS__MISSING_RESOURCE_WAIT_S": 300,
    "LIMITS__RETRY_CAP_S": 1,
    "HEAT__TIMEOUT_S": 1,
    "HEAT__SILENCE_S": 3,
    "SNMP__TIMEOUT_S": 0.2,
    "SNMP__RETRIES": 0,
    "ETCD__TIMEOUT_S": 1,
    "HTTP__TOKEN": "a-secret-token",
}
TO_GATEWAY = {"name": "Pname", "jinja_gw": {"field": "id", "path": ["gcp_gw_id"]}}
TO_INTERFACE = {"name": "Pname", "jinja_if": {"field": "id", "path": [{"type": IF, "id": "peer_id"}]}}


class Troubled(Tour):
    """A running product, and an API server beside it."""

    @property
    def etcd(self) -> Etcd:
        """Its etcd."""
        return self.product.etcd

    def template(self, name: str, mappings: dict[str, Any], source: str = GOOD) -> None:
        """Put a template document."""
        body = {"id": name, "handler": "heat_worker", "parameter_mappings": mappings, "template_file": source}
        self.etcd.put(f"/config/v2.0/heat_templates/{name}", compact({"body": body, "version": 1}))

    def declare(self, kind: str, number: int, *, tenant: str = TENANT, **more: str) -> str:
        """Declare a resource; its id."""
        rid = f"{number:08d}-aaaa-4000-8000-000000000000"
        body = {"id": rid, "name": f"{kind} {number}", "tenant_id": tenant, **more}
        self.etcd.put(f"/config/v2.0/{kind}s/{rid}", encode_declared(body, 1))
        return rid

    def told(self, rid: str, stage: str, *words: str) -> dict[str, Any]:
        """Wait until explain has all the words and status the stage; returns the explanation."""

        def look() -> dict[str, Any]:
            status, text = self.get(f"/api/v1/resources/{rid}")
            value: dict[str, Any] = json.loads(text) if status == 200 else {}
            found = value.get("stage") == stage and all(
                w in json.dumps(value["explanation"], ensure_ascii=False) for w in words
            )
            return value["explanation"] if found else {}

        try:
            return eventually(look, 40, f"{rid} is {stage}: {words}")
        except AssertionError:
            raise AssertionError(self.get(f"/api/v1/resources/{rid}/explain")[1]) from None

    def finding(self, check: str, severity: str, *words: str) -> None:
        """The doctor has this finding, with a remedy."""
        status = 1 if severity == "error" else 0
        findings = self.ask("doctor", code=status)["findings"]
        texts = [
            f["text"] for f in findings if f["check"] == check and f["severity"] == severity and f["remedy"]
        ]
        assert any(all(word in text for word in words) for text in texts), findings

    @contextmanager
    def stopped(self, part: str) -> Iterator[None]:
        """A part hangs."""
        process: psutil.Process = self.product.processes()[part]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def heat(self, path: str, body: object) -> None:
        """A request to the embedded Heat, as somebody else."""
        request = urllib.request.Request(self.product.heat_url + path, json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    """One system for all, with the gateway built and two more types known."""
    with Product(tmp_path_factory.mktemp("troubles"), **FAST) as product:
        troubled = Troubled(product.built())
        troubled.template(GW, {"name": "Pname"})
        troubled.template(IF, TO_GATEWAY)
        yield troubled


def test_a_missing_relation(system: Troubled) -> None:
    """The chain ends at what is not declared; declaring it heals."""
    rid = system.declare(IF, 1, gcp_gw_id=ABSENT)
    explained = system.told(rid, "planning", f"{GW}:{ABSENT} is not declared")
    assert explained["chain"][-1]["resource"] == f"{GW}:{ABSENT}"
    assert "declare it" in explained["remedy"]
    body = {"id": ABSENT, "name": "late", "tenant_id": TENANT}
    system.etcd.put(f"/config/v2.0/{GW}s/{ABSENT}", encode_declared(body, 1))
    system.told(rid, "settled")


def test_a_bad_template(system: Troubled) -> None:
    """The error names template and line, doctor finds it before anybody uses it; mended, retry heals."""
    system.template(GW, {"name": "Pname"}, "# one\n{% for x in %}\n" + GOOD)
    rid = system.declare(GW, 2)
    explained = system.told(rid, "failed", "InvalidTemplate", "line 2")
    assert "correct the template" in explained["remedy"]
    system.finding("template", "error", GW, "line 2")
    assert system.ask("status", code=1)["counts"]["failed"] == 1
    system.template(GW, {"name": "Pname"})
    system.do("retry")
    system.told(rid, "settled")


def test_a_cycle(system: Troubled) -> None:
    """Of two that need each other one fails with the cycle printed; without the ring retry heals it."""
    system.template(GW, TO_INTERFACE)
    first = f"{3:08d}-aaaa-4000-8000-000000000000"
    both = (f"{GW}:{first}", f"{IF}:{first}")
    try:
        system.declare(IF, 3, gcp_gw_id=first)
        system.declare(GW, 3, peer_id=first)
        eventually(lambda: "failed" in [_stage(system, ref) for ref in both], what="one of the ring fails")
        failed = next(ref for ref in both if _stage(system, ref) == "failed")
        explained = system.told(failed, "failed", "dependency cycle", " → ")
        assert "take one reference of the cycle out" in explained["remedy"]
    finally:
        system.template(GW, {"name": "Pname"})
    system.do("retry")
    for ref in both:
        system.told(ref, "settled")


def test_a_paused_tenant(system: Troubled) -> None:
    """Only that tenant waits, and everything says so."""
    system.do("pause", "--tenant", OTHER_TENANT)
    rid = system.declare(GW, 4, tenant=OTHER_TENANT)
    explained = system.told(rid, "paused", f"paused (tenant/{OTHER_TENANT})")
    assert "resume" in explained["remedy"]
    eventually(lambda: system.metric("paused") == 1)
    assert any("tenant/" in f["text"] for f in system.ask("doctor")["findings"] if f["check"] == "paused")
    other = system.declare(GW, 5)
    system.told(other, "settled")
    system.do("resume", "--tenant", OTHER_TENANT)
    system.told(rid, "settled")


def test_a_foreign_stack(system: Troubled) -> None:
    """Somebody else's stack of that name is left alone, and named."""
    rid = f"{6:08d}-aaaa-4000-8000-000000000000"
    hot = {"heat_template_version": "2013-05-23", "resources": {}}
    system.heat(f"/v1/{TENANT}/stacks", {"stack_name": f"{GW}_{rid}", "template": hot, "parameters": {}})
    system.declare(GW, 6)
    explained = system.told(rid, "failed", "NotOurs", "not marked")
    assert "somebody else's stack" in explained["remedy"]


def test_a_quota(system: Troubled) -> None:
    """A lasting shortage is waited out, not failed; the reason and what to do about it are shown."""
    fault = {"action": "status", "method": "POST", "path": "/stacks$", "status": 403, "count": 3}
    fault |= {"type": "RequestLimitExceeded", "message": "You have reached the maximum stacks per tenant"}
    system.heat("/_faults", fault)
    rid = system.declare(GW, 7)
    explained = system.told(rid, "backing-off", "RequestLimitExceeded")
    assert "max_stacks_per_tenant" in explained["remedy"]
    system.told(rid, "settled")
    assert system.metric("heat_errors_total") >= 1


def test_heat_is_down(system: Troubled) -> None:
    """A Heat that does not answer: the resource says what it waits for, doctor finds Heat; it goes on by itself."""
    with system.stopped("heat"):
        rid = system.declare(GW, 8)
        eventually(lambda: _stage(system, rid) in ("running", "backing-off"), what="begun")
        findings = system.ask("doctor", code=1)["findings"]
        assert any(f["check"] == "heat" and f["severity"] == "error" and f["remedy"] for f in findings)
        text = json.dumps(json.loads(system.get(f"/api/v1/resources/{rid}/explain")[1]))
        assert "Heat" in text
    system.told(rid, "settled")


def test_a_silent_device(system: Troubled) -> None:
    """Silence is not DOWN: doctor names the device, errors are counted, nothing fails."""
    before = system.metric("snmp_errors_total")
    with system.stopped("agents"):
        eventually(lambda: system.metric("snmp_errors_total") > before, what="errors counted")
        system.finding("device", "warn", "10.161.0.34")
        assert "DOWN" not in json.dumps(system.ask("status", "--type", "ese_logical_port")["rows"])


def test_etcd_is_down(system: Troubled) -> None:
    """Not ready, and everybody says why; commands end with their own exit code; it goes on by itself."""
    with system.stopped("etcd"):
        eventually(lambda: system.get("/readyz")[0] == 503, 40, "readyz is 503")
        assert "etcd" in system.get("/readyz")[1]
        assert "down" in json.loads(system.get("/api/v1/status")[1])["store"]
        eventually(lambda: "gatewright_etcd_up 0" in system.get("/metrics")[1], what="etcd_up is 0")
        system.do("status", code=4)
        system.finding("etcd", "error", "etcd")
    eventually(lambda: system.get("/readyz")[0] == 200, 40, "ready again")


def test_a_killed_bridge(system: Troubled) -> None:
    """The restart is counted and logged, and everything goes on."""
    system.product.kill("bridge")
    eventually(lambda: system.metric("restarts_total") == 1, 40, "restart counted")
    rid = system.declare(GW, 9)
    system.told(rid, "settled")
    assert "bridge" in system.product.err


def _stage(system: Troubled, rid: str) -> str:
    status, text = system.get(f"/api/v1/resources/{rid}")
    return str(json.loads(text).get("stage")) if status == 200 else ""


def test_nothing_of_that_showed_a_secret(system: Troubled) -> None:
    """Neither in failures nor in logs."""
    everything = "\n".join([*system.said, system.product.out, system.product.err])
    assert "a-secret-token" not in everything
    assert "lab-password" not in everything
    assert Path(system.product.state_dir / "running.json").stat().st_mode & 0o077 == 0
