"""The `Agent` port over pysnmp 7: SNMP v2c GET and GETBULK on asyncio.

Guarantees: what `snmp_wire` guarantees of replies; request ids are 31 random bits; values are matched by
OID. Every wait is bounded, on the monotonic clock. Nothing but PortError comes out for what devices and
networks do, and no text ever holds a community.
Does not: authenticate (v2c cannot: who sees the traffic can forge), speak SNMPv1, SNMPv3 or IPv6, or decode
fast: pyasn1 takes some 80 µs per value, so this is the compatible path, not the one for 100,000 ports.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final

from actors.adapters.snmp_wire import (
    END_OF_MIB,
    MISSING,
    Address,
    Reply,
    SnmpSocket,
    Value,
    Waiting,
    bulk_pdu,
    closed,
    encode,
    get_pdu,
    plain_value,
)
from actors.core.errors import ErrorClass, PortError
from actors.ports import AgentTimeouts, DeviceAddress

_BACKOFF: Final = 1.5
_RESOLVE_S: Final = 5.0
_MAX_ROWS: Final = 100_000
_MAX_RESOLVED: Final = 8192
_MAX_LEFT_OUT: Final = 4
_TOO_BIG: Final = 1
#: noSuchName, genErr, noAccess, resourceUnavailable, authorizationError: of one varbind, the rest can be had.
_ONE_AT_FAULT: Final = frozenset({2, 5, 6, 13, 16})


def _malformed(device: DeviceAddress, text: str) -> PortError:
    return PortError(ErrorClass.TERMINAL, "Malformed", f"{device.host}:{device.port}: {text}")


class PysnmpAgent:
    """`ports.Agent` over pysnmp. Opens its socket at the first request and belongs to that event loop:
    it must be closed there, before the loop ends.

    `communities`: name → secret; a name that is not there is used literally (contract 10.30).
    `local_host`: address to send from ("": any; 127.0.0.1 when all devices are on loopback).
    """

    def __init__(
        self, communities: Mapping[str, str], timeouts: AgentTimeouts | None = None, *, local_host: str = ""
    ) -> None:
        self._communities = dict(communities)
        self._timeouts = timeouts or AgentTimeouts()
        self._local_host = local_host
        self._socket: SnmpSocket | None = None
        self._opening = asyncio.Lock()
        self._resolved: dict[Address, Address] = {}
        self._is_closed = False

    async def get(self, device: DeviceAddress, oids: Sequence[str]) -> Mapping[str, Value]:
        """See `ports.Agent`. An OID that the agent leaves out, or that it cannot tell, is absent."""
        wanted = list(dict.fromkeys(oids))
        for _ in range(_MAX_LEFT_OUT + 1):
            reply = await self._request(device, get_pdu(wanted))
            if reply.status == 0:
                return _values(reply, frozenset(wanted))
            if reply.status not in _ONE_AT_FAULT or not 1 <= reply.index <= len(wanted) or len(wanted) == 1:
                break
            del wanted[reply.index - 1]
        raise _refusal(device, reply)

    async def walk(self, device: DeviceAddress, root: str) -> Mapping[str, Value]:
        """See `ports.Agent`. Malformed if the OIDs do not increase or there are over 100,000 rows."""
        top = tuple(map(int, root.split(".")))
        rows: dict[str, Value] = {}
        cursor, last = root, top
        while True:
            reply = await self._request(device, bulk_pdu(cursor))
            if reply.status != 0:
                raise _refusal(device, reply)
            if not reply.varbinds:
                raise _malformed(device, "an empty answer to GETBULK")
            for oid, value in reply.varbinds:
                here = tuple(map(int, oid.split(".")))
                if here[: len(top)] != top or isinstance(value, END_OF_MIB):
                    return rows
                if here <= last or isinstance(value, MISSING):
                    raise _malformed(device, "OIDs of a walk do not increase")
                if len(rows) >= _MAX_ROWS:
                    raise _malformed(device, f"more than {_MAX_ROWS} rows")
                cursor, last = oid, here
                rows.update(_values(Reply(0, 0, [(oid, value)]), frozenset((oid,))))

    def close(self) -> None:
        """See `ports.Agent`. Safe with requests under way, and twice."""
        self._is_closed = True
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _request(self, device: DeviceAddress, pdu: Any) -> Reply:
        """One PDU and its reply. Raises PortError."""
        channel = await self._channel()
        address = await self._resolve(device)
        secret = self._communities.get(device.community_name, device.community_name).encode()
        async with channel.limit:
            if self._is_closed:
                raise closed()
            request_id = secrets.randbits(31)
            while request_id in channel.waiting:
                request_id = secrets.randbits(31)
            waiting = Waiting(channel.loop.create_future(), address, secret)
            channel.waiting[request_id] = waiting
            try:
                return await self._exchange(channel, waiting, encode(pdu, request_id, secret), device)
            finally:
                channel.waiting.pop(request_id, None)

    async def _exchange(
        self, channel: SnmpSocket, waiting: Waiting, datagram: bytes, device: DeviceAddress
    ) -> Reply:
        """Send until answered. A retry has the same id, so that a late answer still counts."""
        patience = self._timeouts.timeout_s
        for _ in range(self._timeouts.retries + 1):
            channel.send(datagram, waiting.address)
            done, _ = await asyncio.wait((waiting.reply,), timeout=patience)
            if done:
                return waiting.reply.result()
            patience *= _BACKOFF
        self._resolved.pop((device.host, device.port), None)  # a name may have moved
        if waiting.garbled:
            raise _malformed(device, "no readable answer")
        raise PortError(ErrorClass.TRANSIENT, "Timeout", f"{device.host}:{device.port}: no answer")

    async def _channel(self) -> SnmpSocket:
        """The socket, opened at first use. Raises PortError, or RuntimeError in another loop than then."""
        loop = asyncio.get_running_loop()
        if self._is_closed:
            raise closed()
        if self._socket is not None and self._socket.loop is not loop:
            raise RuntimeError("a PysnmpAgent belongs to one event loop")
        async with self._opening:
            if self._socket is None:
                opened = SnmpSocket(loop)
                try:
                    await opened.open(self._local_host)
                except OSError as error:
                    raise PortError(ErrorClass.TRANSIENT, "Socket", str(error)) from error
                if self._is_closed:
                    opened.close()
                    raise closed()
                self._socket = opened
            return self._socket

    async def _resolve(self, device: DeviceAddress) -> Address:
        asked = (device.host, device.port)
        known = self._resolved.get(asked)
        if known is not None:
            return known
        try:
            address = (str(ipaddress.IPv4Address(device.host)), device.port)
        except ValueError:
            address = await self._look_up(asked)
        if len(self._resolved) >= _MAX_RESOLVED:
            self._resolved.pop(next(iter(self._resolved)))
        self._resolved[asked] = address
        return address

    @staticmethod
    async def _look_up(asked: Address) -> Address:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_RESOLVE_S):
                found = await loop.getaddrinfo(*asked, family=socket.AF_INET, type=socket.SOCK_DGRAM)
            host, port = found[0][4][:2]
        except (OSError, UnicodeError, IndexError) as error:
            raise PortError(ErrorClass.TRANSIENT, "Unresolved", f"{asked[0]}: {error}") from error
        return str(host), int(port)


def _values(reply: Reply, wanted: frozenset[str]) -> dict[str, Value]:
    """What was wanted and can be read; a value that no reply may hold counts as left out."""
    values: dict[str, Value] = {}
    for oid, value in reply.varbinds:
        try:
            if oid in wanted:
                values[oid] = plain_value(value)
        except ValueError:
            continue
    return values


def _refusal(device: DeviceAddress, reply: Reply) -> PortError:
    where = f"{device.host}:{device.port}"
    if reply.status == _TOO_BIG:
        return PortError(ErrorClass.TERMINAL, "TooBig", f"{where}: the answer would be too big")
    text = f"error status {reply.status} at varbind {reply.index}"
    return PortError(ErrorClass.TERMINAL, "AgentError", f"{where}: {text}")
