"""Addresses of devices: IPv4 addresses as they are, names by the resolver of the system.

Guarantees: a name is looked up again when its address is FRESH_S old or did not answer, so whoever moves a device is
followed, also where something else answers at the old address; while the resolver fails, what it said last stands.
Every look-up is bounded. Nothing but PortError comes out. Does not: IPv6.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final

from actors.core.errors import ErrorClass, PortError

Address = tuple[str, int]

FRESH_S: Final = 60.0
_RESOLVE_S: Final = 5.0
_KNOWN_MAX: Final = 8192


class Names:
    """What names stood for, and until when that is believed."""

    def __init__(self) -> None:
        self._known: dict[Address, tuple[Address, float]] = {}

    async def address(self, host: str, port: int) -> Address:
        """Where that device is. Raises PortError for a name that has never been found."""
        asked, now_s = (host, port), asyncio.get_running_loop().time()
        address, until_s = self._known.get(asked, (None, 0.0))
        if address is not None and now_s < until_s:
            return address
        try:
            address, until_s = (str(ipaddress.IPv4Address(host)), port), float("inf")
        except ValueError:
            try:
                address = await _look_up(asked)
            except PortError:
                if address is None:
                    raise
            until_s = now_s + FRESH_S
        if len(self._known) >= _KNOWN_MAX:
            self._known.pop(next(iter(self._known)))
        self._known[asked] = address, until_s
        return address

    def doubt(self, host: str, port: int) -> None:
        """It did not answer there: it may have moved."""
        known = self._known.get((host, port))
        if known is not None:
            self._known[host, port] = known[0], 0.0


async def _look_up(asked: Address) -> Address:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_S):
            found = await loop.getaddrinfo(*asked, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        host, port = found[0][4][:2]
    except (OSError, ValueError, IndexError) as error:
        raise PortError(ErrorClass.TRANSIENT, "Unresolved", f"{asked[0]}: {error}") from error
    return str(host), int(port)
