"""One device, its DeviceActor and its poller over the in-memory agent, on a manual clock; the test is the shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from actors.core.model import Ref
from actors.core.monitors import Target, target
from actors.core.options import Options
from actors.core.world import World
from actors.desk import Desk
from actors.device import DeviceActor
from actors.messages import (
    Boot,
    DeviceBegin,
    TargetStatus,
    Topology,
    WatchTarget,
    Wiring,
)
from actors.ports import DeviceAddress
from actors.runtime.inline import InlineHost
from actors.snmp_pool import SnmpPollerActor
from config.monitor_types import load_monitor_types
from sim.fake_agent import FakeAgent
from sim.snmp_agents.mib import DeviceTables

TYPES = load_monitor_types()
REF = Ref("ese_physical_port", "1")
PORTS = [f"ge{i}" for i in range(50)]


class Clock:
    """The host's clock, as the agent wants it."""

    def __init__(self, host: InlineHost) -> None:
        self._host = host

    def now(self) -> float:
        """See `ports.Clock`."""
        return self._host.now


class Agent(FakeAgent):
    """Remembers when it was asked for how many OIDs."""

    asked: list[tuple[float, int]]

    async def get(self, device: DeviceAddress, oids: Sequence[str]) -> Mapping[str, Any]:
        """See `ports.Agent`."""
        self.asked.append((round(self._clock.now(), 3), len(oids)))
        return await super().get(device, oids)


class OneDevice:
    """One device, its actor, one poller; the test is the shard."""

    def __init__(self, **options: Any) -> None:
        self.host = InlineHost()
        self.tables = DeviceTables("d", community="C", interfaces=PORTS, max_bytes=60_000)
        self.agent = Agent(Clock(self.host), {("10.0.0.1", 161): self.tables})
        self.agent.asked = []
        self.options = replace(Options((), monitor_types=TYPES), **options)
        self.shard = self.host.external("shard")
        self.poller = self.host.spawn(SnmpPollerActor)
        self.dead_poller = self.host.external("dead poller")
        boot = Boot(self.options, Wiring(Any, Any, lambda: self.agent), "owner")  # type: ignore[arg-type]
        self.host.tell(self.poller, boot)
        topology = Topology(1, None, (), (self.poller,), (self.shard,), self.host.external("readings"))
        self.desk = Desk(self.options, World(()), topology, self.shard, 0)
        self.device = self.host.spawn(DeviceActor)
        self.host.tell(self.device, DeviceBegin("10.0.0.1|C", self.desk))

    def watch(self, *targets: Target, ref: Ref = REF, version: int = 1, fresh: bool = True) -> None:
        """Register, as a shard does."""
        for one in targets:
            self.host.tell(self.device, WatchTarget(ref, version, one, self.shard, fresh))

    def told(self) -> list[tuple[str, str]]:
        """(target, status) of everything told since the last call."""
        return [(m.name, m.status) for m in self.host.take(self.shard) if isinstance(m, TargetStatus)]

    def asks(self) -> list[tuple[float, int]]:
        """(time, OIDs) of the GETs since the last call."""
        asked, self.agent.asked = self.agent.asked, []
        return asked


def port(name: str, monitor: str = "port", **more: Any) -> Target:
    """A target for a port."""
    properties = {"device_ip": "10.0.0.1", "name": name, **more}
    return target(monitor, "physical_port", properties, "C", TYPES)
