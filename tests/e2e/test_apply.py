"""`run.py apply` against a running product: declares as an API server does, and waits for what comes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sim.etcd_http import Etcd
from tests.e2e.bad_input import GOOD
from tests.e2e.harness import TENANT, Product, run_once

RID = "00000001-bbbb-4000-8000-000000000000"
REF = f"gcp_gateways/{RID}"
TEMPLATE = {
    "id": "gcp_gateway",
    "handler": "heat_worker",
    "parameter_mappings": {"name": "Pname"},
    "template_file": GOOD,
}


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A running product that has settled its example."""
    with Product(tmp_path_factory.mktemp("apply"), STANDALONE__RESOURCE_SECONDS=0.1) as running:
        yield running.built()


def apply(product: Product, file: Path, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """Apply the file and return the rows of its JSON answer."""
    done = run_once(product.folder, "apply", file, *arguments, "--json", "--wait", "--timeout", "30")
    assert done.returncode == code, done.stdout + done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def declare(product: Product, name: str) -> Path:
    """A file with the template and one gateway of this name."""
    file = product.folder / "gateway.json"
    body = {"id": RID, "name": name, "tenant_id": TENANT}
    file.write_text(json.dumps([TEMPLATE, {"type": "gcp_gateway", "body": body}]))
    return file


def state(etcd: Etcd) -> dict[str, Any]:
    """What the API server reads of the resource."""
    value: dict[str, Any] = etcd.values()[f"/state/v2.0/{REF}"]
    return value


def test_apply_creates_changes_and_deletes_as_an_api_server_does(product: Product) -> None:
    """Version 1 at first, nothing for no change, 2 for a change, 3 with the mark; each waited for to its outcome."""
    assert apply(product, declare(product, "a"))[1] == {
        "key": f"/config/v2.0/{REF}",
        "version": 1,
        "change": "version 1",
        "outcome": "CREATE_COMPLETED",
        "error": "",
    }
    revision = product.etcd.revision()
    assert [row["change"] for row in apply(product, declare(product, "a"))] == ["unchanged", "unchanged"]
    assert product.etcd.revision() == revision

    changed = apply(product, declare(product, "b"))
    assert [(row["version"], row["outcome"]) for row in changed] == [(0, ""), (2, "MODIFY_COMPLETED")]
    assert state(product.etcd)["version"] == 2

    deleted = apply(product, declare(product, "b"), "--delete")
    assert (deleted[1]["version"], deleted[1]["outcome"]) == (3, "DELETE_COMPLETED")
    assert not [stack for stack in product.stacks() if stack["stack_name"].endswith(RID)]


def test_a_document_that_cannot_be_read_writes_nothing(product: Product) -> None:
    """One bad document of a file, and none of the file is written; the error names file and document."""
    file = product.folder / "bad.json"
    good = {"type": "gcp_gateway", "body": {"id": "x1", "name": "x", "tenant_id": TENANT}}
    file.write_text(json.dumps([good, {"type": "gcp_gateway", "body": {"name": "no id"}}]))
    done = run_once(product.folder, "apply", file)
    assert done.returncode != 0
    assert "bad.json: document 2" in done.stderr
    assert not [key for key in product.etcd.values() if key.endswith("/x1")]


def test_an_outcome_that_is_an_error_is_shown_and_is_the_exit_code(product: Product) -> None:
    """A parameter that Heat does not know: apply ends with 1 and the reason that /state has. A template that nobody
    could use is not declared at all."""
    template = {**TEMPLATE, "id": "gcp_interface", "parameter_mappings": {"nosuch": "Pname"}}
    body = {"id": "00000002-bbbb-4000-8000-000000000000", "name": "i", "tenant_id": TENANT}
    file = product.folder / "interface.json"
    file.write_text(json.dumps([template, {"type": "gcp_interface", "body": body}]))
    row = apply(product, file, code=1)[1]
    assert row["outcome"] == "CREATE_FAILED"
    assert "nosuch" in row["error"]
    file.write_text(json.dumps([{**template, "parameter_mappings": {"broken": "name"}}]))
    (row,) = apply(product, file, code=1)
    assert "not written" in row["change"]
    assert "broken" in row["change"]
    done = run_once(product.folder, "plan", file)
    assert done.returncode == 1
    assert "parameter 'broken'" in done.stderr


def test_a_plan_says_what_apply_would_do_and_writes_nothing(product: Product) -> None:
    """Of files: the jobs of a new, an unchanged and a deleted declaration; live: nothing when all is done."""

    def plan(*arguments: object, code: int = 0) -> list[dict[str, Any]]:
        done = run_once(product.folder, "plan", *arguments, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)["plan"] if code == 0 else []
        return rows

    body = {"id": "00000003-bbbb-4000-8000-000000000000", "name": "p", "tenant_id": TENANT}
    template, one = product.folder / "template.json", product.folder / "one.yaml"
    template.write_text(json.dumps({**TEMPLATE, "id": "azure_gateway"}))
    one.write_text(json.dumps({"type": "azure_gateway", "body": body}))
    revision = product.etcd.revision()
    planned = plan(template, one)
    assert [(row["action"], len(row["jobs"])) for row in planned] == [("create", 1)]
    assert plan(template, one, "--type", "port") == []
    assert product.etcd.revision() == revision

    apply(product, template)
    apply(product, one)
    assert [row["jobs"] for row in plan(one)] == [[]]
    assert [row["action"] for row in plan(one, "--delete")] == ["logical_delete"]
    live = plan("--live", "--type", "azure_gateway")
    assert [row["jobs"] for row in live] == [[]]
    plan("--live", one, code=2)
