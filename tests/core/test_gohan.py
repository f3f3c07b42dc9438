"""Resource types from Gohan's schema documents (contract 2.1, 4, appendix A)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.core.keys import CONFIG, TEMPLATES, ResourceType, decode_template
from actors.core.mapping import parse
from actors.core.model import Action, Declared, Handler, Ref, Template, Workflow
from actors.core.plan import compile_template, plan
from config.gohan import PORT_MONITORING, SchemaError, load_schemas, with_monitoring
from config.types import load_types
from tests.core.replay import TRACES, World, load

recorded = pytest.mark.skipif(not TRACES.exists(), reason=f"no recorded runs at {TRACES.name}")


def schema(**changes: Any) -> dict[str, Any]:
    """A schema document as Gohan answers it."""
    properties = {
        "network_id": {"type": "string", "relation": "network"},
        "other_id": {"type": ["string", "null"], "relation": "other"},
        "many": {"type": "array", "relation": "network", "items": {"type": "string", "relation": "network"}},
        "inner": {"type": "object", "properties": {"a": {"type": "string", "relation": "network"}}},
        "name": {"type": "string"},
    }
    return {
        "id": "port",
        "singular": "port",
        "plural": "ports",
        "prefix": "/v2.0/ports",
        "schema": {"properties": properties},
        "metadata": {"template_path": "Cport", "view": "tenant"},
    } | changes


def test_a_schema_becomes_a_type():
    """Only top-level scalar relations count; the template path belongs to the heat worker."""
    table = load_schemas({"schemas": [schema()]})
    assert list(table) == [
        ResourceType(
            "port", "ports", "v2.0", {"network_id": "network", "other_id": "other"}, {Handler.HEAT: "Cport"}
        )
    ]
    assert table.ref(f"{CONFIG}v2.0/ports/p1", CONFIG) == Ref("port", "p1")


def test_template_path_by_handler():
    """A template path may also name the handlers; a schema without one has no template."""
    both = {"heat_worker": "Ca", "monitoring_worker": {"constant": "b"}}
    table = load_schemas([schema(metadata={"template_path": both}), schema(id="x", metadata=None)])
    kind, other = table.get("port"), table.get("x")
    assert kind is not None
    assert other is not None
    assert kind.template_path == {Handler.HEAT: "Ca", Handler.MONITORING: {"constant": "b"}}
    assert other.template_path == {}


@pytest.mark.parametrize(
    ("name", "said", "meant"),
    [
        ("local_subnet", "Cese_logical_port", {Handler.HEAT: "Clocal_subnet"}),
        ("local_subnet", {"heat_worker": "Cese_logical_port"}, {Handler.HEAT: "Clocal_subnet"}),
        ("local_subnet", "Cmine", {Handler.HEAT: "Cmine"}),
        ("local_subnet", {"constant": "mine"}, {Handler.HEAT: {"constant": "mine"}}),
        ("ese_logical_port", "Cese_logical_port", {Handler.HEAT: "Cese_logical_port"}),
    ],
)
def test_the_template_that_local_subnet_names_by_mistake_is_put_right(name: str, said: Any, meant: Any):
    """Gohan gives local_subnet the template of another type; only that value of that type is replaced (quirk 28)."""
    (kind,) = load_schemas([schema(id=name, metadata={"template_path": said})])
    assert kind.template_path == meant


@pytest.mark.parametrize("prefix", ["/v2.0/ports", "/v2.0", "v2.0/"])
def test_prefix_with_and_without_the_plural(prefix: str):
    """Gohan's API names the whole collection, its files only the part before."""
    kind = load_schemas([schema(prefix=prefix)]).get("port")
    assert kind is not None
    assert kind.path == "v2.0/ports"


