"""Somebody changes our stacks in Heat behind our back: it is found, told, and undone when asked for."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import TENANT, Product, eventually, run_once

NETWORK = "f2de53ae-bc76-46f2-b2ae-a7eefa9d6e57"
PORT = "327f59b7-df38-4d8f-97db-d320defcab76"


def heat(product: Product, method: str, path: str, body: Any = None) -> None:
    """What somebody with a client of their own asks of Heat."""
    data = None if body is None else json.dumps(body).encode()
    url = f"{product.heat_url}/v1/{TENANT}/stacks/{path}"
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def named(product: Product, name: str) -> list[dict[str, Any]]:
    """The living stacks of that name."""
    return [one for one in product.stacks() if one["stack_name"] == name]


@pytest.mark.timeout(400)
def test_a_foreign_update_and_a_vanished_stack(tmp_path: Path) -> None:
    """`status`, `explain` and `history` tell of both; `reconcile` brings both back, with our marks."""
    with Product(tmp_path, HEAT__DRIFT_INTERVAL_S=2, STANDALONE__RESOURCE_SECONDS=0) as product:
        product.built(200)

        def drifts() -> dict[str, str]:
            found = product.etcd.values()
            roots = {key: one for key, one in found.items() if key.startswith("/gatewright/drift/")}
            return {key.rpartition("/")[2]: one["drift"] for key, one in roots.items()}

        def said(*arguments: object) -> str:
            return run_once(tmp_path, *arguments, timeout_s=200).stdout

        port, network = f"port_{PORT}", f"network_{NETWORK}"
        heat(product, "DELETE", f"{port}/{named(product, port)[0]['id']}")
        heat(product, "PATCH", f"{network}/{named(product, network)[0]['id']}", {"parameters": {}})
        eventually(lambda: drifts() == {PORT: "vanished", NETWORK: "changed"}, 120, "both are found")
        told = said("explain", PORT)
        assert "its stack is gone" in told
        assert "reconcile" in told
        assert "drift" in said("history", PORT)
        rows = json.loads(said("status", "--json"))["rows"]
        assert any(one["resource"] == f"port:{PORT}" and "is gone" in one["reason"] for one in rows)
        assert named(product, port) == []
        assert "is built once more" in said("reconcile", PORT, NETWORK)
        eventually(lambda: drifts() == {}, 120, "nothing is said of them any more")
        assert [one["tags"] for one in named(product, port)] == [["gatewright", "v1"]]
        assert [one["tags"] for one in named(product, network)] == [["gatewright", "v1"]]
