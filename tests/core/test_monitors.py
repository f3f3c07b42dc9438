"""Monitor types as data, targets, and when `/monitoring` may be written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.monitor_types import BadMonitorType, Instance, parse_types
from actors.core.monitors import (
    BadMonitor,
    Target,
    decode_targets,
    encode_targets,
    queries_of,
    statuses_to_write,
    target,
    watched,
)
from config.documents import DocumentError
from config.monitor_types import load_monitor_types

MONITOR_TYPES = load_monitor_types()
PORT = {"device_ip": "10.0.0.1", "name": "xe-0/0/3", "community_name": "SWITCH"}


def made(type_name: str, **properties: Any) -> Target:
    """A target called `m` of that type; the default community is DEFAULT."""
    return target("m", type_name, properties, "DEFAULT", MONITOR_TYPES)


@pytest.mark.parametrize(
    ("type_name", "properties", "expected"),
    [
        ("switch", {"ip": "10.0.0.1"}, Target("m", "switch", "10.0.0.1", "DEFAULT")),
        ("router", {"ip": "10.0.0.1", "mibs": []}, Target("m", "router", "10.0.0.1", "DEFAULT")),
        ("physical_port", PORT, Target("m", "physical_port", "10.0.0.1", "SWITCH", (("name", "xe-0/0/3"),))),
        ("logical_port", PORT, Target("m", "logical_port", "10.0.0.1", "SWITCH", (("name", "xe-0/0/3"),))),
        (
            "vrrp_session",
            {"host": "10.0.0.2", "interface": "ae0.1025", "vrid": "41", "wanted_status": "backup"},
            Target(
                "m",
                "vrrp_session",
                "10.0.0.2",
                "DEFAULT",
                (("interface", "ae0.1025"), ("vrid", "41")),
                "BACKUP",
                "backup",
                360.0,
            ),
        ),
        (
            "bgp_session",
            {"host": "10.0.0.2", "peer_address": "192.0.2.1", "timeout": 120},
            Target(
                "m",
                "bgp_session",
                "10.0.0.2",
                "DEFAULT",
                (("peer_address", "192.0.2.1"),),
                "ESTABLISHED",
                "ESTABLISHED",
                timeout_s=120.0,
            ),
        ),
        *[
            (name, {"anything": 1}, Target("m", name, passive=True))
            for name in (
                "virtual_network",
                "virtual_machine_interface",
                "nova_vm",
                "etcd_reader",
                "kafka_messenger",
            )
        ],
    ],
)
def test_each_type(type_name: str, properties: dict[str, Any], expected: Target) -> None:
    """What a monitor of each type becomes (contract 6.2)."""
    assert made(type_name, **properties) == expected


def test_all_types_of_the_contract_are_known() -> None:
    """The types of contract 6.2, and those of 6.4 that are asked by SNMP."""
    assert set(MONITOR_TYPES) == {
        *("switch", "router", "physical_port", "logical_port", "vrrp_session", "bgp_session"),
        *("virtual_network", "virtual_machine_interface", "nova_vm", "etcd_reader", "kafka_messenger"),
        *("snmp_device", "snmp_device_fw", "snmp_device_lb"),
        *("snmp_ports_status", "snmp_ports_metric", "snmp_ports"),
    }


@pytest.mark.parametrize(
    ("type_name", "measured"),
    [
        ("snmp_device", ()),
        (
            "snmp_device_fw",
            (
                "cpu.user",
                "cpu.system",
                "cpu.idle",
                "memory.total",
                "memory.available",
                "tcp.active",
                "tcp.passive",
            ),
        ),
        ("snmp_device_lb", ("cpu.usage", "memory.usage", "http.request", "tcp.client", "tcp.server")),
        ("snmp_ports_status", ()),
        ("snmp_ports_metric", ("traffic.in", "traffic.out")),
        ("snmp_ports", ("traffic.in", "traffic.out")),
    ],
)
def test_snmp_types_of_monitoring_targets(type_name: str, measured: tuple[str, ...]) -> None:
    """Each SNMP type of contract 6.4 takes the properties given there, and measures what is listed there."""
    of_port = type_name.startswith("snmp_ports")
    named = {"if_name": "dp0s3"} if of_port else {}
    one = made(type_name, device_ip="10.0.0.1", community_name="FW", **named)
    assert one == Target("m", type_name, "10.0.0.1", "FW", tuple(named.items()))
    query, readings = queries_of(one, MONITOR_TYPES[type_name])
    oid = "1.3.6.1.2.1.2.2.1.8.#" if of_port else "1.3.6.1.2.1.1.3.0"
    assert (query.oid, {each.interface for each in (query, *readings)}) == (oid, {"dp0s3" if of_port else ""})
    assert tuple(each.name for each in MONITOR_TYPES[type_name].readings) == measured


@pytest.mark.parametrize(
    ("type_name", "whole"),
    [
        ("switch", {"ip": "h"}),
        ("router", {"ip": "h"}),
        ("physical_port", {"device_ip": "h", "name": "n"}),
        ("logical_port", {"device_ip": "h", "name": "n"}),
        ("vrrp_session", {"host": "h", "interface": "i", "vrid": 1}),
        ("bgp_session", {"host": "h", "peer_address": "192.0.2.1"}),
        ("snmp_device", {"device_ip": "h"}),
        ("snmp_ports", {"device_ip": "h", "if_name": "n"}),
    ],
)
@pytest.mark.parametrize("emptiness", [None, ""])
def test_a_missing_property_is_named(type_name: str, whole: dict[str, Any], emptiness: str | None) -> None:
    """Each property that is needed is missed by name, absent or empty, with the monitor and its type."""
    made(type_name, **whole)
    for name in whole:
        with pytest.raises(BadMonitor, match=f"'m' of type {type_name}: property '{name}' is missing"):
            made(type_name, **{**whole, name: emptiness})


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    """The text helps: it lists what there is."""
    with pytest.raises(BadMonitor, match=r"'m': unknown type 'toaster' \(known: .*switch.*\)"):
        made("toaster")


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({"vrid": "one"}, r"'vrid' must be a whole number \(or numbers with dots\), not 'one'"),
        ({"timeout": "soon"}, "'timeout' must be seconds, not 'soon'"),
        ({"timeout": 0}, "'timeout' must be within 0 and 86400 s, not 0"),
        ({"timeout": float("nan")}, "'timeout' must be within"),
        ({"time_between_retries": -1}, "'time_between_retries' must be within"),
        ({"time_between_retries": 86_401}, "'time_between_retries' must be within"),
    ],
)
def test_a_bad_number_is_named(properties: dict[str, Any], text: str) -> None:
    """Numbers that cannot be used are refused, naming property and value."""
    with pytest.raises(BadMonitor, match=text):
        made("vrrp_session", **{"host": "h", "interface": "i", "vrid": 1, **properties})


def test_numbers_may_be_text() -> None:
    """YAML of a template often quotes them."""
    one = made("switch", ip="h", timeout="60", time_between_retries="2.5")
    assert (one.timeout_s, one.retry_s) == (60.0, 2.5)


def test_passwords_do_not_enter_targets() -> None:
    """A document with a login yields a target that does not hold it, and so does what is stored."""
    one = made("vrrp_session", host="h", interface="i", vrid=1, login="esi", password="s3cret", port=830)
    assert "s3cret" not in repr(one)
    assert b"s3cret" not in encode_targets(1, [one])


def test_one_device_per_address_and_community() -> None:
    """Ports of one switch share its actor; the same address under another community is another one."""
    a, b = made("physical_port", **PORT), made("logical_port", **{**PORT, "name": "other"})
    assert a.device == b.device == "10.0.0.1|SWITCH"
    assert made("physical_port", **{**PORT, "community_name": "X"}).device != a.device


def test_sessions_say_their_state_when_active() -> None:
    """The role in lower case for VRRP, ESTABLISHED for BGP, else ACTIVE (contract 6.2, recorded runs)."""
    assert made("vrrp_session", host="h", interface="i", vrid=1).active_word == "master"
    assert made("bgp_session", host="h", peer_address="192.0.2.1").active_word == "ESTABLISHED"
    assert made("etcd_reader").active_word == "ACTIVE"


PAIR = st.tuples(st.text(max_size=5), st.text(max_size=5))
TARGETS = st.builds(
    Target,
    name=st.text(max_size=10),
    type=st.sampled_from(sorted(MONITOR_TYPES)),
    host=st.text(max_size=10),
    community_name=st.text(max_size=10),
    keys=st.lists(PAIR, max_size=2).map(tuple),
    wanted=st.sampled_from(["UP", "MASTER", "BACKUP", "ESTABLISHED"]),
    timeout_s=st.floats(0.1, 1000),
    retry_s=st.floats(0.1, 1000),
    hold_s=st.floats(0, 1000),
    positive=st.lists(st.text(max_size=3), max_size=2).map(tuple),
    pools=st.lists(st.lists(PAIR, max_size=2).map(tuple), max_size=2).map(tuple),
    mibs=st.lists(st.text(max_size=3), max_size=2).map(tuple),
    tags=st.lists(st.lists(PAIR, max_size=2).map(tuple), max_size=2).map(tuple),
    passive=st.booleans(),
)


@given(st.integers(1, 2**40), st.lists(TARGETS, max_size=4))
def test_stored_targets_come_back(version: int, targets: list[Target]) -> None:
    """What is stored for a restart is read back as it was."""
    assert decode_targets(encode_targets(version, targets)) == (version, tuple(targets))


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"version":1,"targets":[{"name":"x"}]}', b'{"version":"x","targets":[]}']
)
def test_what_is_no_list_of_targets_is_told(raw: bytes) -> None:
    """Only the three errors that the docstring promises come out."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode_targets(raw)


