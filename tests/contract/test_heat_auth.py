"""Who HeatStacks is at Heat: Keystone with explicit values, clouds.yaml and OS_* variables."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.adapters.heat_auth import HeatConfig
from actors.adapters.heat_stacks import HeatStacks
from actors.core.errors import ErrorClass, PortError
from sim.heat_server.launch import RunningHeat, start
from tests.contract.heat_worlds import HttpWorld, spec

PASSWORD = "k3yst0ne-Pa55"

# openstacksdk warns of a part of its own that nobody here uses.
pytestmark = pytest.mark.filterwarnings("ignore:Support for InfluxDB")


class Keystone(ThreadingHTTPServer):
    """As much of Keystone v3 as a password login with a project scope needs."""

    daemon_threads = True

    def __init__(self, heat_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heat_url = heat_url
        self.scopes: list[str] = []
        #: Members of a token that are not what they should be.
        self.odd: dict[str, Any] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v3"


class _Handler(BaseHTTPRequestHandler):
    server: Keystone

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Stay silent."""

    def do_GET(self) -> None:
        """The version document."""
        link = {"href": self.server.url, "rel": "self"}
        self._send(200, {"version": {"id": "v3.14", "status": "stable", "links": [link]}})

    def do_POST(self) -> None:
        """A token for the asked project, with Heat in the catalogue."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["auth"]
        if "application_credential" in asked["identity"]:
            user, asked["scope"] = {"name": "esi", "password": PASSWORD}, {"project": {"id": "p1"}}
        else:
            user = asked["identity"]["password"]["user"]
        if user["password"] != PASSWORD:
            self._send(401, {"error": {"code": 401, "message": f"no entry with {user['password']}"}})
            return
        project = asked["scope"]["project"]["id"]
        self.server.scopes.append(project)
        endpoint = {
            "interface": "public",
            "region": "R1",
            "region_id": "R1",
            "id": "e1",
            "url": f"{self.server.heat_url}/v1/{project}",
        }
        catalog = [{"type": "orchestration", "name": "heat", "id": "s1", "endpoints": [endpoint]}]
        token = {
            "catalog": catalog,
            "methods": ["password"],
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2020-01-01T00:00:00.000000Z",
            "project": {"id": project, "name": project, "domain": {"id": "default", "name": "Default"}},
            "user": {"id": "u1", "name": user["name"], "domain": {"id": "default", "name": "Default"}},
        }
        answer: Any = {"token": {**token, **self.server.odd}}
        self._send(
            201, self.server.odd.get("whole", answer), {"X-Subject-Token": f"token-{len(self.server.scopes)}"}
        )

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        fields = {"Content-Type": "application/json", "Content-Length": str(len(text)), **(headers or {})}
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture(scope="module")
def heat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHeat]:
    """One server for the module."""
    running = start(tmp_path_factory.mktemp("heat"))
    yield running
    running.stop()


@pytest.fixture
def keystone(heat: RunningHeat) -> Iterator[Keystone]:
    """A Keystone that knows one user."""
    server = Keystone(heat.url)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def config(keystone: Keystone, **changes: Any) -> HeatConfig:
    """Explicit values."""
    members = {"auth_url": keystone.url, "username": "esi", "password": PASSWORD, "region": "R1"}
    return HeatConfig(**{**members, **changes})


def check_two_projects(stacks: HeatStacks, keystone: Keystone, name: str) -> None:
    """One token per project, and each stack where it belongs."""
    first, shared = stacks.create(spec("p1", name)), stacks.create(spec("", name))
    assert [stack.id for stack in stacks.find("p1", name)] == [first]
    assert [stack.id for stack in stacks.find("", name)] == [shared]
    assert keystone.scopes == ["p1", "admin"]
    stacks.close()


def test_password_per_project(keystone: Keystone) -> None:
    """Each tenant is spoken for with a token of its own project, found through the catalogue."""
    check_two_projects(HeatStacks(config(keystone)), keystone, "by_password")


@pytest.fixture
def clouds(keystone: Keystone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clouds.yaml with the cloud `lab`, and `wrong` with a wrong password."""
    auth = {
        "auth_url": keystone.url,
        "username": "esi",
        "password": PASSWORD,
        "project_name": "other",
        "user_domain_id": "default",
        "project_domain_id": "default",
    }
    lab = {"auth": auth, "region_name": "R1"}
    wrong = {"auth": {**auth, "password": "wr0ng-Pa55"}, "region_name": "R1"}
    given = {
        "auth_url": keystone.url,
        "application_credential_id": "a1",
        "application_credential_secret": "s3",
    }
    delegated = {"auth_type": "v3applicationcredential", "auth": given, "region_name": "R1"}
    file = tmp_path / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": {"lab": lab, "wrong": wrong, "delegated": delegated}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))


@pytest.mark.usefixtures("clouds")
def test_clouds_yaml(keystone: Keystone) -> None:
    """A cloud of clouds.yaml serves, whatever project it names."""
    check_two_projects(HeatStacks(HeatConfig(cloud="lab")), keystone, "by_cloud")


