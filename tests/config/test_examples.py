"""The example templates, declarations and agents, used as the product uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.core import keys
from actors.core.mapping import Context, compile_mappings, evaluate, evaluate_all, parse
from actors.core.model import Declared, Handler, JsonObject, Param, Ref
from actors.rendering import render_heat, render_monitors, resolve
from config.documents import DocumentError
from config.examples import GATEWAY_FILE, load_agents, load_declarations, load_templates
from config.monitor_types import load_monitor_types
from config.types import load_types
from sim.heat import hot, parameters
from sim.heat import types as heat_types
from sim.snmp_agents.config import devices_of

RUN = Path(__file__).resolve().parents[3] / "shared" / "traces" / "old" / "01_common_function_gateway"
needs_traces = pytest.mark.skipif(not RUN.exists(), reason="recorded traces are not beside the project")

TYPES = load_types()
MONITOR_TYPES = load_monitor_types()
TEMPLATES = {
    template.id: template
    for template in (keys.decode_template(key, value, 1) for key, value in load_templates())
}


def declarations() -> dict[Ref, Declared]:
    """What the file declares, as read back from its wire form."""
    found = {}
    for key, value in load_declarations(GATEWAY_FILE, TYPES):
        ref = TYPES.ref(key, keys.CONFIG)
        assert ref is not None, key
        found[ref] = keys.decode_declared(key, value, ref, 1)
    return found


DECLARED = declarations()
SEED_PORT = Ref("ese_logical_port", "b04853c4-6ebf-441f-9093-ea4b844c4bc7")
GATEWAY = Ref("common_function_gateway", "5c241c51-2003-407a-a239-689fabd19022")


def context(ref: Ref, *, only_earlier: bool = False) -> Context:
    """The declared world, seen from one resource; at will as it was when that was declared."""
    known = list(DECLARED)
    if only_earlier:
        known = known[: known.index(ref) + 1]

    def body(other: Ref) -> JsonObject | None:
        return DECLARED[other].body if other in known else None

    return Context(ref, DECLARED[ref].body, DECLARED[ref].version, TYPES.relations, body)


def template_of(ref: Ref, handler: Handler) -> Any:
    """The template that the type table names for a resource, or None."""
    kind = TYPES.get(ref.type)
    assert kind is not None
    mapping = kind.template_path.get(handler)
    found = evaluate(parse(mapping), context(ref)).value if mapping else None
    return TEMPLATES.get(found) if found else None


def params(ref: Ref, handler: Handler, *, only_earlier: bool = False) -> tuple[Param, ...]:
    """The parameters of its job."""
    compiled = compile_mappings(template_of(ref, handler).parameter_mappings)
    return evaluate_all(compiled, context(ref, only_earlier=only_earlier))


def workable(handler: Handler) -> list[Ref]:
    """All resources that this handler has work for."""
    return [ref for ref in DECLARED if template_of(ref, handler)]


@pytest.fixture(scope="module")
def stacks():
    """The checked stack of every resource that has one, in dependency order, and made-up outputs."""
    documents: dict[Ref, Any] = {}
    outputs: dict[Ref, list[JsonObject]] = {}
    waiting = workable(Handler.HEAT)
    while waiting:
        ref = waiting.pop(0)
        values, missing = resolve(params(ref, Handler.HEAT), outputs)
        if missing:  # an output it needs is not there yet
            waiting.append(ref)
            assert len(waiting) > 1, missing
            continue
        given = render_heat(template_of(ref, Handler.HEAT).source, values, name=ref.type)
        document = hot.parse(given.template)
        documents[ref] = (document, given)
        outputs[ref] = [{"output_key": key, "output_value": f"{ref.id}/{key}"} for key in document.outputs]
    return documents, outputs


@pytest.mark.parametrize("ref", workable(Handler.HEAT), ids=str)
def test_every_heat_template_gives_a_stack_that_heat_accepts(stacks, ref):
    """Rendered with real parameters it parses, binds every parameter, and names known resource types only."""
    document, given = stacks[0][ref]
    parameters.bind(document.parameters, given.parameters)
    for resource in document.resources.values():
        assert heat_types.type_of(resource.type)


def test_heat_templates_of_the_other_case_parse_as_well():
    """The template for a new switch and for a known port, which the scenario does not use, are sound too."""
    switch = render_heat(
        TEMPLATES["ese_device_new"].source,
        {**dict.fromkeys(TEMPLATES["ese_device_new"].parameter_mappings, "x"), "vnc_managed": "False"},
    )
    port = render_heat(
        TEMPLATES["ese_physical_port_existing"].source,
        dict.fromkeys(TEMPLATES["ese_physical_port_existing"].parameter_mappings, "x"),
    )
    for given, count in ((switch, 11), (port, 2)):
        document = hot.parse(given.template)
        parameters.bind(document.parameters, given.parameters)
        assert len(document.outputs) == count


def test_every_declared_parameter_of_a_stack_has_a_mapping(stacks):
    """No HOT parameter is left to its default because its mapping was forgotten or misspelt."""
    for ref, (document, _) in stacks[0].items():
        mapped = template_of(ref, Handler.HEAT).parameter_mappings
        assert set(document.parameters) <= set(mapped), ref


def test_the_passwords_of_a_stack_are_hidden(stacks):
    """Heat is told to show stars for every password parameter."""
    document, _ = stacks[0][GATEWAY]
    passwords = [parameter for name, parameter in document.parameters.items() if "password" in name]
    assert len(passwords) == 2
    assert all(parameter.hidden for parameter in passwords)


MONITORS = {
    "ese_device": {"switch": "switch"},
    "ese_physical_port": {"port": "physical_port"},
    "ese_logical_port": {"logical_port": "logical_port"},
    "network": {"network": "virtual_network"},
    "port": {},  # not attached
    "edge_router": {"router": "router"},
    "ha_router": {"primary": "etcd_reader", "secondary": "etcd_reader"},
    "er_physical_interface": {"interface": "physical_port"},
    "ha_interface": {"primary": "etcd_reader", "secondary": "etcd_reader"},
    "common_function_gateway": {
        f"{role}_{vrid}": "vrrp_session" for vrid in (41, 42) for role in ("primary", "secondary")
    },
}


@pytest.mark.parametrize("ref", workable(Handler.MONITORING), ids=str)
def test_every_monitoring_template_gives_the_monitors_of_the_contract(stacks, ref):
    """Names and types are those of contract 6.1, with all properties that polling needs."""
    values, missing = resolve(params(ref, Handler.MONITORING), stacks[1])
    assert not missing
    monitors = render_monitors(template_of(ref, Handler.MONITORING).source, values, name=ref.type)
    assert {monitor.name: monitor.type for monitor in monitors} == MONITORS[ref.type]
    for monitor in monitors:
        assert all(monitor.properties.get(name) for name in MONITOR_TYPES[monitor.type].required)


def test_an_attached_port_is_watched(stacks):
    """With an owner and attached, the port's document names its interface, else it is empty."""
    ref = next(ref for ref in workable(Handler.MONITORING) if ref.type == "port")
    values, _ = resolve(params(ref, Handler.MONITORING), stacks[1])
    source = TEMPLATES["port_monitoring"].source
    (monitor,) = render_monitors(source, {**values, "attached": True})
    assert (monitor.name, monitor.type, monitor.properties["timeout"]) == (
        "vmi",
        "virtual_machine_interface",
        120,
    )
    assert render_monitors(source, {**values, "attached": True, "device_owner": "compute:x"})
    assert render_monitors(source, {**values, "attached": True, "device_owner": None}) == ()


