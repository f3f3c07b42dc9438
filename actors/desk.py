"""What a shard shares with the actors in its own process: the mirror, the topology, the options.

Guarantees: read-only for everyone but the Shard. Addresses are looked up at each use, so a replaced pool
member is found at the next request.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

from actors.core.model import Ref
from actors.core.options import Options
from actors.core.ownership import vshard
from actors.core.world import World
from actors.messages import Address, Topology


def place(text: str, count: int) -> int:
    """Which of `count` places a name belongs to: the same on every machine."""
    return crc32(text.encode()) % count


@dataclass(slots=True)
class Desk:
    """One per shard. `terms`: the virtual shards that this controller owns, `leaving`: those of them that it is
    about to give away (`messages.Owned`)."""

    options: Options
    world: World
    topology: Topology
    shard: Address
    index: int
    wall_offset_s: float = 0.0
    terms: Mapping[int, int] = field(default_factory=dict)
    leaving: frozenset[int] = frozenset()

    def remark(self, log: logging.Logger) -> None:
        """Log what is remarkable of the mirror: all shards have the same, so the first one tells it."""
        remarks, self.world.remarks = self.world.remarks, []
        for remark in remarks if self.index == 0 else ():
            log.warning("%s", remark)

    def wall_s(self, now: float) -> float:
        """The runtime's clock as seconds since 1970: shown to people, never used to decide."""
        return now + self.wall_offset_s

    def mine(self, ref: Ref) -> bool:
        """Whether this shard drives the resource: it is ours, and hashed to this process."""
        return vshard(str(ref)) in self.terms and self.placed(ref)

    def placed(self, ref: Ref) -> bool:
        """Whether this shard drives the resource, or would if it were ours."""
        return place(str(ref), self.options.shards) == self.index

    def term(self, ref: Ref) -> int:
        """The term under which this controller owns the resource now; 0 if it does not."""
        return self.terms.get(vshard(str(ref)), 0)

    def held(self, ref: Ref) -> str:
        """Why no new job of the resource may be begun; "" if it may."""
        if self.leaving and vshard(str(ref)) in self.leaving:
            return "goes to another controller"
        scope = self.world.paused(ref)
        return f"paused ({scope})" if scope else ""

    @property
    def readings(self) -> Address | None:
        """Who collects measured values; None: they are not even read."""
        return self.topology.telemetry

    @property
    def bridge(self) -> Address:
        """The EtcdBridge."""
        return self.topology.bridge

    def heat(self, tenant: str) -> Address:
        """The HeatActor of a tenant: its stacks meet in one, so that they share their status questions, and so
        that a newer request for a stack finds what an older one is still doing about it."""
        pool = self.topology.heat
        return pool[place(tenant, len(pool))]

    def snmp(self, device: str, attempt: int) -> Address:
        """An SnmpPollerActor for a device or resource."""
        pool = self.topology.snmp
        return pool[(place(device, len(pool)) + attempt) % len(pool)]

    def device_shard(self, device: str) -> Address:
        """The shard in which the DeviceActor of that device lives."""
        shards = self.topology.shards
        return shards[place(device, len(shards))]
