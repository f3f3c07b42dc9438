"""Starting a real Keystone as a child process, and asking it for things as an administrator does."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from sim.heat_server.launch import RunningHeat, await_ready
from sim.real_heat.environment import KEYSTONE, python_of

_ROOT = Path(__file__).resolve().parents[2]


def start(state_dir: Path, timeout_s: float = 300.0) -> Cloud:
    """Start Keystone 30 and wait until it answers (15 s). Raises NoRealHeatError or RuntimeError."""
    python = python_of(KEYSTONE)
    password = secrets.token_hex()
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [str(python), "-W", "ignore", "-m", "sim.real_keystone.inside.serve", "--state", str(state_dir)]
    command += ["--admin-password", password, "--parent-pid", str(os.getpid())]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHON"))}
    with (state_dir / "output.log").open("ab") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=quiet,
            cwd=_ROOT,
            start_new_session=True,
        )
    return Cloud(await_ready(process, timeout_s, "the real Keystone"), password)


class Cloud:
    """A Keystone, filled by its API. `url` is what a client calls the auth_url; `service_password` is that of the
    users that `furnish` makes."""

    def __init__(self, running: RunningHeat, password: str) -> None:
        self._running = running
        self.url = running.url + "/v3"
        self.service_password = secrets.token_hex()
        self._token = ""
        user = {"name": "admin", "password": password, "domain": {"id": "default"}}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
        self._token = self.login(auth)

    def stop(self) -> None:
        """End it."""
        self._running.stop()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """A request of the administrator; the decoded answer, None if there is none."""
        data = None if body is None else json.dumps(body).encode()
        fields = {"Content-Type": "application/json", "X-Auth-Token": self._token, **headers}
        with self._open(urllib.request.Request(self.url + path, data, fields, method=method)) as answer:  # noqa: S310 - our own server
            text = answer.read()
        return json.loads(text) if text else None

    def _open(self, request: urllib.request.Request) -> Any:
        return urllib.request.urlopen(request, timeout=120)  # noqa: S310

    def login(self, auth: dict[str, Any]) -> str:
        """A token."""
        data = json.dumps({"auth": auth}).encode()
        fields = {"Content-Type": "application/json"}
        with self._open(urllib.request.Request(self.url + "/auth/tokens", data, fields)) as answer:  # noqa: S310 - our own server
            return str(answer.headers["X-Subject-Token"])

    def make(self, kind: str, name: str, **members: Any) -> str:
        """Make a user, project, role, domain, …; its id."""
        made = self.ask("POST", f"/{kind}s", {kind: {"name": name, **members}})
        return str(made[kind]["id"])

    def grant(self, where: str, user: str, role: str) -> None:
        """`where`: projects/ID or domains/ID."""
        found = self.ask("GET", f"/roles?name={role}")["roles"][0]["id"]
        self.ask("PUT", f"/{where}/users/{user}/roles/{found}")

    def furnish(self, heat_url: str) -> None:
        """What Heat needs: roles, its user, the domain of stack users, and its place in the catalogue."""
        for role in ("heat_stack_user", "heat_stack_owner"):
            self.make("role", role)
        service = self.make("project", "service", domain_id="default")
        heat = self.make("user", "heat", domain_id="default", password=self.service_password)
        for role in ("admin", "service"):
            self.grant(f"projects/{service}", heat, role)
        domain = self.make("domain", "heat")
        admin = self.make("user", "heat_domain_admin", domain_id=domain, password=self.service_password)
        self.grant(f"domains/{domain}", admin, "admin")
        orchestration = self.make("service", "heat", type="orchestration")
        endpoint = {
            "service_id": orchestration,
            "interface": "public",
            "region_id": "RegionOne",
            "url": heat_url + "/v1/%(project_id)s",
        }
        self.ask("POST", "/endpoints", {"endpoint": endpoint})