def test_the_gateways_monitors_want_the_primary_router_to_be_master(stacks):
    """Wanted state and host of each VRRP session follow the pair of routers, as the agents have it."""
    values, _ = resolve(params(GATEWAY, Handler.MONITORING), stacks[1])
    monitors = render_monitors(TEMPLATES["common_function_gateway_monitoring"].source, values)
    agents = {str(row["name"]): row for row in load_agents().config["devices"]}
    names = load_agents().names
    for monitor in monitors:
        wanted = monitor.properties["wanted_status"]
        device = agents[names[monitor.properties["host"]]]
        session = {"interface": monitor.properties["interface"], "vrid": monitor.properties["vrid"]}
        assert {**session, "state": wanted.upper()} in device["vrrp"]


def test_every_port_that_is_watched_is_offered_by_its_agent(stacks):
    """Address, interface and community name of each SNMP monitor match the example agents."""
    agents = load_agents()
    rows = {row["name"]: row for row in agents.config["devices"]}
    seen = 0
    for ref in workable(Handler.MONITORING):
        values, _ = resolve(params(ref, Handler.MONITORING), stacks[1])
        for monitor in render_monitors(template_of(ref, Handler.MONITORING).source, values):
            properties = monitor.properties
            address = properties.get("device_ip") or properties.get("ip")
            if not address:
                continue
            row = rows[agents.names[address]]
            assert row["community"] == properties["community_name"]
            if "name" in properties:
                assert properties["name"] in {interface["name"] for interface in row["interfaces"]}
            seen += 1
    assert seen == 9


