"""The mapping language: every form of contract 3.2 and the registration rules of 3.3."""

from __future__ import annotations

from typing import Any

import pytest

from actors.core.mapping import (
    compile_mappings,
    evaluate_all,
    json_equal,
)
from actors.core.model import Param, ParamType, Ref
from tests.core.mapping_world import (
    DEV,
    HA,
    IGW,
    NET,
    P1,
    P2,
    POOL,
    PP,
    S1,
    S2,
    context,
    inner,
    output,
    run,
)

VALUES: list[tuple[str, Any, Any, tuple[Ref, ...]]] = [
    ("P int", "Pvlan_id", 1025, ()),
    ("P bool", "Pup", True, ()),
    ("P array", "Plist", [1, 2], ()),
    ("P absent", "Pnowhere", None, ()),
    ("P null", "Pempty", None, ()),
    ("P relation registers nothing", "Pese_physical_port_id", "pp", ()),
    ("field", {"field": "name"}, "xe-0/0/3.1025", ()),
    ("field relation registers", {"field": "ese_physical_port_id"}, "pp", (PP,)),
    ("field array never registers", {"field": "port_ids"}, ["p1", "p2"], ()),
    ("field absent", {"field": "nowhere"}, None, ()),
    ("field with empty path", {"field": "ese_physical_port_id", "path": []}, "pp", (PP,)),
    ("C text", "C6", "6", ()),
    ("C empty", "C", "", ()),
    ("C keeps separators", "Cnetwork:a+b&c", "network:a+b&c", ()),
    ("constant int", {"constant": 13}, 13, ()),
    ("constant text", {"constant": "EDGE"}, "EDGE", ()),
    ("constant null", {"constant": None}, None, ()),
    ("V", "Vauto_filled", 3, ()),
    ("version", {"version": "auto_filled"}, 3, ()),
    ("F one hop", "Fese_physical_port+ese_physical_port_id:name", "xe-0/0/3", (PP,)),
    (
        "F two hops",
        "Fese_physical_port+ese_physical_port_id:ese_device+ese_device_id:hostname",
        "QFX",
        (PP, DEV),
    ),
    ("F object", "Fese_device+dev_id:login", {"username": "u"}, (DEV,)),
    ("F absent property", "Fese_device+dev_id:nowhere", None, (DEV,)),
    (
        "path of names",
        {"field": "hostname", "path": ["ese_physical_port_id", "ese_device_id"]},
        "QFX",
        (PP, DEV),
    ),
    (
        "path with type",
        {"field": "id", "path": [{"type": "network", "id": "network_id"}]},
        "net",
        (NET,),
    ),
    (
        "mixed path",
        {
            "field": "hostname",
            "path": [{"type": "network", "id": "network_id"}, {"type": "ese_device", "id": "ese_device_id"}],
        },
        "QFX",
        (NET, DEV),
    ),
    (
        "ignore_missing with null id",
        {"field": "id", "path": [{"type": "network", "id": "empty"}], "ignore_missing": True},
        "",
        (),
    ),
    (
        "ignore_missing with empty id",
        {"field": "id", "path": [{"type": "network", "id": "device_id"}], "ignore_missing": True},
        "",
        (),
    ),
    (
        "ignore_missing with unknown resource",
        {"field": "id", "path": [{"type": "network", "id": "gone_id"}], "ignore_missing": True},
        "",
        (),
    ),
    (
        "ignore_missing that finds it",
        {"field": "id", "path": [{"type": "network", "id": "network_id"}], "ignore_missing": True},
        "net",
        (NET,),
    ),
    ("O", "Oprimary:ip_address", "192.168.8.2/30", ()),
    ("O absent", "Osecondary:ip_address", None, ()),
    ("nested", {"nested": ["primary", "ip_address"]}, "192.168.8.2/30", ()),
    ("A C F", "ACFILTER_&Fese_device+dev_id:hostname", "FILTER_QFX", (DEV,)),
    ("A P C", "APname&C_IN", "xe-0/0/3.1025_IN", ()),
    ("A F C", "AFese_device+dev_id:hostname&C_x", "QFX_x", (DEV,)),
    ("A number", "APvlan_id&C_x", "1025_x", ()),
    ("A bool is JSON text", "APup&C_x", "true_x", ()),
    ("concatenate", {"concatenate": [{"field": "name"}, {"constant": "_OUT"}]}, "xe-0/0/3.1025_OUT", ()),
    ("concatenate literal", {"concatenate": ["a_", {"field": "network_id"}]}, "a_net", ()),
    (
        "concatenate ignoring null",
        {"concatenate": ["a", {"field": "empty"}, "b"], "ignore_missing": True},
        "ab",
        (),
    ),
    (
        "concatenate part ignoring null",
        {"concatenate": ["a", {"field": "empty", "ignore_missing": True}]},
        "a",
        (),
    ),
    (
        "for over values",
        {"for_field": "port_ids", "for_mapping": {"field": "name", "path": [{"type": "port", "id": ""}]}},
        ["one", "two"],
        (P1, P2),
    ),
    ("for over objects", {"for_field": "fixed_ips", "for_mapping": {"field": "subnet_id"}}, ["s1", "s2"], ()),
    ("for over null", {"for_field": "empty", "for_mapping": {"field": "id"}}, [], ()),
    (
        "if equal",
        {
            "if_mapping": {"equal": [{"field": "owner"}, "network:dhcp"]},
            "then_mapping": "Cyes",
            "else_mapping": "Cno",
        },
        "yes",
        (),
    ),
    (
        "if not equal",
        {"if_mapping": {"equal": ["x", {"field": "owner"}]}, "then_mapping": "Cyes", "else_mapping": "Cno"},
        "no",
        (),
    ),
    (
        "if regexp",
        {
            "if_mapping": {"regexp": [{"field": "owner"}, {"constant": "network:dhcp|network:empty"}]},
            "then_mapping": {"constant": None},
            "else_mapping": "Cno",
        },
        None,
        (),
    ),
    (
        "regexp is anchored at the start",
        {
            "if_mapping": {"regexp": [{"field": "owner"}, "dhcp"]},
            "then_mapping": "Cyes",
            "else_mapping": "Cno",
        },
        "no",
        (),
    ),
    (
        "regexp of null",
        {"if_mapping": {"regexp": [{"field": "empty"}, ".*"]}, "then_mapping": "Cyes", "else_mapping": "Cno"},
        "no",
        (),
    ),
    (
        "true is not 1",
        {
            "if_mapping": {"equal": [{"field": "up"}, {"constant": 1}]},
            "then_mapping": "Cyes",
            "else_mapping": "Cno",
        },
        "no",
        (),
    ),
]


