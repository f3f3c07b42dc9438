"""The `Agent` port in memory, over the same device tables as the embedded UDP agents.

Guarantees: deterministic, no real waiting: silence is an immediate Timeout, an answer comes at the next turn
of the event loop. Faults are those of `DeviceTables` (quiet, swap, renumber, reboot) plus `drop_next`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from actors.core.errors import ErrorClass, PortError
from actors.ports import Clock, DeviceAddress
from sim.snmp_agents.answer import get_varbind
from sim.snmp_agents.ber import Arcs, Typed, arcs_of
from sim.snmp_agents.mib import DeviceTables

#: What surrounds the varbinds of a response, without the community.
_ENVELOPE_BYTES = 34


class FakeAgent:
    """Devices by (host, port). `communities`: name → secret, as for the real adapter."""

    def __init__(
        self,
        clock: Clock,
        devices: Mapping[tuple[str, int], DeviceTables] | None = None,
        communities: Mapping[str, str] | None = None,
    ) -> None:
        self._clock = clock
        self._communities = dict(communities or {})
        self._closed = False
        self._dropping = 0
        self.devices = dict(devices or {})
        #: How many requests of each kind were made.
        self.gets = 0
        self.walks = 0

    def drop_next(self, count: int) -> None:
        """The next `count` requests find silence."""
        self._dropping = count

    async def get(self, device: DeviceAddress, oids: Sequence[str]) -> Mapping[str, int | bytes | str | None]:
        """See `ports.Agent`."""
        self.gets += 1
        tables = await self._reach(device)
        now = self._clock.now()
        arcs = {oid: arcs_of(oid) for oid in oids}
        size = _ENVELOPE_BYTES + len(tables.community)
        size += sum(len(get_varbind(tables, oid, now)) for oid in arcs.values())
        if size > tables.max_bytes:
            raise PortError(ErrorClass.TERMINAL, "TooBig", f"{device.host}:{device.port}: tooBig")
        return {oid: _plain(tables.get(where, now)) for oid, where in arcs.items()}

    async def walk(self, device: DeviceAddress, root: str) -> Mapping[str, int | bytes | str | None]:
        """See `ports.Agent`."""
        self.walks += 1
        tables = await self._reach(device)
        now = self._clock.now()
        top = arcs_of(root)
        cursor: Arcs = top
        rows: dict[str, int | bytes | str | None] = {}
        while (found := tables.next_after(cursor, now)) is not None and found[0][: len(top)] == top:
            cursor = found[0]
            rows[".".join(map(str, cursor))] = found[1][1]
        return rows

    def counters(self) -> Mapping[str, int]:
        """See `ports.Agent`. There is no wire."""
        return {"refused": 0, "repeated": 0, "late": 0, "moved": 0}

    def close(self) -> None:
        """See `ports.Agent`."""
        self._closed = True

    async def _reach(self, device: DeviceAddress) -> DeviceTables:
        await asyncio.sleep(0)
        where = f"{device.host}:{device.port}"
        if self._closed:
            raise PortError(ErrorClass.TRANSIENT, "Closed", "the SNMP agent port is closed")
        tables = self.devices.get((device.host, device.port))
        secret = self._communities.get(device.community_name, device.community_name)
        dropped = self._dropping > 0
        self._dropping -= dropped
        if tables is None or tables.quiet or tables.community != secret or dropped:
            raise PortError(ErrorClass.TRANSIENT, "Timeout", f"{where}: no answer")
        return tables


def _plain(typed: Typed | None) -> int | bytes | str | None:
    return None if typed is None else typed[1]