def test_os_variables(keystone: Keystone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The OS_* variables are the cloud named envvars."""
    monkeypatch.chdir(tmp_path)
    variables = {
        "AUTH_URL": keystone.url,
        "USERNAME": "esi",
        "PASSWORD": PASSWORD,
        "USER_DOMAIN_ID": "default",
        "PROJECT_NAME": "other",
        "PROJECT_DOMAIN_ID": "default",
        "REGION_NAME": "R1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"OS_{name}", value)
    check_two_projects(HeatStacks(HeatConfig(cloud="envvars")), keystone, "by_variables")


def test_expired_token_is_renewed(keystone: Keystone, heat: RunningHeat) -> None:
    """One 401 of Heat costs a new login, not a failure."""
    stacks = HeatStacks(config(keystone))
    assert stacks.find("p1", "x") == ()
    world = HttpWorld(heat)
    world.fault(action="status", status=401, body="Authentication required", content_type="text/plain")
    assert stacks.find("p1", "x") == ()
    assert keystone.scopes == ["p1", "p1"]
    stacks.close()
    world.close()


def test_heat_that_moved_is_found(keystone: Keystone, heat: RunningHeat) -> None:
    """Where nobody answers at the address of the catalogue any more, the next try asks Keystone for the present one."""
    keystone.heat_url = "http://127.0.0.1:9"
    stacks = HeatStacks(config(keystone))
    with pytest.raises(PortError) as error:
        stacks.create(spec("p1", "x"))
    assert error.value.failure.error_class is ErrorClass.TRANSIENT
    keystone.heat_url = heat.url
    assert stacks.find("p1", "x") == ()
    assert stacks.find("p1", "x") == ()
    assert keystone.scopes == ["p1", "p1"]
    stacks.close()


@pytest.mark.usefixtures("clouds")
@pytest.mark.parametrize("way", ["values", "cloud"])
def test_wrong_password_is_transient_and_not_shown(keystone: Keystone, way: str) -> None:
    """Keystone's refusal is no verdict on a stack, nothing is in doubt, and the password stays hidden."""
    explicit = config(keystone, password="wr0ng-Pa55")
    stacks = HeatStacks(explicit if way == "values" else HeatConfig(cloud="wrong"))
    with pytest.raises(PortError) as error:
        stacks.create(spec("p1"))
    assert (error.value.failure.error_class, error.value.failure.kind) == (
        ErrorClass.TRANSIENT,
        "Unauthorized",
    )
    assert "no entry with ***" in error.value.failure.text
    assert "wr0ng-Pa55" not in str(error.value) + repr(error.value) + repr(explicit)
    stacks.close()


@pytest.mark.parametrize(
    "odd",
    [
        {"whole": None},
        {"whole": {"token": 5}},
        {"whole": {}},
        {"expires_at": "soon"},
        {"expires_at": None},
        {"catalog": 5},
        {"catalog": [5]},
        {"catalog": [{"type": "orchestration", "endpoints": [5]}]},
        {
            "catalog": [
                {"type": "orchestration", "endpoints": [{"interface": "public", "region": "R1", "url": 5}]}
            ]
        },
    ],
    ids=repr,
)
def test_what_keystone_does_not_say_is_told_in_one_line(keystone: Keystone, odd: dict[str, Any]) -> None:
    """An answer that keystoneauth fails on is Keystone's trouble, not a mistake of ours, and nothing is in doubt."""
    keystone.odd = odd
    stacks = HeatStacks(config(keystone))
    with pytest.raises(PortError) as error:
        stacks.create(spec("p1"))
    assert error.value.failure.error_class is ErrorClass.TRANSIENT
    assert (
        "Keystone's answer cannot be understood" in error.value.failure.text
        or "Invalid response" in error.value.failure.text
    )
    assert PASSWORD not in str(error.value)
    stacks.close()


@pytest.mark.usefixtures("clouds")
def test_an_application_credential_is_told_apart(heat: RunningHeat) -> None:
    """It may read; where Heat refuses its create, the text says what to do about it."""
    stacks, world = HeatStacks(HeatConfig(cloud="delegated")), HttpWorld(heat)
    assert stacks.find("p1", "x") == ()
    # as Heat 27 words what Keystone 30 says about trusts
    world.fault(method="POST", action="status", status=403, type="HTTPForbidden", message="Internal Error")
    with pytest.raises(PortError) as error:
        stacks.create(spec("p1"))
    assert error.value.failure.error_class is ErrorClass.TERMINAL
    assert "application credential cannot create stacks" in error.value.failure.text
    assert "password" in error.value.failure.text
    stacks.close()
    world.close()


@pytest.mark.usefixtures("clouds")
def test_unknown_cloud_shows_at_the_start() -> None:
    """A cloud that nobody configured is refused before the first request."""
    with pytest.raises(ValueError, match="nowhere"):
        HeatStacks(HeatConfig(cloud="nowhere"))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"cloud": "a", "endpoint_template": "http://127.0.0.1/v1/{tenant}"},
        {"cloud": "a", "timeout_s": 0.0},
        {"cloud": "a", "pool_size": 0},
    ],
    ids=str,
)
def test_config_must_say_one_way_and_have_bounds(wrong: dict[str, Any]) -> None:
    """None or two ways to Heat, no timeout or no connections are refused at once."""
    with pytest.raises(ValueError, match=r"exactly one|positive"):
        HeatConfig(**wrong)
