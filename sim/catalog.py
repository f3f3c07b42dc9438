"""The small world that simulated resources live in: types, templates and devices.

Guarantees: every way in which resources hang together is there: an output of another stack (port → net), two
producers (link → port, port), a chain of any length, a list of producers (group), any number of its own kind (mesh),
monitoring only (box), no work at all (memo). Documents are in the product's own languages; nothing here is known to
the product.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.core import keys
from actors.core.keys import ResourceType
from actors.core.model import Handler, Json
from sim.snmp_agents.mib import DeviceTables

_HEAT, _WATCH = Handler.HEAT, Handler.MONITORING

#: The head of a chain has nothing before it, and is built like a net.
_CHAIN: Json = {
    "if_mapping": {"regexp": [{"field": "prev_id"}, {"constant": ".+"}]},
    "then_mapping": {"constant": "chain"},
    "else_mapping": {"constant": "net"},
}

_PORT_WATCH: Json = {
    "if_mapping": {"regexp": [{"field": "watch"}, {"constant": "no"}]},
    "then_mapping": {"constant": None},
    "else_mapping": {"constant": "port_watch"},
}

TYPES: tuple[ResourceType, ...] = (
    ResourceType("net", "nets", template_path={_HEAT: "Cnet"}),
    ResourceType(
        "port", "ports", relations={"net_id": "net"}, template_path={_HEAT: "Cport", _WATCH: _PORT_WATCH}
    ),
    ResourceType("link", "links", relations={"a_id": "port", "b_id": "port"}, template_path={_HEAT: "Clink"}),
    ResourceType("chain", "chains", relations={"prev_id": "chain"}, template_path={_HEAT: _CHAIN}),
    ResourceType("group", "groups", template_path={_HEAT: "Cgroup"}),
    ResourceType("mesh", "meshes", template_path={_HEAT: "Cmesh"}),
    ResourceType("box", "boxes", template_path={_WATCH: "Cbox_watch"}),
    ResourceType("memo", "memos"),
)

#: type → property → type, lists included: what the workload must declare first.
RELATIONS: Mapping[str, Mapping[str, str]] = {
    "port": {"net_id": "net"},
    "link": {"a_id": "port", "b_id": "port"},
    "chain": {"prev_id": "chain"},
    "group": {"member_ids": "net"},
    "mesh": {"up_ids": "mesh"},
}
WITH_STACK = frozenset({"net", "port", "link", "chain", "group", "mesh"})
WATCHED = frozenset({"port", "box"})


def watched(kind: str, body: Mapping[str, Json]) -> bool:
    """Whether what is declared so is to be watched."""
    return kind in WATCHED and body.get("watch") != "no"


DEVICES = 3
#: So many resources may go on at once beyond the limit, because what they waited for has come.
SLACK = 1000
PORTS_PER_DEVICE = 4
COMMUNITY = "EDGE_ROUTER_COMMUNITY"


def device_name(number: int) -> str:
    """The address under which the number-th device is declared."""
    return f"10.0.0.{number + 1}"


def port_name(number: int) -> str:
    """The number-th port of any device."""
    return f"xe-0/0/{number}"


def devices() -> dict[tuple[str, int], DeviceTables]:
    """All devices, with all ports up."""
    made = {}
    for number in range(DEVICES):
        ports = [port_name(n) for n in range(PORTS_PER_DEVICE)]
        tables = DeviceTables(device_name(number), community=COMMUNITY, interfaces=ports)
        made[device_name(number), 161] = tables
    return made


def _stack(*inputs: str) -> str:
    """A HOT document of one resource that takes `inputs`, gives an id and repeats its note."""
    lines = ["heat_template_version: 2013-05-23", "parameters:", "  note: {type: string, default: ''}"]
    lines += [f"  {name}: {{type: string, default: ''}}" for name in inputs]
    values = ", ".join(["{get_param: note}", *(f"{{get_param: {name}}}" for name in inputs)])
    lines += ["resources:", "  it:", "    type: ESI::Test::Knob", f"    properties: {{v: [{values}]}}"]
    lines += ["outputs:", "  id: {value: {get_resource: it}}", "  echo: {value: {get_param: note}}"]
    return "\n".join(lines) + "\n"


#: heat_timeout is in minutes: Heat gives up after one.
_COMMON: Mapping[str, Json] = {"note": "Pnote", "heat_timeout": "C1"}

_TEMPLATES: Mapping[str, tuple[Handler, Mapping[str, Json], str]] = {
    "net": (_HEAT, {**_COMMON}, _stack()),
    "port": (_HEAT, {**_COMMON, "net": "Mnet:net_id:id"}, _stack("net")),
    "link": (_HEAT, {**_COMMON, "a": "Mport:a_id:id", "b": "Mport:b_id:id"}, _stack("a", "b")),
    "chain": (_HEAT, {**_COMMON, "prev": "Mchain:prev_id:id"}, _stack("prev")),
    "group": (
        _HEAT,
        {
            **_COMMON,
            "members": {
                "for_field": "member_ids",
                "for_mapping": {"output_key": "id", "path": [{"type": "net", "id": ""}]},
            },
        },
        _stack("members"),
    ),
    "mesh": (
        _HEAT,
        {
            **_COMMON,
            "members": {
                "for_field": "up_ids",
                "for_mapping": {"output_key": "id", "path": [{"type": "mesh", "id": ""}]},
            },
        },
        _stack("members"),
    ),
    "port_watch": (
        _WATCH,
        {"name": "Pname", "ip": "Pip", "limit": "Plimit"},
        'port:\n  type: physical_port\n  device_ip: "{{ ip }}"\n  name: "{{ name }}"\n  timeout: {{ limit }}\n',
    ),
    "box_watch": (
        _WATCH,
        {"ip": "Pip", "limit": "Plimit"},
        'box:\n  type: router\n  ip: "{{ ip }}"\n  timeout: {{ limit }}\n',
    ),
}


def template_key(name: str) -> str:
    """Where a template stands."""
    return keys.TEMPLATES + name


def template_value(name: str, *, broken: bool = False) -> bytes:
    """A template document, or one that cannot be rendered."""
    handler, mappings, source = _TEMPLATES[name]
    body: dict[str, Json] = {
        "id": name,
        "handler": handler.value,
        "parameter_mappings": mappings,
        "template_file": "{% for x in %}" if broken else source,
        "watch": [],
    }
    return keys.encode_declared(body, 1)


def template_names() -> tuple[str, ...]:
    """The templates that are there from the beginning; "mesh" comes with the first of its kind."""
    return tuple(name for name in _TEMPLATES if name != "mesh")
