"""Data points of the monitoring documents as the first generation had them (contract 6.1, 6.9)."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.model import Ref
from actors.core.monitor_types import BadMonitor
from actors.core.monitors import row_of, target
from actors.core.readings import Meters, Point
from actors.rendering import render_monitors
from config.monitor_types import load_monitor_types

TYPES = load_monitor_types()

LOGICAL_PORT = """\
logical_port:
  type: logical_port
  community_name: C
  device_ip: {{ device_ip }}
  name: {{ name }}
{% for port_id in port_ids %}
db_mappings:
  - mapped_id: {{ device_ip }}-{{ name }}
    resource_id: {{ port_id }}
    resource_type: port
    relation: baremetal
{% endfor %}
"""
VPN_INTERFACE = """\
primary_uplink: {type: logical_port, device_ip: 10.0.0.1, name: ae0.7}
secondary_uplink: {type: logical_port, device_ip: 10.0.0.2, name: ae0.7}
db_mappings:
  - mapped_id: 10.0.0.1-ae0.7
    relation: "primary"
  - mapped_id: 10.0.0.2-ae0.7
    relation: "secondary"
"""


LOAD_BALANCER = """\
vnf_instance: {type: etcd_reader, etcd_type: vnf_instance, etcd_id: v}
load_balancer:
  type: router
  community_name: C
  ip: {{ instance_ip }}
  mibs: [
    ["resCpuUsage", "1.3.6.1.4.1.5951.4.1.1.41.1"],
    ["resMemUsage", "1.3.6.1.4.1.5951.4.1.1.41.2"],
    ["httpTotRequests", "1.3.6.1.4.1.5951.4.1.1.48.67"],
    ["tcpCurClientConn", "1.3.6.1.4.1.5951.4.1.1.46.2"],
    ["tcpCurServerConn", "1.3.6.1.4.1.5951.4.1.1.46.1"]
  ]
db_mappings:
  - mapped_id: {{ instance_ip }}
    relation: 'instance'
"""
LOAD_BALANCER_INTERFACE = """\
interface:
  type: {{ type }}
  device_ip: {{ instance_ip }}
  {% if slot_number == 0  %}
  name: 0/1
  {% else %}
  name: 1/{{ slot_number }}
  {% endif %}
  mibs: [ ["ifHCInOctets", "1.3.6.1.2.1.31.1.1.1.6"], ["ifHCOutOctets", "1.3.6.1.2.1.31.1.1.1.10"] ]
"""


def points(source: str, values: dict[str, Any]) -> list[Point]:
    """What comes of a document's monitors when all counters stand at 100, then at 160 a minute later."""
    made = [target(m.name, m.type, m.properties, "C", TYPES) for m in render_monitors(source, values)]
    rows = [(one, row_of(one, TYPES)) for one in made if not one.passive]
    measured = [(Ref("x", "r"), one, row) for one, row in rows if row is not None]
    meters = Meters()
    asked = meters.plan(measured)
    meters.points(measured, asked, [100] * len(asked), 0.0, [1] * len(asked))
    moved = [100 if "31.1.1.1.19" in query.oid else 160 for query in asked]
    return meters.points(measured, asked, moved, 60.0, [6001] * len(asked))


def tags(found: list[Point]) -> list[dict[str, str]]:
    """Their tags without what they have in common."""
    assert {(point.metric, dict(point.tags)["resource_id"]) for point in found} == {("traffic.bytes", "r")}
    return [{k: v for k, v in point.tags if k != "resource_id"} for point in found]


def test_a_logical_port_has_a_point_for_each_port_id():
    """The row of each port that a loop wrote under a repeated key counts, not only the last (quirk 42)."""
    values = {"device_ip": "10.0.0.9", "name": "xe-0/0/3.1", "port_ids": ["a", "b", "b"]}
    assert tags(points(LOGICAL_PORT, values)) == [
        {"direction": way, "port_id": port_id} for way in ("in", "out") for port_id in ("a", "b")
    ]
    assert tags(points(LOGICAL_PORT, values | {"port_ids": []})) == [
        {"direction": "in"},
        {"direction": "out"},
    ]


def test_the_two_uplinks_of_an_interface_are_told_apart():
    """The relation of the row that names its device and port is the `device_index` of an uplink."""
    assert tags(points(VPN_INTERFACE, {})) == [
        {"direction": way, "device_index": role} for role in ("primary", "secondary") for way in ("in", "out")
    ]


def test_tags_of_a_monitor_itself_come_first():
    """Where a monitor has tags, `db_mappings` adds none."""
    monitor = "a: {type: logical_port, device_ip: d, name: n, tags: {x: y}}"
    source = f"{monitor}\ndb_mappings: [{{mapped_id: d-n, relation: primary}}]"
    assert tags(points(source, {})) == [{"direction": way, "x": "y"} for way in ("in", "out")]


@pytest.mark.parametrize(
    "rows", ["5", "{}", "[5, {}, {mapped_id: d-n}]", "[{mapped_id: d-m, relation: primary}]"]
)
def test_rows_that_say_nothing_of_a_monitor_are_no_trouble(rows: str):
    """Whatever else stands in `db_mappings`, the port is measured, without tags of its own."""
    source = f"a: {{type: logical_port, device_ip: d, name: n}}\ndb_mappings: {rows}"
    assert tags(points(source, {})) == [{"direction": "in"}, {"direction": "out"}]


def test_a_load_balancer_is_measured_by_its_mibs():
    """Each of the five OIDs is a data point under the metric and tags of contract 6.9."""
    assert [
        (p.metric, p.value, dict(p.tags)) for p in points(LOAD_BALANCER, {"instance_ip": "10.0.0.1"})
    ] == [
        ("cpu.percents", 160, {"resource_id": "r", "type": "usage"}),
        ("memory.percents", 160, {"resource_id": "r", "type": "usage"}),
        ("http.request.connections", 160, {"resource_id": "r"}),
        ("tcp.connections", 160, {"resource_id": "r", "owner": "client"}),
        ("tcp.connections", 160, {"resource_id": "r", "owner": "server"}),
    ]


@pytest.mark.parametrize("type_name", ["physical_port", "logical_port"])
def test_an_interface_is_measured_by_its_mibs(type_name: str):
    """Counters named in mibs are read at the interface's own index, and once where its type reads them anyway."""
    values = {"instance_ip": "10.0.0.1", "slot_number": 2, "type": type_name}
    found = points(LOAD_BALANCER_INTERFACE, values)
    assert tags(found) == [{"direction": "in"}, {"direction": "out"}]
    assert [point.value for point in found] == pytest.approx([1.0, 1.0], rel=0.01)


def test_mibs_that_cannot_be_measured_are_left_out():
    """An OID that no type reads, or one of an interface for what has none, gives no data point."""
    source = 'a: {type: router, ip: d, mibs: [["x", "1.3.6.1.4.1.1"], ["in", "1.3.6.1.2.1.31.1.1.1.6"]]}'
    assert points(source, {}) == []


@pytest.mark.parametrize("mibs", ["x", ["x"], [["x"]], {"x": "1.3"}])
def test_mibs_that_are_none_are_named(mibs: Any):
    """What is no list of pairs is refused with the monitor's name."""
    with pytest.raises(BadMonitor, match=r"monitor 'm': property 'mibs' must be a list of \[name, oid\]"):
        target("m", "router", {"ip": "d", "mibs": mibs}, "C", TYPES)
