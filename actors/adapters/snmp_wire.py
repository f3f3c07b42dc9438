"""SNMP v2c on one UDP socket: pysnmp's codec and types, with the checks that its v1arch lacks.

Guarantees: a reply reaches its waiter only if it comes from the address that was asked, with the community,
the request id and the PDU type RESPONSE; nothing that arrives can raise into the event loop.
pysnmp's v1arch `get_cmd` is not used, because there a reply is accepted from any source and of any type, one
exception stops all timeouts, and close() leaves waiters hanging; nor its carrier, which raises into the loop
for what arrives while it closes. Retries and timeouts are the caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pyasn1.codec.ber import decoder, encoder
from pyasn1.error import PyAsn1Error
from pyasn1.type import univ
from pysnmp.error import PySnmpError
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.api import v2c

from actors.core.errors import ErrorClass, PortError

#: What the `Agent` port returns for one OID.
Value = int | bytes | str | None
Address = tuple[str, int]

#: A polling reply takes 2.3 KB of receive buffer, and Debian's default of 208 KiB holds 92 of them.
_IN_FLIGHT: Final = 64
_RECEIVE_BUFFER: Final = 4 << 20
#: Longer replies would block the loop for too long in pyasn1; what we ask for stays under 1,400 bytes.
_MAX_DATAGRAM: Final = 16_384
_WALK_ROWS: Final = 40
_V2C: Final = 1
#: What pyasn1 and pysnmp answer hostile bytes with.
_CODEC_ERRORS: Final = (
    PyAsn1Error,
    PySnmpError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    OverflowError,
)

_NULL = rfc1902.Null("")
_RESPONSE = v2c.ResponsePDU()
END_OF_MIB = rfc1905.EndOfMibView
MISSING = (rfc1905.NoSuchObject, rfc1905.NoSuchInstance, END_OF_MIB)


@dataclass(frozen=True, slots=True)
class Reply:
    """A genuine response: error status and index, and (OID, pysnmp value) in the order received."""

    status: int
    index: int
    varbinds: list[tuple[str, Any]]


@dataclass(slots=True, repr=False)
class Waiting:
    """A request under way. `garbled`: something unreadable came from that address meanwhile."""

    reply: asyncio.Future[Reply]
    address: Address
    community: bytes
    garbled: bool = False


def closed() -> PortError:
    """What requests get once the port is closed."""
    return PortError(ErrorClass.TRANSIENT, "Closed", "the SNMP agent port is closed")


class SnmpSocket(asyncio.DatagramProtocol):
    """One UDP socket with the requests that are under way on it; belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.limit = asyncio.Semaphore(_IN_FLIGHT)
        self.waiting: dict[int, Waiting] = {}
        #: Datagrams that were not an answer to anything: late, forged, unreadable.
        self.refused = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, local_host: str) -> None:
        """Bind. Raises OSError."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            sock.setblocking(False)
            sock.bind((local_host, 0))
            self._transport, _ = await self.loop.create_datagram_endpoint(lambda: self, sock=sock)
        except BaseException:
            sock.close()
            raise

    def send(self, datagram: bytes, address: Address) -> None:
        """Hand over to the network; what it refuses is the same as lost."""
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self._transport.sendto(datagram, address)

    def close(self) -> None:
        """Fail what is under way and close. After the loop has ended there is nobody left to tell."""
        waiting, self.waiting = list(self.waiting.values()), {}
        transport, self._transport = self._transport, None
        if self.loop.is_closed():
            return
        for request in waiting:
            if not request.reply.done():
                request.reply.set_exception(closed())
        if transport is not None:
            transport.close()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Called by asyncio."""
        source = (addr[0], addr[1])
        try:
            request_id, community, reply = _decode(data)
        except _CODEC_ERRORS:
            self._garbled(source)
            return
        waiting = self.waiting.get(request_id)
        if (
            waiting is None
            or source != waiting.address
            or not hmac.compare_digest(community, waiting.community)
            or waiting.reply.done()
        ):
            self.refused += 1
            return
        waiting.reply.set_result(reply)

    def _garbled(self, source: Address) -> None:
        self.refused += 1
        for waiting in self.waiting.values():
            waiting.garbled = waiting.garbled or waiting.address == source


def _decode(datagram: bytes) -> tuple[int, bytes, Reply]:
    """(request id, community, reply) of a v2c response. Raises one of _CODEC_ERRORS."""
    if len(datagram) > _MAX_DATAGRAM:
        raise ValueError("too long")
    message, rest = decoder.decode(datagram, asn1Spec=v2c.Message())
    pdu = v2c.apiMessage.get_pdu(message)
    if rest or int(v2c.apiMessage.get_version(message)) != _V2C or pdu.tagSet != _RESPONSE.tagSet:
        raise ValueError("no v2c response")
    reply = Reply(
        int(pdu[1]),
        int(pdu[2]),  # not get_error_index: that refuses an index when the agent echoed no varbinds
        [(str(oid), value) for oid, value in v2c.apiPDU.get_varbinds(pdu)],
    )
    return int(v2c.apiPDU.get_request_id(pdu)), bytes(v2c.apiMessage.get_community(message)), reply


def encode(pdu: Any, request_id: int, community: bytes) -> bytes:
    """The datagram of a request. `pdu` is from `get_pdu` or `bulk_pdu`."""
    v2c.apiPDU.set_request_id(pdu, request_id)
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, community)
    v2c.apiMessage.set_pdu(message, pdu)
    return bytes(encoder.encode(message))


def plain_value(value: Any) -> Value:
    """A pysnmp value as the port has it. Raises ValueError for what no reply may hold (NULL)."""
    if isinstance(value, MISSING):
        return None
    if isinstance(value, rfc1902.IpAddress):
        return ".".join(map(str, bytes(value)))
    if isinstance(value, univ.OctetString):
        return bytes(value)
    if isinstance(value, univ.ObjectIdentifier):
        return str(value)
    if isinstance(value, univ.Integer):
        return int(value)
    raise ValueError(type(value).__name__)


def get_pdu(oids: Sequence[str]) -> Any:
    """A GET of these OIDs."""
    pdu = v2c.GetRequestPDU()
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_varbinds(pdu, [(rfc1902.ObjectName(oid), _NULL) for oid in oids])
    return pdu


def bulk_pdu(after: str) -> Any:
    """A GETBULK of the next 40 rows after that OID."""
    pdu = v2c.GetBulkRequestPDU()
    v2c.apiBulkPDU.set_defaults(pdu)
    v2c.apiBulkPDU.set_non_repeaters(pdu, 0)
    v2c.apiBulkPDU.set_max_repetitions(pdu, _WALK_ROWS)
    v2c.apiBulkPDU.set_varbinds(pdu, [(rfc1902.ObjectName(after), _NULL)])
    return pdu
