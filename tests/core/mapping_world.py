"""One resource with everything the mapping language can reach, and helpers to evaluate against it."""

from __future__ import annotations

from typing import Any

from actors.core.mapping import Context, evaluate, parse
from actors.core.model import Param, Ref

RELATIONS = {
    "port": {"network_id": "network"},
    "ese_logical_port": {"ese_physical_port_id": "ese_physical_port"},
    "ese_physical_port": {"ese_device_id": "ese_device"},
    "gw_interface": {"internet_gw_id": "internet_gateway", "network_id": "network"},
    "internet_gateway": {"downlink_interface_id": "ha_interface"},
    "common_function_gateway": {"common_function_pool_id": "common_function_pool"},
}
BODIES: dict[Ref, dict[str, Any]] = {
    Ref("ese_physical_port", "pp"): {"id": "pp", "name": "xe-0/0/3", "ese_device_id": "dev"},
    Ref("ese_device", "dev"): {"id": "dev", "hostname": "QFX", "login": {"username": "u"}},
    Ref("network", "net"): {"id": "net", "ese_device_id": "dev"},
    Ref("subnet", "s1"): {"id": "s1"},
    Ref("subnet", "s2"): {"id": "s2"},
    Ref("port", "p1"): {"id": "p1", "name": "one", "network_id": "net"},
    Ref("port", "p2"): {"id": "p2", "name": "two", "network_id": "net"},
    Ref("internet_gateway", "igw"): {"id": "igw", "downlink_interface_id": "ha", "vrf_name": "vrf"},
    Ref("ha_interface", "ha"): {"id": "ha", "ip": "10.0.0.1"},
    Ref("common_function_pool", "pool"): {"vrrp_config": [{"vrid": 41}, {"vrid": 42}]},
}
LOGICAL_PORT: dict[str, Any] = {
    "id": "lp",
    "name": "xe-0/0/3.1025",
    "vlan_id": 1025,
    "up": True,
    "empty": None,
    "list": [1, 2],
    "port_ids": ["p1", "p2"],
    "fixed_ips": [{"subnet_id": "s1"}, {"subnet_id": "s2"}],
    "ese_physical_port_id": "pp",
    "network_id": "net",
    "device_id": "",
    "gone_id": "nobody",
    "primary": {"ip_address": "192.168.8.2/30"},
    "owner": "network:dhcp",
}
PP, DEV = Ref("ese_physical_port", "pp"), Ref("ese_device", "dev")
NET, P1, P2 = Ref("network", "net"), Ref("port", "p1"), Ref("port", "p2")
S1, S2 = Ref("subnet", "s1"), Ref("subnet", "s2")
IGW, HA, POOL = Ref("internet_gateway", "igw"), Ref("ha_interface", "ha"), Ref("common_function_pool", "pool")


def context(kind: str = "ese_logical_port", **changes: Any) -> Context:
    """A resource of that type, with the body above and these changes."""
    return Context(Ref(kind, "lp"), {**LOGICAL_PORT, **changes}, 3, RELATIONS, BODIES.get)


def run(mapping: Any, kind: str = "ese_logical_port", **changes: Any) -> Param:
    """Parse and evaluate as parameter `x`."""
    return evaluate(parse(mapping), context(kind, **changes), "x")


def output(ref: Ref, key: str = "id") -> dict[str, str]:
    """The value of an `output_key` parameter."""
    return {"output_key": key, "resource_type": ref.type, "resource_id": ref.id}


def inner(ref: Ref) -> dict[str, Any]:
    """An entry of a `list` parameter."""
    return {"param": "x", "type": "output_key", "value": output(ref), "resources": []}
