"""Monitor types as data, targets, and when `/monitoring` may be written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.monitors import (
    MONITOR_TYPES,
    BadMonitor,
    Kind,
    Target,
    decode_targets,
    encode_targets,
    statuses_to_write,
    target,
    watched,
)

PORT = {"device_ip": "10.0.0.1", "name": "xe-0/0/3", "community_name": "SWITCH"}


def made(type_name: str, **properties: Any) -> Target:
    """A target called `m` of that type; the default community is DEFAULT."""
    return target("m", type_name, properties, "DEFAULT")


@pytest.mark.parametrize(
    ("type_name", "properties", "expected"),
    [
        ("switch", {"ip": "10.0.0.1"}, Target("m", Kind.DEVICE, "10.0.0.1", "DEFAULT")),
        ("router", {"ip": "10.0.0.1", "mibs": []}, Target("m", Kind.DEVICE, "10.0.0.1", "DEFAULT")),
        ("physical_port", PORT, Target("m", Kind.PORT, "10.0.0.1", "SWITCH", "xe-0/0/3")),
        ("logical_port", PORT, Target("m", Kind.PORT, "10.0.0.1", "SWITCH", "xe-0/0/3")),
        (
            "vrrp_session",
            {"host": "10.0.0.2", "interface": "ae0.1025", "vrid": "41", "wanted_status": "backup"},
            Target("m", Kind.VRRP, "10.0.0.2", "DEFAULT", "ae0.1025", 41, "BACKUP", 360.0),
        ),
        (
            "bgp_session",
            {"host": "10.0.0.2", "peer_address": "192.0.2.1", "timeout": 120},
            Target("m", Kind.BGP, "10.0.0.2", "DEFAULT", "192.0.2.1", 0, "ESTABLISHED", 120.0),
        ),
        *[
            (name, {"anything": 1}, Target("m", Kind.PASSIVE))
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
    assert target("m", type_name, properties, "DEFAULT") == expected


def test_all_types_of_the_contract_are_known() -> None:
    """The types of contract 6.2, and no other."""
    assert set(MONITOR_TYPES) == {
        *("switch", "router", "physical_port", "logical_port", "vrrp_session", "bgp_session"),
        *("virtual_network", "virtual_machine_interface", "nova_vm", "etcd_reader", "kafka_messenger"),
    }


@pytest.mark.parametrize(
    ("type_name", "whole"),
    [
        ("switch", {"ip": "h"}),
        ("router", {"ip": "h"}),
        ("physical_port", {"device_ip": "h", "name": "n"}),
        ("logical_port", {"device_ip": "h", "name": "n"}),
        ("vrrp_session", {"host": "h", "interface": "i", "vrid": 1}),
        ("bgp_session", {"host": "h", "peer_address": "p"}),
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
        ({"vrid": "one"}, "'vrid' must be a whole number, not 'one'"),
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


def test_vrrp_says_its_role_when_active() -> None:
    """`state_monitoring` (contract 6.2): the role in lower case for VRRP, ACTIVE for everything else."""
    assert made("vrrp_session", host="h", interface="i", vrid=1).active_word == "master"
    assert made("bgp_session", host="h", peer_address="p").active_word == "ACTIVE"
    assert made("etcd_reader").active_word == "ACTIVE"


TARGETS = st.builds(
    Target,
    name=st.text(max_size=10),
    kind=st.sampled_from(Kind),
    host=st.text(max_size=10),
    community_name=st.text(max_size=10),
    subject=st.text(max_size=10),
    vrid=st.integers(0, 255),
    wanted=st.sampled_from(["UP", "MASTER", "BACKUP", "ESTABLISHED"]),
    timeout_s=st.floats(0.1, 1000),
    retry_s=st.floats(0.1, 1000),
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
    a, b, passive = Target("a", Kind.PORT), Target("b", Kind.PORT), Target("p", Kind.PASSIVE)
    assert watched((a, passive, b)) == (a, b)
    assert statuses_to_write((a, b, passive), {"a": "UP"}) is None
    assert statuses_to_write((a, b, passive), {"b": "FAIL", "a": "UP", "z": "UP"}) == {"a": "UP", "b": "FAIL"}
    assert statuses_to_write((passive,), {"p": "UP"}) is None
    assert statuses_to_write((), {}) is None
