"""A world of independent resources for benches: declarations, devices, and Heat and agents without latency.

Guarantees: everything is built from the product's own types and templates; the factories are module-level
functions, so they can be pickled into actor processes. Each actor process has a Heat or devices of its own: with
several HeatActors the stacks of one tenant still meet in one of them, as long as none is replaced.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from actors.core.keys import CONFIG, encode_declared
from actors.core.model import Json, Ref
from actors.core.options import Options
from actors.messages import Wiring
from actors.ports import Agent, Stacks, Store
from config.examples import load_templates
from config.monitor_types import load_monitor_types
from config.types import load_types
from sim.fake_agent import FakeAgent
from sim.fake_stacks import FakeStacks
from sim.snmp_agents.mib import DeviceTables

TYPES = load_types()
COMMUNITY = "ESE_NODE_COMMUNITY"
_NAMES = uuid.UUID("5f2f0d6c-52c3-4b0a-9c92-64a3f4b1a001")

Document = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is declared. `share`: the part of logical ports (Heat and a monitored port), 0 to 1; the rest are
    networks (Heat and passive monitoring). `devices`: switches on which the ports are; `tenants`: who owns."""

    resources: int = 1000
    share: float = 0.5
    devices: int = 20
    tenants: int = 10
    idle: int = 50

    def base(self) -> list[Document]:
        """Templates, and switches with one port each: settled before anything is measured."""
        return (
            load_templates()
            + [_switch(d) for d in range(self.devices)]
            + [_physical(d) for d in range(self.devices)]
        )

    def declared(self) -> Iterator[Document]:
        """The resources under load; ports and networks take turns."""
        return (self._one("load", number) for number in range(self.resources))

    def singles(self) -> Iterator[Document]:
        """Those that are declared one at a time."""
        return (self._one("idle", number) for number in range(self.idle))

    def ports(self, device: int) -> list[str]:
        """What the device shows: the ports of all logical ports on it."""
        wanted = [("load", n) for n in range(self.resources)] + [("idle", n) for n in range(self.idle)]
        mine = [_port_name(*each) for each in wanted if each[1] % self.devices == device]
        return ["xe-0/0/0", *mine]

    def _one(self, kind: str, number: int) -> Document:
        tenant = _id("tenant", kind, number % self.tenants)
        if int((number + 1) * self.share) > int(number * self.share):
            return _logical(kind, number, number % self.devices, tenant)
        return _network(kind, number, tenant)

    def options(self, shards: int, heat_actors: int) -> Options:
        """The product's defaults, a quicker heartbeat (process ids are learned by it), the devices' places."""
        places = {_address(d): f"127.0.0.1:{1000 + d}" for d in range(self.devices)}
        types, monitors = tuple(TYPES), load_monitor_types()
        defaults = Options(types=types, monitor_types=monitors, shards=shards, heat_actors=heat_actors)
        return replace(defaults, devices=places, heartbeat_s=1.0)

    def wiring(self, endpoint: str) -> Wiring:
        """Real etcd; Heat and devices in memory."""
        return Wiring(partial(etcd, endpoint), heat, partial(agents, self))


class Monotonic:
    """The clock of the devices."""

    def now(self) -> float:
        """See ports.Clock."""
        return time.monotonic()


def etcd(endpoint: str) -> Store:
    """A client of the bench's etcd; gRPC is imported by the process that uses it only."""
    from actors.adapters.etcd3_store import EtcdStore

    return EtcdStore([endpoint])


def heat() -> Stacks:
    """A Heat that is done with everything at the next question."""
    return FakeStacks(time.monotonic)


def agents(plan: Plan) -> Agent:
    """All switches of the plan."""
    now = time.monotonic()
    devices = {
        ("127.0.0.1", 1000 + d): DeviceTables(
            f"switch{d}", community=COMMUNITY, interfaces=plan.ports(d), booted_at=now - 1000.0
        )
        for d in range(plan.devices)
    }
    return FakeAgent(Monotonic(), devices)


def document(type_name: str, body: dict[str, Json]) -> Document:
    """(key, value) of a declaration at version 1."""
    return CONFIG + TYPES.path(Ref(type_name, str(body["id"]))), encode_declared(body, 1)


def _id(*name: object) -> str:
    return str(uuid.uuid5(_NAMES, " ".join(map(str, name))))


def _address(device: int) -> str:
    return f"10.161.{device // 250}.{1 + device % 250}"


def _port_name(kind: str, number: int) -> str:
    return f"xe-0/0/0.{number}" if kind == "load" else f"xe-0/0/1.{number}"


def _common(one: str, name: str, tenant: str) -> dict[str, Json]:
    return {
        "id": one,
        "name": name,
        "tenant_id": tenant.replace("-", ""),
        "description": "",
        "status": "PENDING_CREATE",
        "tags": {},
    }


def _switch(device: int) -> Document:
    common = _common(_id("switch", device), f"QFX-{device}", _id("tenant", "load", 0))
    own = {
        "existing": "existing",
        "hostname": f"QFX-{device}",
        "management_ip_address": _address(device),
        "public_ip_address": _address(device),
        "type": "tor",
        "username": "esi",
        "password": "lab-password",
    }
    return document("ese_device", {**common, **own})


def _physical(device: int) -> Document:
    common = _common(_id("physical", device), "xe-0/0/0", _id("tenant", "load", 0))
    own = {
        "connected_port_id": "",
        "connected_port_owner": "mx_downlink",
        "ese_device_id": _id("switch", device),
        "existing": "new",
    }
    return document("ese_physical_port", {**common, **own})


def _logical(kind: str, number: int, device: int, tenant: str) -> Document:
    common = _common(_id(kind, number), _port_name(kind, number), tenant)
    own = {
        "ese_physical_port_id": _id("physical", device),
        "connected_resource": "common_function_gateway",
        "port_ids": [],
        "type": "L2",
        "vlan_id": number % 4094,
    }
    return document("ese_logical_port", {**common, **own})


def _network(kind: str, number: int, tenant: str) -> Document:
    common = _common(_id(kind, number), f"network-{kind}-{number}", tenant)
    own = {"admin_state_up": True, "plane": "data", "shared": False, "subnets": []}
    return document("network", {**common, **own})