def test_monitoring_waits_for_every_member() -> None:
    """Nothing is written while a member is unknown, passive ones do not count, strangers do not enter."""
    a, b, passive = Target("a", "switch"), Target("b", "switch"), Target("p", "nova_vm", passive=True)
    assert watched((a, passive, b)) == (a, b)
    assert statuses_to_write((a, b, passive), {"a": "UP"}) is None
    assert statuses_to_write((a, b, passive), {"b": "FAIL", "a": "UP", "z": "UP"}) == {"a": "UP", "b": "FAIL"}
    assert statuses_to_write((passive,), {"p": "UP"}) is None
    assert statuses_to_write((), {}) is None


# ------------------------------------------------------------------------------------- types as data


def test_a_new_type_is_a_row(tmp_path: Any) -> None:
    """A type that nothing knew is watched by a file alone, and a row of that name replaces ours."""
    file = tmp_path / "more.yaml"
    file.write_text(
        "ospf_neighbor:\n  host: ip\n  oid: '1.3.6.1.2.1.14.10.1.6.{neighbor}.0'\n"
        "  states: {1: DOWN, 8: full}\n  wanted: full\n  interval_s: 10\n"
        "nova_vm: {host: ip, oid: 1.3.6.1.2.1.1.3.0, other: UP}\n"
    )
    types = load_monitor_types(file)
    one = target("m", "ospf_neighbor", {"ip": "h", "neighbor": "10.0.0.9"}, "C", types)
    assert (one.wanted, one.interval_s, one.subject) == ("FULL", 10.0, "10.0.0.9")
    query, readings = queries_of(one, types["ospf_neighbor"])
    assert (query.oid, query.interface, readings) == ("1.3.6.1.2.1.14.10.1.6.10.0.0.9.0", "", ())
    assert query.states is not None
    assert query.states.status(8) == "FULL"
    assert not types["nova_vm"].passive
    assert set(types) > set(MONITOR_TYPES)