def test_the_agents_file_is_what_the_agents_server_reads():
    """The embedded agents accept it and have two tables of VRRP groups in opposite states."""
    agents = load_agents(community=lambda name: f"secret of {name}")
    devices = {device.tables.name: device.tables for device in devices_of(agents.config, 0.0)}
    assert set(devices) == set(agents.names.values())
    assert devices["QFX-NW02"].community == "secret of ESE_NODE_COMMUNITY"
    assert set(devices["vMX-router-02"].vrrp.values()) == {"MASTER"}
    assert set(devices["vMX-router-01"].vrrp.values()) == {"BACKUP"}


@needs_traces
def test_every_job_parameter_is_the_recorded_one():
    """For each job of the recorded run at version 1, our templates give the same parameters."""
    compared = 0
    for path in sorted((RUN / "resources").glob("*-1.json")):
        for recorded in json.loads(path.read_text())["jobs"]:
            handler, job, _ = recorded["value"]
            ref = Ref(job["resource_type"], job["resource_id"])
            ours = {p.name: p.to_json() for p in params(ref, Handler(handler), only_earlier=True)}
            theirs = {param["param"]: param for param in job["params"]}
            for name, entry in theirs.items():
                if "password" in name:
                    entry["value"] = "lab-password"
            assert ours == theirs, (ref, handler)
            compared += 1
    assert compared == 25


@needs_traces
def test_the_seeds_logical_port_is_declared_as_in_the_seed():
    """Body and version of the seed's first check point."""
    recorded = json.loads((RUN / "resources" / f"{SEED_PORT.type}-{SEED_PORT.id}-1.json").read_text())
    value = recorded["config"]["value"]
    assert DECLARED[SEED_PORT].body == value["body"]
    assert DECLARED[SEED_PORT].version == value["version"]


def test_the_seeds_outputs_have_the_seeds_descriptions(stacks):
    """The two outputs of a logical port, which stand in /state as text, are described as in the seed."""
    document, _ = stacks[0][SEED_PORT]
    assert {key: output["description"] for key, output in document.outputs.items()} == {
        "id": "A unique id for the logical interface",
        "name": "The name of the logical interface.",
    }


def test_the_mapping_language_is_used_in_all_its_ways():
    """The examples show both spellings, several hops, late binding, loops, conditions and constants."""
    mappings = json.dumps([template.parameter_mappings for template in TEMPLATES.values()])
    for form in ('"P', '"C', '"F', '"M', "for_field", "if_mapping", "ignore_missing", "output_key", "path"):
        assert form in mappings
    assert max(mapping.count("+") for mapping in mappings.split('"')) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1", "must be a list of declarations"),
        ("- {type: port}", "declaration 1: member 'body' is missing"),
        ("- {type: port, body: {id: a}, typ: x}", "declaration 1: no such member 'typ'"),
        ("- {type: prot, body: {id: a}}", "declaration 1: no such type 'prot'"),
        ("- {type: port, body: {name: a}}", "declaration 1 (port): body must be a table with the text 'id'"),
        ("- {type: port, body: {id: a/b}}", "declaration 1 (port): id 'a/b' must not be empty or hold a /"),
        ("- {type: port, body: {id: ''}}", "declaration 1 (port): id '' must not be empty or hold a /"),
        ("- {type: port, version: 0, body: {id: a}}", "(port a): version must be a positive integer"),
        (
            "- {type: port, body: {id: a}}\n- {type: port, body: {id: a}}",
            "declaration 2: /config/v2.0/ports/a",
        ),
        ("- {type: port, body: {id: a, id: b}}", ":1: not YAML: repeated key 'id'"),
    ],
)
def test_a_wrong_declaration_is_explained(tmp_path, text, said):
    """Each defect names the file, the number of the declaration and the reason."""
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        load_declarations(path, TYPES)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


GOOD = {"id": "t", "handler": "heat_worker", "parameter_mappings": {}, "template_file": "", "watch": []}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "u"}, "id 'u' must be the name of its file"),
        ({"handler": "worker"}, "unknown handler 'worker'; there are heat_worker, monitoring_worker"),
        ({"parameter_mappings": []}, "parameter_mappings must be a table"),
        ({"template_file": None}, "template_file must be text"),
        ({"watch": ["port"]}, "watch must be []"),
        ({"params": {}}, "no such member 'params'"),
    ],
)
def test_a_wrong_template_document_is_explained(tmp_path, change, said):
    """Each defect of a template document is one error naming its file."""
    (tmp_path / "t.yaml").write_text(json.dumps(GOOD | change))
    with pytest.raises(DocumentError) as caught:
        load_templates(tmp_path)
    assert said in str(caught.value)
    assert "t.yaml" in str(caught.value)


def test_a_folder_without_templates_is_explained(tmp_path):
    """An empty folder is an error rather than a silent nothing."""
    with pytest.raises(DocumentError, match="no template documents"):
        load_templates(tmp_path)
