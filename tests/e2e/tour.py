"""A running product with secrets in its settings, and an operator beside it who keeps all that was said."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

from tests.e2e.harness import Product, run_once

#: Never to be seen anywhere: what declarations and settings keep secret.
SETTINGS_SECRETS = (
    "a-secret-community",
    "a-secret-token",
    "a-secret-key",
    "a-private-key",
    "a-store-password",
)
SECRETS = ("lab-password", *SETTINGS_SECRETS)
SETTINGS: dict[str, Any] = {
    "STANDALONE__RESOURCE_SECONDS": 0.2,
    "SNMP__COMMUNITIES": json.dumps({"ESE_NODE_COMMUNITY": "a-secret-community"}),
    "SNMP__USERS": json.dumps({"V3": {"auth_key": "a-secret-key", "priv_key": "a-private-key"}}),
    "SNMP__OPENTSDB_URL": "http://writer:a-store-password@127.0.0.1:9",  # nobody is there, which is logged
    "SNMP__INTERVAL_ACTIVE_S": 1,
    "SNMP__READINGS_INTERVAL_S": 1,
    "HTTP__TOKEN": "a-secret-token",
}


class Tour:
    """A running product, and commands beside it. Everything that was said is kept."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.said: list[str] = []
        self.http = product.said(r"dashboard: (http://[\d.]+:\d+)/")[1]

    def do(self, *arguments: object, code: int = 0) -> str:
        """One command; its output."""
        done = run_once(self.product.folder, *arguments, **SETTINGS)
        self.said += [done.stdout, done.stderr]
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def ask(self, *arguments: object, code: int = 0) -> Any:
        """One command with --json; its answer."""
        return json.loads(self.do(*arguments, "--json", code=code))

    def get(self, path: str, *, token: str = "a-secret-token", method: str = "GET") -> tuple[int, str]:
        """One request to the HTTP port."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.http + path, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        self.said.append(text)
        return status, text

    def api(self, path: str) -> Any:
        """What the API says: as `ask`, without a process for each look."""
        status, text = self.get(f"/api/v1/{path}")
        assert status == 200, text
        return json.loads(text)

    def counts(self) -> dict[str, int]:
        """Resources by stage."""
        counts: dict[str, int] = self.api("status?limit=0")["counts"]
        return counts

    def lines(self, resource: str) -> list[dict[str, Any]]:
        """Its history."""
        found: list[dict[str, Any]] = self.api(f"resources/{resource}/history")["lines"]
        return found

    def metric(self, name: str) -> float:
        """The sum over all labels of a metric."""
        rows = re.findall(rf"^gatewright_{name}(?:{{.*}})? (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return sum(map(float, rows))
