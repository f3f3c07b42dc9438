"""The `Agent` port: SNMP GET and GETBULK on asyncio; v2c by the codec that the settings name, v3 by pysnmp.

Guarantees: what `snmp_wire` guarantees of replies; request ids are random; values are matched by OID. Every
wait is bounded, on the monotonic clock. Nothing but PortError comes out for what devices and networks do, and
no text ever holds a community.
A community name that is the name of a v3 user means that user.
Does not: authenticate v2c (who sees the traffic can forge it), speak SNMPv1 or IPv6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from actors.adapters.snmp_codecs import WALK_ROWS, Codec, FastCodec, PysnmpCodec, Reply, Request, Value
from actors.adapters.snmp_names import Names
from actors.adapters.snmp_wire import SnmpSocket, closed
from actors.core import ber
from actors.core.errors import ErrorClass, PortError
from actors.ports import AgentTimeouts, DeviceAddress

if TYPE_CHECKING:
    from actors.adapters.pysnmp_v3 import V3Pool, V3User

_MAX_ROWS: Final = 100_000
_MAX_LEFT_OUT: Final = 4
_TOO_BIG: Final = 1
#: Failures of a GETBULK after which fewer rows are asked for, unless it was for so few.
_SMALLER_MAY_DO: Final = frozenset({"Timeout", "TooBig", "AgentError"})
_FEW_ROWS: Final = 2
#: noSuchName, genErr, noAccess, resourceUnavailable, authorizationError: of one varbind, the rest can be had.
_ONE_AT_FAULT: Final = frozenset({2, 5, 6, 13, 16})


def _malformed(device: DeviceAddress, text: str) -> PortError:
    return PortError(ErrorClass.TERMINAL, "Malformed", f"{device.host}:{device.port}: {text}")


class PysnmpAgent:
    """`ports.Agent` over UDP. Opens its socket at the first request and belongs to that event loop:
    it must be closed there, before the loop ends.

    `communities`: name → secret; a name that is not there is used literally (contract 10.30).
    `codec`: see `snmp_codecs`. `local_host`: address to send from ("": any; 127.0.0.1 when all devices are on
    loopback).
    """

    def __init__(
        self,
        communities: Mapping[str, str],
        timeouts: AgentTimeouts | None = None,
        *,
        codec: Literal["fast", "pysnmp"] = "fast",
        local_host: str = "",
        users: Mapping[str, V3User] | None = None,
    ) -> None:
        self._communities = dict(communities)
        self._timeouts = timeouts or AgentTimeouts()
        self._local_host = local_host
        self._users = dict(users or {})
        self._v3: V3Pool | None = None
        self._codec: Codec = FastCodec() if codec == "fast" else PysnmpCodec()
        self._socket: SnmpSocket | None = None
        self._opening = asyncio.Lock()
        self._names = Names()
        self._is_closed = False

    async def get(self, device: DeviceAddress, oids: Sequence[str]) -> Mapping[str, Value]:
        """See `ports.Agent`. An OID that the agent leaves out, or that it cannot tell, is absent."""
        wanted = tuple(dict.fromkeys(oids))
        for _ in range(_MAX_LEFT_OUT + 1):
            reply, found = await self._ask(device, wanted)
            if reply.status == 0:
                values = dict(found)
                if tuple(values) == wanted and ber.END not in values.values():
                    return values
                asked = frozenset(wanted)
                return {o: None if v == ber.END else v for o, v in values.items() if o in asked}
            if reply.status not in _ONE_AT_FAULT or not 1 <= reply.error_index <= len(wanted) > 1:
                break
            wanted = wanted[: reply.error_index - 1] + wanted[reply.error_index :]
        raise _refusal(device, reply)

    async def walk(self, device: DeviceAddress, root: str) -> Mapping[str, Value]:
        """See `ports.Agent`. Malformed if the OIDs do not increase or there are over 100,000 rows. Where the network or
        the agent loses or refuses long answers, shorter ones are asked for."""
        top = tuple(map(int, root.split(".")))
        rows: dict[str, Value] = {}
        cursor, last, bulk = root, top, WALK_ROWS
        while True:
            try:
                reply, found = await self._ask(device, (cursor,), bulk)
                if reply.status != 0:
                    raise _refusal(device, reply)
            except PortError as error:
                if error.failure.kind not in _SMALLER_MAY_DO or bulk <= _FEW_ROWS:
                    raise
                bulk //= 4
                continue
            before = len(rows)
            for oid, value in found:
                here = tuple(map(int, oid.split(".")))
                if here[: len(top)] != top or value == ber.END:
                    return rows
                if here <= last or value is None:
                    raise _malformed(device, "OIDs of a walk do not increase")
                if len(rows) >= _MAX_ROWS:
                    raise _malformed(device, f"more than {_MAX_ROWS} rows")
                cursor, last = oid, here
                rows[oid] = value
            if len(rows) == before:
                raise _malformed(device, "an empty answer to GETBULK")

    def counters(self) -> Mapping[str, int]:
        """See `ports.Agent`. pysnmp does not tell how often it repeats v3 requests."""
        channel, v3 = self._socket, self._v3
        refused = (channel.refused if channel else 0) + (v3.refused if v3 else 0)
        return {
            "refused": refused,
            "repeated": channel.repeated if channel else 0,
            "late": channel.late if channel else 0,
            "moved": v3.moved if v3 else 0,
        }

    def close(self) -> None:
        """See `ports.Agent`. Safe with requests under way, and twice."""
        self._is_closed = True
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._v3 is not None:
            self._v3.close()
            self._v3 = None

    async def _ask(
        self, device: DeviceAddress, oids: tuple[str, ...], bulk: int = 0
    ) -> tuple[Reply, Iterable[tuple[str, Value]]]:
        """One PDU, a GETBULK of `bulk` rows or (0) a GET: the reply, and what can be read of it. Raises PortError."""
        name = device.community_name
        if name in self._users:
            pool, address = self._pool(), await self._names.address(device.host, device.port)
            try:
                reply = await pool.request(name, address, oids, bulk=bulk)
            except PortError:
                self._names.doubt(device.host, device.port)
                raise
            return reply, pool.values(reply)
        community = self._communities.get(name, name).encode()
        codec = self._codec
        request = codec.bulk(oids[0], community, bulk) if bulk else codec.get(oids, community)
        reply = await self._request(device, request, community)
        return reply, self._codec.values(reply, oids)

    def _pool(self) -> V3Pool:
        if self._is_closed:
            raise closed()
        if self._v3 is None:
            from actors.adapters.pysnmp_v3 import V3Pool

            self._v3 = V3Pool(self._users, self._timeouts)
        return self._v3

    async def _request(self, device: DeviceAddress, request: Request, community: bytes) -> Reply:
        """One PDU and its reply. Raises PortError."""
        channel = await self._channel()
        address = await self._names.address(device.host, device.port)
        reply, garbled = await channel.request(request, address, community)
        if reply is not None:
            return reply
        self._names.doubt(device.host, device.port)
        if garbled:
            raise _malformed(device, "no readable answer")
        raise PortError(ErrorClass.TRANSIENT, "Timeout", f"{device.host}:{device.port}: no answer")

    async def _channel(self) -> SnmpSocket:
        """The socket, opened at first use. Raises PortError, or RuntimeError in another loop than then."""
        loop = asyncio.get_running_loop()
        if self._is_closed:
            raise closed()
        if self._socket is not None and self._socket.loop is not loop:
            raise RuntimeError("a PysnmpAgent belongs to one event loop")
        if self._socket is not None:
            return self._socket
        async with self._opening:
            if self._socket is None:
                opened = SnmpSocket(loop, self._codec, self._timeouts)
                try:
                    await opened.open(self._local_host)
                except OSError as error:
                    raise PortError(ErrorClass.TRANSIENT, "Socket", str(error)) from error
                if self._is_closed:
                    opened.close()
                    raise closed()
                self._socket = opened
            return self._socket


def _refusal(device: DeviceAddress, reply: Reply) -> PortError:
    where = f"{device.host}:{device.port}"
    if reply.status == _TOO_BIG:
        return PortError(ErrorClass.TERMINAL, "TooBig", f"{where}: the answer would be too big")
    text = f"error status {reply.status} at varbind {reply.error_index}"
    return PortError(ErrorClass.TERMINAL, "AgentError", f"{where}: {text}")
