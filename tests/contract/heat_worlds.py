"""The worlds in which the `Stacks` contract must hold: the fake, and HeatStacks on either server."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any, Protocol

from actors.adapters.heat_auth import HeatConfig
from actors.adapters.heat_stacks import HeatStacks
from actors.ports import Stacks, StackSpec
from sim.fake_stacks import FakeStacks
from sim.heat_server.launch import RunningHeat

_tenants = itertools.count(1)

#: A stack as the seed's logical port makes it: one output cannot be computed.
LOGICAL_PORT: dict[str, Any] = {
    "heat_template_version": "2013-05-23",
    "description": "Logical port template",
    "parameters": {
        "port_name": {"type": "string"},
        "vlan": {"type": "number", "default": 7},
        "admin_password": {"type": "string", "hidden": True, "default": "Pa55word-default"},
    },
    "resources": {
        "interface": {
            "type": "OS::Contrail::LogicalInterface",
            "properties": {"name": {"get_param": "port_name"}, "vlan": {"get_param": "vlan"}},
        }
    },
    "outputs": {
        "id": {"description": "A unique id", "value": {"get_resource": "interface"}},
        "name": {"description": "The name", "value": {"get_attr": ["interface", "name"]}},
        "vlan": {"value": {"get_param": "vlan"}},
    },
}


def test_resource(**properties: Any) -> dict[str, Any]:
    """A template with one OS::Heat::TestResource."""
    body = {"type": "OS::Heat::TestResource", "properties": properties}
    return {"heat_template_version": "2013-05-23", "resources": {"a": body}}


test_resource.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test in spite of its name


def spec(tenant: str, name: str = "ese_logical_port_1", **changes: Any) -> StackSpec:
    """A spec of LOGICAL_PORT with some members changed."""
    members: dict[str, Any] = {
        "template": LOGICAL_PORT,
        "parameters": {"port_name": "xe-0/0/1"},
        "timeout_min": 10,
        "tags": ("gatewright", "v1"),
    }
    return StackSpec(tenant, name, **{**members, **changes})


class World(Protocol):
    """What a test can do besides the port."""

    stacks: Stacks

    def tenant(self) -> str:
        """A project without stacks."""

    def until(self, condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
        """Let time pass until the condition holds."""


class FakeWorld:
    """A clock that moves only in `until`."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.stacks: Stacks = FakeStacks(lambda: self.time)

    def tenant(self) -> str:
        """A project without stacks."""
        return f"tenant{next(_tenants)}"

    def until(self, condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
        """Move the clock until the condition holds."""
        begin = self.time
        while not condition():
            self.time += 0.05
            assert self.time - begin < timeout_s, "the condition never came to hold"


class RealWorld:
    """The adapter over HTTP, on OpenStack's Heat or on the embedded server."""

    def __init__(self, heat: RunningHeat, timeout_s: float = 60.0) -> None:
        self.heat = heat
        config = HeatConfig(endpoint_template=heat.endpoint_template, timeout_s=timeout_s)
        self.adapter = HeatStacks(config)
        self.stacks: Stacks = self.adapter

    def tenant(self) -> str:
        """A project without stacks."""
        return f"tenant{next(_tenants)}"

    def until(self, condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
        """Poll until the condition holds."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "the condition never came to hold"
            time.sleep(0.02)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A request of the test's own, without the adapter."""
        data = None if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.heat.url + path, data=data, headers=kind, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
        return json.loads(text) if text else None

    def close(self) -> None:
        """Close the connections."""
        self.adapter.close()


class HttpWorld(RealWorld):
    """The adapter on the embedded server; also what only that server has."""

    def __init__(self, heat: RunningHeat, timeout_s: float = 60.0) -> None:
        super().__init__(heat, timeout_s)

    def fault(self, **rule: Any) -> None:
        """Add a fault rule."""
        self.ask("POST", "/_faults", rule)

    def stats(self) -> Any:
        """The server's counters."""
        return self.ask("GET", "/_stats")

    def close(self) -> None:
        """Close the connections and forget the faults."""
        if self.heat.process.poll() is None:
            self.ask("DELETE", "/_faults")
        self.adapter.close()