@pytest.mark.parametrize(
    ("mapping", "value", "resources"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES]
)
def test_value_forms(mapping: Any, value: Any, resources: tuple[Ref, ...]):
    """Every form yields its value and registers exactly the resources that were walked through."""
    param = run(mapping, dev_id="dev")
    assert param == Param("x", ParamType.VALUE, value, resources)
    assert type(param.value) is type(value)


@pytest.mark.parametrize(
    ("mapping", "ref", "resources"),
    [
        ("Mese_physical_port:ese_physical_port_id:id", PP, (PP,)),
        ({"output_key": "id", "path": ["ese_physical_port_id"]}, PP, (PP,)),
        ({"output_key": "id", "path": ["ese_physical_port_id", "ese_device_id"]}, DEV, (PP, DEV)),
        ({"output_key": "id"}, Ref("ese_logical_port", "lp"), ()),
    ],
)
def test_output_forms(mapping: Any, ref: Ref, resources: tuple[Ref, ...]):
    """Outputs stay late-bound; the resource's own output registers nothing."""
    assert run(mapping) == Param("x", ParamType.OUTPUT_KEY, output(ref), resources)


@pytest.mark.parametrize(
    ("over", "id_property", "refs"), [("port_ids", "", (P1, P2)), ("fixed_ips", "subnet_id", (S1, S2))]
)
def test_loop_over_outputs_is_a_list_of_entries(over: str, id_property: str, refs: tuple[Ref, ...]):
    """A loop over outputs gives type list; resources stand outside, none inside the entries."""
    step = {"type": refs[0].type, "id": id_property}
    mapping = {"for_field": over, "for_mapping": {"path": [step], "output_key": "id"}}
    assert run(mapping) == Param("x", ParamType.LIST, [inner(ref) for ref in refs], refs)
    empty: dict[str, Any] = {over: []}
    assert run(mapping, **empty) == Param("x", ParamType.LIST, [], ())


def test_loop_over_an_array_of_a_related_resource():
    """`for_field` may be a field with a path; the resource walked to reach the array is registered."""
    mapping = {
        "for_field": {"field": "vrrp_config", "path": ["common_function_pool_id"]},
        "for_mapping": {"field": "vrid"},
    }
    expected = Param("x", ParamType.VALUE, [41, 42], (POOL,))
    assert run(mapping, "common_function_gateway", common_function_pool_id="pool") == expected


def test_computed_property_name():
    """A path may begin with a property whose name is a concatenation."""
    step = {"concatenate": [{"field": "service_type"}, "_gw_id"]}
    mapping = {"field": "ip", "path": [step, "downlink_interface_id"]}
    expected = Param("x", ParamType.VALUE, "10.0.0.1", (IGW, HA))
    assert run(mapping, "gw_interface", service_type="internet", internet_gw_id="igw") == expected


def test_only_the_branch_taken_is_evaluated():
    """The other branch may even refer to a missing resource, and registers nothing."""
    missing = {"field": "id", "path": [{"type": "network", "id": "gone_id"}]}
    there = {"field": "id", "path": [{"type": "network", "id": "network_id"}]}
    mapping = {"if_mapping": {"equal": ["a", "a"]}, "then_mapping": there, "else_mapping": missing}
    assert run(mapping).resources == (NET,)


def test_resources_are_listed_once():
    """A resource walked through twice is listed at its first place only."""
    assert run("AFese_device+dev_id:hostname&Fese_device+dev_id:id", dev_id="dev").resources == (DEV,)
    mapping = {"for_field": "l", "for_mapping": {"field": "id", "path": [{"type": "port", "id": ""}]}}
    assert run(mapping, l=["p1", "p2", "p1"]).resources == (P1, P2)


def test_json_equality():
    """Equality looks into arrays and objects and keeps booleans apart from numbers."""
    assert json_equal({"a": [1, True]}, {"a": [1.0, True]})
    assert not json_equal({"a": [1]}, {"a": [True]})
    assert not json_equal([0], [False])
    assert not json_equal([1], [1, 2])
    assert not json_equal({"a": 1}, {"b": 1})
    assert json_equal(None, None)


def test_all_parameters_in_template_order():
    """`evaluate_all` yields one parameter per mapping, in the order of the template."""
    params = evaluate_all(compile_mappings({"b": "Cb", "a": "Pvlan_id"}), context())
    assert [(param.name, param.value) for param in params] == [("b", "b"), ("a", 1025)]
