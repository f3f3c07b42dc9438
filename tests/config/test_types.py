"""The table of resource types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.core.keys import CONFIG
from actors.core.mapping import Context, evaluate, parse
from actors.core.model import Handler, Ref
from config.types import TypesError, load_types

TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"
needs_traces = pytest.mark.skipif(not TRACES.exists(), reason="recorded traces are not beside the project")
#: The API server's own types, and documents that are input, not resources.
NO_RESOURCES = {"schema", "policy", "extension", "event", "namespace", "heat_template"}


def recorded(name: str) -> Any:
    """One recorded JSON document."""
    return json.loads((TRACES / "new" / name).read_text())


@needs_traces
def test_relations_are_those_of_the_recorded_schemas():
    """Every recorded resource type is known, with exactly the recorded relations and the one of older templates."""
    expected = {name: rel for name, rel in recorded("relations.json").items() if name not in NO_RESOURCES}
    expected["interdc_service"] = {"uplink_interface_id": "ha_interface"}
    assert {name: dict(rel) for name, rel in load_types().relations.items()} == expected


@pytest.mark.parametrize("kind", ["interdc_gateway", "interdc_interface", "gw_interface"])
def test_the_uplink_of_an_interdc_service_can_be_walked(kind: str):
    """Older templates go from the service of another data centre to the names of its physical uplinks."""
    bodies: dict[Ref, dict[str, Any]] = {
        Ref("interdc_gateway", "g"): {"interdc_service_id": "s"},
        Ref("interdc_service", "s"): {"uplink_interface_id": "ha"},
        Ref("ha_interface", "ha"): {"primary_interface_id": "er"},
        Ref("er_physical_interface", "er"): {"name": "xe-0/0/1"},
    }
    start = {"interdc_service_id": "s", "interdc_gw_id": "g"}
    to_gateway = [] if kind == "interdc_gateway" else ["interdc_gw_id"]
    path = [*to_gateway, "interdc_service_id", "uplink_interface_id", "primary_interface_id"]
    context = Context(Ref(kind, "x"), start, 1, load_types().relations, bodies.get)
    assert evaluate(parse({"field": "name", "path": path}), context, "x").value == "xe-0/0/1"


@needs_traces
def test_paths_are_those_of_the_recorded_schemas():
    """Plural and prefix of every type give the path under which the API server puts it."""
    schemas = {schema["id"]: schema for schema in recorded("gohan_schemas.json")["schemas"]}
    for kind in load_types():
        assert f"/{kind.path}" == schemas[kind.name]["prefix"], kind.name


@needs_traces
def test_heat_templates_are_those_of_the_recorded_schemas():
    """The heat mappings equal the recorded ones but for the wrong one, so a run without schemas is planned alike."""
    ours = {kind.name: kind.template_path.get(Handler.HEAT) for kind in load_types()}
    theirs = recorded("template_mappings.json")["heat_worker"] | {"local_subnet": "Clocal_subnet"}
    assert {name: mapping for name, mapping in ours.items() if mapping} == theirs


def test_tenants_live_under_their_own_prefix():
    """A tenant's key is recognised, and so is an ordinary resource's."""
    types = load_types()
    assert types.ref("/config/common/v1.0/tenants/t1", CONFIG) == Ref("tenant", "t1")
    assert types.ref("/config/v2.0/ese_logical_ports/p1", CONFIG) == Ref("ese_logical_port", "p1")
    assert types.ref("/config/v2.0/heat_templates/port", CONFIG) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "types.yaml:1: not YAML"),
        ("a: {}\na: {}", "types.yaml:2: not YAML: repeated key 'a'"),
        ("[a]", "must be a table of types"),
        ("a:", "type a: must be a table"),
        ("a: {plurals: as}", "type a: no such member 'plurals'; there are plural"),
        ("a: {prefix: /v2.0}", "type a: prefix must be text without slashes"),
        ("a: {relations: {b_id: b}}", "type a: b_id refers to 'b', which is no type"),
        ("a: {template_path: {heat: Ca}}", "type a: no such handler 'heat'; there are heat_worker"),
        ("a: {template_path: {heat_worker: 5}}", "type a: template_path of heat_worker must be a mapping"),
        ("a: {plural: xs}\nb: {plural: xs}", "types a and b have the same path v2.0/xs"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path, text, said):
    """Each defect of a types file is one error that names the file, the type and the reason."""
    path = tmp_path / "types.yaml"
    path.write_text(text)
    with pytest.raises(TypesError) as caught:
        load_types(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_explained(tmp_path):
    """A file that is not there is an error with its name."""
    with pytest.raises(TypesError, match=r"none\.yaml: cannot be read"):
        load_types(tmp_path / "none.yaml")