def test_readings_of_a_port() -> None:
    """Traffic is read from the 64-bit counters of the interface of that name."""
    readings = queries_of(made("logical_port", **PORT), MONITOR_TYPES["logical_port"])[1]
    assert [(q.oid, q.interface, q.states) for q in readings] == [
        ("1.3.6.1.2.1.31.1.1.1.6.#", "xe-0/0/3", None),
        ("1.3.6.1.2.1.31.1.1.1.10.#", "xe-0/0/3", None),
    ]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], "must be a table of types"),
        ({"x": 5}, "x: must be a table"),
        ({"x": {"hots": "ip"}}, "x: no such member 'hots'"),
        ({"x": {"host": "ip"}}, "x: host and oid are both needed"),
        ({"x": {"host": "ip", "oid": "ifName"}}, "x: oid 'ifName' is no numeric OID"),
        ({"x": {"host": "ip", "oid": "1.3.{ifIndex:a}.{ifIndex:b}"}}, "is no numeric OID"),
        ({"x": {"host": "ip", "oid": "1.3", "states": {"up": 1}}}, "states must map whole numbers"),
        ({"x": {"host": "ip", "oid": "1.3", "live": "UP"}}, "live must be a list"),
        ({"x": {"host": "ip", "oid": "1.3", "timeout_s": "soon"}}, "timeout_s must be seconds, not 'soon'"),
        (
            {"x": {"host": "ip", "oid": "1.3", "readings": {"r": {"oid": "1.3"}}}},
            "x.readings.r: needs a metric",
        ),
        (
            {"x": {"host": "ip", "oid": "1.3", "readings": {"r": {"metric": "m", "unit": 1}}}},
            "no such member 'unit'",
        ),
    ],
)
def test_a_bad_row_is_named(document: Any, text: str) -> None:
    """A table that cannot be used is refused with type and member."""
    with pytest.raises(BadMonitorType, match=text):
        parse_types(document)


def test_a_bad_file_is_named(tmp_path: Any) -> None:
    """The error of a file says which file."""
    file = tmp_path / "more.yaml"
    file.write_text("x: {host: 1}\n")
    with pytest.raises(DocumentError, match=r"more.yaml: x: host and oid"):
        load_monitor_types(file)


def test_an_instance_needs_what_it_names() -> None:
    """Placeholders are properties; the one for the index names an interface."""
    instance = Instance.parse("t", "1.3.{ifIndex:port}.4.{vrid}")
    assert instance.needs == ("port", "vrid")
    assert instance.query({"port": "ge0", "vrid": "7"}, None)[:2] == ("1.3.#.4.7", "ge0")
