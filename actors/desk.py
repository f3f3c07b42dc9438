"""What a shard shares with the actors in its own process: the mirror, the topology, the options.

Guarantees: read-only for everyone but the Shard. Addresses are looked up at each use, so a replaced pool
member is found at the next request.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from actors.core.model import Ref
from actors.core.options import Options
from actors.core.world import World
from actors.messages import Address, Topology


def place(text: str, count: int) -> int:
    """Which of `count` places a name belongs to: the same on every machine."""
    return crc32(text.encode()) % count


@dataclass(slots=True)
class Desk:
    """One per shard."""

    options: Options
    world: World
    topology: Topology
    shard: Address
    index: int
    wall_offset_s: float = 0.0
    #: Who collects measured values; None: they are not even read.
    readings: Address | None = None

    def wall_s(self, now: float) -> float:
        """The runtime's clock as seconds since 1970: shown to people, never used to decide."""
        return now + self.wall_offset_s

    def mine(self, ref: Ref) -> bool:
        """Whether this shard drives the resource."""
        return place(str(ref), self.options.shards) == self.index

    @property
    def bridge(self) -> Address:
        """The EtcdBridge."""
        return self.topology.bridge

    def heat(self, tenant: str, attempt: int) -> Address:
        """A HeatActor: one tenant's stacks meet in one, so that they share their status questions; a repeated
        request goes to the next."""
        pool = self.topology.heat
        return pool[(place(tenant, len(pool)) + attempt) % len(pool)]

    def snmp(self, device: str, attempt: int) -> Address:
        """An SnmpPollerActor for a device or resource."""
        pool = self.topology.snmp
        return pool[(place(device, len(pool)) + attempt) % len(pool)]

    def device_shard(self, device: str) -> Address:
        """The shard in which the DeviceActor of that device lives."""
        shards = self.topology.shards
        return shards[place(device, len(shards))]
