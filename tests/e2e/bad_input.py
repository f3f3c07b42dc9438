"""Declarations and templates with one mistake each, in types that the example gateway does not use."""

from __future__ import annotations

from typing import Any

from actors.core.json_text import compact
from actors.core.keys import encode_declared
from tests.e2e.harness import TENANT

HOT = """
heat_template_version: 2013-05-23
parameters: {{name: {{type: string}}}}
resources: {{it: {{type: {kind}}}}}
outputs: {{id: {{description: its id, value: {{get_resource: it}}}}}}
"""
GOOD = HOT.format(kind="OS::Contrail::VirtualNetwork")
BAD_KIND = HOT.format(kind="OS::No::SuchThing")
IDS = {
    kind: f"{number:08d}-0000-4000-8000-000000000000"
    for number, kind in enumerate(
        (
            "gcp_gateway", "azure_gateway", "azure_interface", "internet_gateway", "public_ip",
            "static_route", "gcp_interface", "edge_router", "aws_gateway", "load_balancer_syslog_server", "vpn_gateway",
            "interdc_gateway",
        ), 1
    )
}  # fmt: skip
ABSENT = "99999999-0000-4000-8000-000000000000"
ENDLESS = "([a-z]+ ?)*$"
#: No device answers there: not an address of an embedded agent.
SILENT = "127.0.0.99"

#: Not a template each, but what is special about it: (id, handler, mappings, source).
TEMPLATES: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    # an expression of the mapping language that there is none of
    ("gcp_gateway", "heat_worker", {"name": "Pname", "speed": "Zspeed"}, GOOD),
    # Jinja that cannot be compiled, in line 3
    ("azure_gateway", "heat_worker", {"name": "Pname"}, "# one\n# two\n{% for x in %}\n" + GOOD),
    # Jinja that fails when it runs, in line 2
    ("azure_interface", "heat_worker", {"name": "Pname"}, "# one\n# {{ 1 / 0 }}\n" + GOOD),
    # a document that Heat refuses
    ("internet_gateway", "heat_worker", {"name": "Pname"}, BAD_KIND),
    # what needs that one's output, and what needs this one's
    ("public_ip", "heat_worker", {"name": "Pname", "jinja_gateway": "Minternet_gateway:internet_gw_id:id"}, GOOD),
    ("static_route_x", "heat_worker", {"name": "Pname", "jinja_ip": "Mpublic_ip:public_ip_id:id"}, GOOD),
    # a relation to what is not declared
    ("gcp_interface", "heat_worker", {"name": {"field": "name", "path": ["gcp_gw_id"]}}, GOOD),
    # a stack that is fine, and a monitor of a type that there is none of
    ("aws_gateway", "heat_worker", {"name": "Pname"}, GOOD),
    ("aws_gateway_monitoring", "monitoring_worker", {}, "uplink: {type: carrier_pigeon}\n"),
    # a parameter that Heat wants and the template does not give
    ("load_balancer_syslog_server", "heat_worker", {"title": "Pname"}, GOOD),
    # patterns that backtrack for ever, in a mapping and in Jinja
    ("vpn_gateway", "heat_worker", {"name": {"if_mapping": {"regexp": [{"field": "text"}, {"constant": ENDLESS}]},
                                             "then_mapping": "Pname", "else_mapping": "Pid"}}, GOOD),
    ("interdc_gateway", "heat_worker", {"name": "Pname", "jinja_text": "Ptext"},
     "# one\n{% if jinja_text | match('" + ENDLESS + "') %}\n{% endif %}\n" + GOOD),
    # as in the example, but it does not wait for two minutes
    ("edge_router_monitoring", "monitoring_worker", {"device_ip": "Pip"},
     'router: {type: router, ip: "{{ device_ip }}", community_name: EDGE_ROUTER_COMMUNITY, timeout: 3}\n'),
)  # fmt: skip


def templates() -> list[tuple[str, bytes]]:
    """(key, value) of each."""
    made = []
    for name, handler, mappings, source in TEMPLATES:
        body = {"id": name, "handler": handler, "parameter_mappings": mappings, "template_file": source}
        made.append((f"/config/v2.0/heat_templates/{name}", compact({"body": body, "version": 1})))
    return made


def path(kind: str) -> str:
    """`v2.0/<plural>/<id>` of the one resource of that type."""
    return f"v2.0/{kind}s/{IDS[kind]}"


def declarations() -> list[tuple[str, bytes]]:
    """(key, value) of one resource of each type, dependents before what they depend on."""
    more = {
        "public_ip": {"internet_gw_id": IDS["internet_gateway"]},
        "static_route": {"public_ip_id": IDS["public_ip"], "service_type": "x"},
        "gcp_interface": {"gcp_gw_id": ABSENT},
        "edge_router": {"ip": SILENT},
        "vpn_gateway": {"text": "a" * 60 + "!"},
        "interdc_gateway": {"text": "a" * 60 + "!"},
    }
    return [
        ("/config/" + path(kind), encode_declared(
            {"id": rid, "name": f"the {kind}", "tenant_id": TENANT, **more.get(kind, {})}, 1))
        for kind, rid in reversed(IDS.items())
    ]  # fmt: skip


#: What cannot even be taken for a declaration.
UNREADABLE = {
    f"/config/v2.0/networks/{ABSENT}": b"{not json",
    f"/config/v2.0/subnets/{ABSENT}": b'{"body": "[]", "version": 1}',
    f"/config/v2.0/widgets/{ABSENT}": encode_declared({"id": ABSENT}, 1),
    # JSON that a reader can fail at in other ways than to say so
    f"/config/v2.0/firewalls/{ABSENT}": b'{"body": ' + b"[" * 100_000,
    f"/config/v2.0/load_balancers/{ABSENT}": encode_declared({"name": "x"}, 1).replace(
        b'\\"x\\"', b"[" * 150 + b"]" * 150
    ),
    f"/config/v2.0/internet_services/{ABSENT}": encode_declared({"name": "x"}, 1).replace(b"x", b"\\\\ud800"),
    f"/config/v2.0/ports/{ABSENT}": b'{"body": {"slots": NaN}, "version": 1}',
    "/config/v2.0/ports/\udcff": encode_declared({"id": "x"}, 1),
}

NOBODY = "77777777-0000-4000-8000-000000000000"
#: Records that nobody of ours writes, in our own name space and among the jobs.
SPOILT = {
    "/gatewright/shards/" + "1" * 5_000: b"c0",
    "/gatewright/controllers/\udcff": b"\xff",
    "/gatewright/pause/type/\udcff": b"{}",
    f"/gatewright/targets/v2.0/ports/{NOBODY}": b'{"version": 1, "targets": [{"name": [], "type": {}}]}',
    f"/gatewright/history/v2.0/ports/{NOBODY}": b'{"lines": [{"version": 1, "seconds": {"own": [1]}}]}',
    f"/gatewright/drift/v2.0/ports/{NOBODY}": b'{"version": 1, "drift": "gone", "text": 1, "found": "-inf"}',
    "/jobs/all/create:heat_worker:port:a:1:b": b'["heat_worker", {"id": [], "params": [], "dependency": [[]]}, 0]',
    "/jobs/all/": b"[" * 100_000,
    f"/state/v2.0/ports/{NOBODY}": b'{"version": 1e999, "state": []}',
}
