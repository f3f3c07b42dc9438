"""The agents as UDP endpoints on loopback, and the control socket.

Guarantees: one socket per device; whatever arrives, the server goes on. Where the platform refuses an
address of 127.0.0.0/8 other than 127.0.0.1 (not Linux), the device listens there on a free port instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from sim.snmp_agents.answer import answer
from sim.snmp_agents.config import Placed
from sim.snmp_agents.control import execute
from sim.snmp_agents.mib import DeviceTables

Address = tuple[str, int]


class _Endpoint(asyncio.DatagramProtocol):
    """One device's socket."""

    def __init__(self, tables: DeviceTables) -> None:
        self._tables = tables
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Called by asyncio."""
        reply = answer(self._tables, data, time.monotonic())
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)


class AgentServer:
    """All devices of one process. Use within a running event loop; `close` when done."""

    def __init__(self, placed: Iterable[Placed]) -> None:
        self._placed = list(placed)
        self._transports: list[asyncio.DatagramTransport] = []
        self._control: asyncio.AbstractServer | None = None
        self._control_path: Path | None = None
        self.devices = {device.tables.name: device.tables for device in self._placed}
        self.addresses: dict[str, Address] = {}

    async def open(self, control_path: Path | None = None) -> dict[str, Address]:
        """Bind everything; returns device name → (host, port). Raises OSError if a port is taken."""
        for device in self._placed:
            transport = await self._bind(device)
            self._transports.append(transport)
            self.addresses[device.tables.name] = transport.get_extra_info("sockname")[:2]
        if control_path is not None:
            control_path.unlink(missing_ok=True)
            self._control = await asyncio.start_unix_server(self._serve_control, path=control_path)
            self._control_path = control_path
        return self.addresses

    async def _bind(self, device: Placed) -> asyncio.DatagramTransport:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Endpoint(device.tables), local_addr=(device.host, device.port)
            )
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Endpoint(device.tables), local_addr=("127.0.0.1", 0)
            )
        return transport

    async def _serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                result = execute(self.devices, line.decode("utf-8", "replace"), time.monotonic())
                writer.write(json.dumps(result).encode() + b"\n")
                await writer.drain()
        writer.close()

    def close(self) -> None:
        """Close all sockets and remove the control socket."""
        for transport in self._transports:
            transport.close()
        if self._control is not None:
            self._control.close()
        if self._control_path is not None:
            self._control_path.unlink(missing_ok=True)
