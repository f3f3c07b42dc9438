"""HeatStacks with a real Keystone in front of a real Heat. Needs `python -m sim.real_heat.environment keystone`.

Not part of the usual run: it takes a minute, and an environment of its own. What it shows of answers is recorded
in `test_heat_errors.py`, and of the login in `test_heat_auth.py`, on stand-ins.
"""

from __future__ import annotations

import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.adapters.heat_auth import HeatConfig
from actors.adapters.heat_stacks import HeatStacks
from actors.core.errors import ErrorClass, PortError
from sim.real_heat.environment import KEYSTONE, prepared
from sim.real_heat.launch import RunningHeat, start
from sim.real_keystone.launch import Cloud
from sim.real_keystone.launch import start as start_keystone
from tests.contract.heat_worlds import spec

pytestmark = [
    pytest.mark.filterwarnings("ignore:Support for InfluxDB"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not prepared(KEYSTONE), reason="`python -m sim.real_heat.environment keystone` was not run"
    ),
]
PASSWORD = "k3yst0ne-Pa55"
_names = itertools.count(1)


@dataclass
class Lab:
    """One Keystone, one Heat, the user `esi` in the projects `mine` and `also`, and not in `theirs`."""

    cloud: Cloud
    heat: RunningHeat
    user: str
    projects: dict[str, str]

    @property
    def config(self) -> HeatConfig:
        """With the user's password."""
        return HeatConfig(auth_url=self.cloud.url, username="esi", password=PASSWORD, region="RegionOne")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Furnished once."""
    cloud = start_keystone(tmp_path_factory.mktemp("keystone"))
    root = cloud.url.removesuffix("/v3")
    options = ("--keystone", root, "--service-password", cloud.service_password)
    heat = start(tmp_path_factory.mktemp("heat"), options=options)
    cloud.furnish(heat.url)
    user = cloud.make("user", "esi", domain_id="default", password=PASSWORD)
    projects = {name: cloud.make("project", name, domain_id="default") for name in ("mine", "also", "theirs")}
    for name in ("mine", "also"):
        cloud.grant(f"projects/{projects[name]}", user, "member")
    yield Lab(cloud, heat, user, projects)
    heat.stop()
    cloud.stop()


def name() -> str:
    """Of a stack that is not there yet."""
    return f"stack{next(_names)}"


def failure(error: pytest.ExceptionInfo[PortError]) -> tuple[ErrorClass, str]:
    """Class and kind."""
    return error.value.failure.error_class, error.value.failure.kind


def test_a_password_makes_stacks_in_the_projects_of_the_user(lab: Lab) -> None:
    """Each in its project, found through the catalogue, complete in the end, not seen from the other; deleted."""
    stacks, wanted = HeatStacks(lab.config), name()
    ids = {}
    for project in (lab.projects["mine"], lab.projects["also"]):
        ids[project] = stacks.create(spec(project, wanted))
    for project, sid in ids.items():
        end = time.monotonic() + 300
        while stacks.in_progress(project):
            assert time.monotonic() < end
            time.sleep(0.1)
        (found,) = stacks.find(project, wanted)
        assert (found.id, found.action, found.status) == (sid, "CREATE", "COMPLETE")
        assert found.tags == ("gatewright", "v1")
        stacks.delete(project, wanted, sid)
        while stacks.find(project, wanted):
            assert time.monotonic() < end
            time.sleep(0.1)
    stacks.close()


def test_a_token_that_has_ended_is_renewed(lab: Lab) -> None:
    """The token is revoked behind our back: Heat says 401 once, and the call succeeds all the same."""
    stacks, project = HeatStacks(lab.config), lab.projects["mine"]
    assert stacks.find(project, name()) == ()
    token = stacks._login(project).plugin.get_token(stacks._session)
    lab.cloud.ask("DELETE", "/auth/tokens", **{"X-Subject-Token": token})
    request = urllib.request.Request(
        f"{lab.heat.url}/v1/{project}/stacks", headers={"X-Auth-Token": token, "Accept": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=120)
    assert refused.value.code == 401
    refused.value.close()
    assert stacks.find(project, name()) == ()
    assert stacks._login(project).plugin.get_token(stacks._session) != token
    stacks.close()


def test_a_wrong_password_is_transient_and_not_shown(lab: Lab) -> None:
    """Keystone's refusal is no verdict on a stack, and nothing is in doubt."""
    stacks = HeatStacks(replace(lab.config, password="wr0ng-Pa55"))
    with pytest.raises(PortError) as error:
        stacks.create(spec(lab.projects["mine"], name()))
    assert failure(error) == (ErrorClass.TRANSIENT, "Unauthorized")
    assert "wr0ng-Pa55" not in str(error.value)
    stacks.close()


def test_another_projects_tenant_is_refused(lab: Lab) -> None:
    """Keystone gives no token for a project in which the user has no role: nothing is made there."""
    stacks = HeatStacks(lab.config)
    with pytest.raises(PortError) as error:
        stacks.create(spec(lab.projects["theirs"], name()))
    assert failure(error) == (ErrorClass.TRANSIENT, "Unauthorized")
    stacks.close()


def test_another_projects_token_is_refused_by_heat(lab: Lab) -> None:
    """Heat says 403 to a token of `mine` for a path of `also`, in JSON and with a type of its own."""
    stacks = HeatStacks(lab.config)
    token = stacks._login(lab.projects["mine"]).plugin.get_token(stacks._session)
    stacks.close()
    request = urllib.request.Request(
        f"{lab.heat.url}/v1/{lab.projects['also']}/stacks",
        headers={"X-Auth-Token": token, "Accept": "application/json"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=120)
    with refused.value as answer:
        assert answer.code == 403
        assert json.loads(answer.read())["error"]["type"] == "HTTPForbidden"


def test_an_application_credential_reads_but_cannot_create(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heat acts by trusts, which a delegated token cannot make: final, and the text says what to do."""
    project = lab.projects["mine"]
    user = {"id": lab.user, "password": PASSWORD}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    token = lab.cloud.login({**auth, "scope": {"project": {"id": project}}})
    body = {"application_credential": {"name": name(), "unrestricted": True}}
    path = f"/users/{lab.user}/application_credentials"
    made = lab.cloud.ask("POST", path, body, **{"X-Auth-Token": token})["application_credential"]
    given = {"application_credential_id": made["id"], "application_credential_secret": made["secret"]}
    cloud = {
        "auth_type": "v3applicationcredential",
        "auth": {"auth_url": lab.cloud.url, **given},
        "region_name": "RegionOne",
    }
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"delegated": cloud}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    stacks = HeatStacks(HeatConfig(cloud="delegated"))
    assert stacks.find(project, name()) == ()
    with pytest.raises(PortError) as error:
        stacks.create(spec(project, name()))
    assert error.value.failure.error_class is ErrorClass.TERMINAL
    assert "application credential cannot create stacks" in error.value.failure.text
    stacks.close()
