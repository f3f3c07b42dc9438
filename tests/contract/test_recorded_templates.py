"""Every recorded Heat template, rendered by us, becomes a complete stack on both kinds of Heat."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from actors.ports import StackSpec
from actors.rendering import HeatInput, render_heat
from config.examples import load_templates
from sim.heat_server.launch import RunningHeat, start
from tests.contract.heat_worlds import RealWorld

TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
needs_traces = pytest.mark.skipif(not TRACES.exists(), reason="recorded traces are not beside the project")
#: A value for parameters that no recorded request names, by declared type.
_MADE_UP = {"string": "5", "number": 5, "boolean": False, "json": {}, "comma_delimited_list": ["5"]}


@cache
def recorded_values() -> Mapping[str, Any]:
    """Values by parameter name, from all that was ever sent to Heat in the recorded runs."""
    found: dict[str, Any] = {}
    for file in sorted(TRACES.glob("*/*/heat_requests.json")):
        for request in json.loads(file.read_text())["requests"]:
            sent = {**request.get("parameters", {}), **request.get("jinja_parameters", {})}
            found.update({name: value for name, value in sent.items() if value not in (None, "", [], {})})
    return found


def documents() -> dict[str, Mapping[str, Any]]:
    """All templates for Heat: recorded ones of both generations, and those of our examples."""
    found = {
        f"{file.parts[-3]}/{file.stem}": json.loads(file.read_text())["body"]
        for file in sorted(TRACES.glob("*/heat_templates/*.json"))
    }
    ours = (json.loads(json.loads(value)["body"]) for _, value in load_templates())
    found.update({f"example/{body['id']}": body for body in ours})
    return {name: body for name, body in found.items() if body["handler"] == "heat_worker"}


def rendered(name: str, body: Mapping[str, Any]) -> HeatInput:
    """The template with recorded values, and with made-up ones where there are none."""
    known = recorded_values()
    values = {
        key: known.get(key, 5 if key.startswith("jinja_") else None) for key in body["parameter_mappings"]
    }
    values.pop("heat_timeout", None)
    declared = render_heat(body["template_file"], values, name=name).template.get("parameters") or {}
    for key, schema in declared.items():
        value = values.get(key)
        wrong = schema["type"] == "number" and not str(value).isdigit()
        if (value is None and schema.get("default") is None) or wrong:
            values[key] = _MADE_UP[schema["type"]]
    return render_heat(body["template_file"], values, name=name)


@pytest.fixture(scope="module", params=["real", "embedded"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorld]:
    """Each Heat in turn."""
    heat: RunningHeat = (
        request.getfixturevalue("real_heat")
        if request.param == "real"
        else start(tmp_path_factory.mktemp("heat"))
    )
    world = RealWorld(heat)
    yield world
    world.close()
    if request.param == "embedded":
        heat.stop()


@needs_traces
@pytest.mark.timeout(600)
def test_all_templates_reach_create_complete(world: RealWorld) -> None:
    """Created side by side in one project, all end in CREATE_COMPLETE; only `name` of interfaces cannot be told."""
    tenant, ids = world.tenant(), dict[str, str]()
    for name, body in documents().items():
        made = rendered(name, body)
        spec = StackSpec(
            tenant, "s_" + name.replace("/", "_"), made.template, made.parameters, made.timeout_min
        )
        ids[spec.name] = world.stacks.create(spec)
    assert len(ids) >= 82
    world.until(lambda: not world.stacks.in_progress(tenant), timeout_s=400.0)
    ended = {name: world.stacks.get(tenant, name, sid, outputs=True) for name, sid in ids.items()}
    assert {name: one.reason for name, one in ended.items() if one.status != "COMPLETE"} == {}
    broken = {
        (one["output_key"], one["output_error"])
        for stack in ended.values()
        for one in stack.outputs
        if "output_error" in one
    }
    assert broken == {
        ("name", "'ContrailLogicalInterface' object has no attribute 'li_uuid'"),
        ("name", "'ContrailPhysicalInterface' object has no attribute 'pi_uuid'"),
    }
