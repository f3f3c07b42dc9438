"""Data points of the monitoring documents as the first generation had them (contract 6.1, 6.9)."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.model import Ref
from actors.core.monitors import target
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


def points(source: str, values: dict[str, Any], ref_type: str = "x") -> list[Point]:
    """What comes of a document's monitors when all counters stand at 100, then at 160 a minute later."""
    made = [target(m.name, m.type, m.properties, "C", TYPES) for m in render_monitors(source, values)]
    measured = [(Ref(ref_type, "r"), one, TYPES[one.type]) for one in made if not one.passive]
    meters = Meters()
    asked = meters.plan(measured)
    meters.points(measured, asked, [100] * len(asked), 0.0, 1)
    moved = [100 if "31.1.1.1.19" in query.oid else 160 for query in asked]
    return meters.points(measured, asked, moved, 60.0, 6001)


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