def test_schemas_that_are_no_resources_are_left_out():
    """Gohan's own schemas and the templates are no resource types."""
    assert list(load_schemas([schema(metadata={"type": "metaschema"}), schema(id="heat_template")])) == []


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ("text", "array"),
        ({"schemas": {}}, "array"),
        ([1], "object"),
        ([schema(id=None)], "'id'"),
        ([schema(plural=None)], "'port'"),
        ([schema(schema={})], "'port'"),
        ([schema(metadata={"template_path": 1})], "'port'"),
    ],
)
def test_bad_documents_are_refused_by_name(documents: Any, words: str):
    """What cannot be read is refused; the text names the schema."""
    with pytest.raises(SchemaError, match=words):
        load_schemas(documents)


def test_monitoring_templates_are_added_where_none_are_named():
    """The rows of contract 4.2 are added, but never over what a schema says."""
    own = {"monitoring_worker": "Cmine"}
    table = with_monitoring(
        load_schemas([schema(), schema(id="network", metadata={"template_path": own}), schema(id="subnet")])
    )
    paths = {kind.name: kind.template_path.get(Handler.MONITORING) for kind in table}
    assert paths == {"port": PORT_MONITORING, "network": "Cmine", "subnet": None}


def test_relations_that_older_templates_walk_are_added_where_the_schemas_lack_them():
    """The uplink of an interdc_service can be walked with Gohan's schemas too, unless they say where it leads."""
    service, uplink = schema(id="interdc_service"), schema(id="ha_interface", plural="ha_interfaces")
    mine = {"type": "string", "relation": "mine"}
    other = schema(id="interdc_service", schema={"properties": {"uplink_interface_id": mine}})
    for documents, target in (
        ([service, uplink], "ha_interface"),
        ([service], None),
        ([other, uplink], "mine"),
    ):
        table = with_monitoring(load_schemas(documents))
        assert table.relations["interdc_service"].get("uplink_interface_id") == target


@recorded
def test_recorded_relations_and_template_paths():
    """Gohan's recorded schemas give the recorded relation table and all 31 recorded template paths."""
    table = load_schemas(load("new/gohan_schemas.json"))
    relations = load("new/relations.json")
    assert {kind.name: dict(kind.relations) for kind in table} == {
        kind.name: relations[kind.name] for kind in table
    }
    assert sum(map(len, table.relations.values())) == sum(map(len, relations.values())) > 50
    paths = {kind.name: kind.template_path[Handler.HEAT] for kind in table if kind.template_path}
    assert paths == load("new/template_mappings.json")["heat_worker"] | {"local_subnet": "Clocal_subnet"}
    assert len(paths) == 31
    assert all(parse(mapping) for mapping in paths.values())


LOCAL_SUBNET = Declared(
    Ref("local_subnet", "s1"),
    1,
    {
        "id": "s1",
        "cidr": "10.0.0.0/24",
        "ip_version": 4,
        "name": "",
        "network_id": "n1",
        "ese_logical_port_id": "l1",
    },
)


def planned_values(world: World) -> dict[str, Any]:
    """What a new local_subnet's Heat job is given."""
    made = plan(world, LOCAL_SUBNET, None, Action.CREATE, salt="s")
    assert isinstance(made, Workflow)
    return {param.name: param.value for job in made.jobs for param in job.params}


def test_a_local_subnet_is_planned_from_its_own_template():
    """With our table a local_subnet gets the values of its own template, and none of a logical port (quirk 28)."""
    world = World(load_types())
    for name, mappings in {
        "local_subnet": {"cidr": "Pcidr"},
        "ese_logical_port": {"switch": "Fese_physical_port+ese_physical_port_id:name"},
    }.items():
        world.templates[name] = compile_template(Template(name, Handler.HEAT, mappings, ""))
    assert planned_values(world) == {"cidr": "10.0.0.0/24"}


@recorded
def test_a_local_subnet_is_planned_with_the_recorded_schemas_and_templates():
    """With Gohan's table a local_subnet gets the values that its recorded template asks for (quirk 28)."""
    world = World()
    for write in load("new/01_common_function_gateway/config.json")["writes"]:
        if write["key"].startswith(TEMPLATES):
            template = decode_template(write["key"], json.dumps(write["value"]).encode(), 1)
            world.templates[template.id] = compile_template(template)
    assert planned_values(world) == {"cidr": "10.0.0.0/24", "name": "s1"}
