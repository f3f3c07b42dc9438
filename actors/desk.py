"""What a shard shares with the actors in its own process: the mirror, the topology, the options.

Guarantees: read-only for everyone but the Shard. Addresses are looked up at each use, so a replaced pool
member is found at the next request.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from zlib import crc32

from actors.core.model import Ref
from actors.core.options import Options
from actors.core.ownership import vshard
from actors.core.world import World
from actors.messages import Address, Topology

#: Of so many resources it is remembered where they belong: every change of any resource asks for it.
PLACES_MAX = 1 << 16


def place(text: str, count: int) -> int:
    """Which of `count` places a name belongs to: the same on every machine."""
    return crc32(text.encode()) % count


@dataclass
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

    def __post_init__(self) -> None:
        self._place = lru_cache(PLACES_MAX)(self._find_place)

    def _find_place(self, ref: Ref) -> tuple[int, bool]:
        name = str(ref)
        return vshard(name), place(name, self.options.shards) == self.index

    def vshard(self, ref: Ref) -> int:
        """The virtual shard of the resource."""
        return self._place(ref)[0]

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
        number, here = self._place(ref)
        return here and number in self.terms

    def placed(self, ref: Ref) -> bool:
        """Whether this shard drives the resource, or would if it were ours."""
        return self._place(ref)[1]

    def term(self, ref: Ref) -> int:
        """The term under which this controller owns the resource now; 0 if it does not."""
        return self.terms.get(self.vshard(ref), 0)

    def held(self, ref: Ref) -> str:
        """Why no new job of the resource may be begun; "" if it may."""
        if self.leaving and self.vshard(ref) in self.leaving:
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
