"""The few SNMPv2c PDUs of a port poller in BER: GET and GETBULK out, a response in (RFC 3416, RFC 1901).

Guarantees: what is encoded equals pysnmp's encoding byte for byte; what is decoded has version 2c, the PDU type
of a response, lengths that agree and values of the types that a response may hold, else `Malformed` and nothing
else is raised, in time proportional to the datagram. Pure; knows neither sockets nor what is asked for.
Why not pysnmp here: pyasn1 takes 80 µs for each value, this takes about one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

GET: Final = 0xA0
RESPONSE: Final = 0xA2
GET_BULK: Final = 0xA5

_INTEGER, _OCTETS, _NULL, _OID, _SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
_IP_ADDRESS, _COUNTER32, _GAUGE32, _TICKS, _OPAQUE, _COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x44, 0x46
_END_OF_MIB: Final = 0x82
_MISSING: Final = frozenset({0x80, 0x81, _END_OF_MIB})
_UNSIGNED: Final = {_COUNTER32: 5, _GAUGE32: 5, _TICKS: 5, _COUNTER64: 9}
_V2C: Final = b"\x02\x01\x01"
#: Request ids of exactly four octets, so that a request can be made once and sent with many ids.
ID_MIN: Final = 0x0080_0000
ID_MAX: Final = 0x7FFF_FFFF
#: Limits of what is read: longer ones are nobody's OID.
_OID_OCTETS_MAX: Final = 512
_ARC_MAX: Final = 2**32 - 1

#: Stands for endOfMibView, which ends a walk, where None stands for noSuchObject and noSuchInstance.
END: Final = "endOfMibView"

Value = int | bytes | str | None


class Malformed(ValueError):
    """Not a response that can be read. The text holds nothing of the datagram."""


class Response(NamedTuple):
    """A decoded response. `varbinds`: (OID as encoded, value) in the order received; those with NULL are left out."""

    community: bytes
    request_id: int
    status: int
    error_index: int
    varbinds: list[tuple[bytes, Value]]


def tlv(tag: int, body: bytes) -> bytes:
    """One element."""
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def integer(value: int) -> bytes:
    """An INTEGER."""
    return tlv(_INTEGER, value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True))


def oid_body(text: str) -> bytes:
    """The contents of an OID in dotted text. Raises ValueError for text that is none."""
    arcs = [int(arc) for arc in text.split(".")]
    if len(arcs) < 2 or arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39) or min(arcs) < 0:
        raise ValueError("not an object identifier")
    body = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        if arc < 0x80:
            body.append(arc)
            continue
        septets = [arc & 0x7F]
        rest = arc >> 7
        while rest:
            septets.append(rest & 0x7F | 0x80)
            rest >>= 7
        body += bytes(reversed(septets))
    return bytes(body)


class Template:
    """An encoded request: only the four octets of the request id differ from one sending to the next.

    `bodies`: the OIDs that were asked for, as encoded, in that order. It remembers the last answer: what follows its
    first varbind (which is the time) is mostly the same again, octet for octet, and then means the same.
    """

    __slots__ = ("_head", "_octets", "_rest", "_tail", "bodies")

    def __init__(self, kind: int, oids: Sequence[str], community: bytes, a: int = 0, b: int = 0) -> None:
        self.bodies = tuple(map(oid_body, oids))
        varbinds = b"".join(tlv(_SEQUENCE, tlv(_OID, body) + b"\x05\x00") for body in self.bodies)
        tail = integer(a) + integer(b) + tlv(_SEQUENCE, varbinds)
        pdu = tlv(kind, b"\x02\x04" + bytes(4) + tail)
        whole = tlv(_SEQUENCE, _V2C + tlv(_OCTETS, community) + pdu)
        self._head = whole[: len(whole) - len(tail) - 4]
        self._tail = tail
        self._octets = b""
        self._rest: Sequence[tuple[bytes, Value]] = ()

    def datagram(self, request_id: int) -> bytes:
        """The request under that id, which is within ID_MIN and ID_MAX."""
        assert ID_MIN <= request_id <= ID_MAX, "an id of four octets"
        return self._head + request_id.to_bytes(4, "big") + self._tail

    def rest(self, octets: bytes) -> Sequence[tuple[bytes, Value]]:
        """The varbinds in what followed the first of an answer. Raises Malformed or IndexError."""
        if octets != self._octets:
            found = _varbinds(octets, 0, len(octets))
            own = self.bodies[1:]
            if tuple(oid for oid, _ in found) == own:  # the same objects: thousands of answers are remembered
                found = [(oid, value) for oid, (_, value) in zip(own, found, strict=True)]
            self._rest, self._octets = found, octets
        return self._rest


#: Finds the request of an id.
Asked = Callable[[int], Template | None]


def decode(datagram: bytes, asked: Asked | None = None) -> Response:
    """Read a v2c response. `asked`: spares reading again what that request was answered before. Raises Malformed."""
    try:
        return _decode(datagram, asked)
    except IndexError:
        raise Malformed("cut short") from None


def _decode(data: bytes, asked: Asked | None) -> Response:
    at, end = _element(data, 0, _SEQUENCE)
    if end != len(data) or data[at : at + 3] != _V2C:
        raise Malformed("no v2c message")
    start, at = _element(data, at + 3, _OCTETS)
    community = data[start:at]
    at, stop = _element(data, at, RESPONSE)
    if stop != end:
        raise Malformed("more than a PDU")
    request_id, at = _integer(data, at, 4)
    status, at = _integer(data, at, 4)
    index, at = _integer(data, at, 4)
    at, stop = _element(data, at, _SEQUENCE)
    if stop != end:
        raise Malformed("more than varbinds")
    template = asked(request_id) if asked is not None else None
    if template is None or at >= end:
        return Response(community, request_id, status, index, _varbinds(data, at, end))
    _, first = _element(data, at, _SEQUENCE)
    if first > end:
        raise Malformed("lengths do not agree")
    varbinds = _varbinds(data, at, first)
    varbinds += template.rest(data[first:])
    return Response(community, request_id, status, index, varbinds)


def _varbinds(data: bytes, at: int, end: int) -> list[tuple[bytes, Value]]:
    varbinds: list[tuple[bytes, Value]] = []
    append = varbinds.append
    while at < end:
        at, stop = _element(data, at, _SEQUENCE)
        start, value_at = _element(data, at, _OID)
        if not start < value_at <= start + _OID_OCTETS_MAX or value_at >= stop:
            raise Malformed("an object identifier")
        size, body_at = data[value_at + 1], value_at + 2
        if size & 0x80:
            body_at, value_end = _long(data, value_at)
        else:
            value_end = body_at + size
        if value_end != stop or stop > end:
            raise Malformed("lengths do not agree")
        tag, at = data[value_at], stop
        if tag == _OCTETS:
            append((data[start:value_at], data[body_at:stop]))
        elif tag == _INTEGER and size == 1:
            append((data[start:value_at], int.from_bytes(data[body_at:stop], "big", signed=True)))
        elif tag != _NULL:
            append((data[start:value_at], value_of(tag, data[body_at:stop])))
    return varbinds


def _element(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """(start, end) of the body of the element at `at`. The end may lie beyond the datagram."""
    if data[at] != tag:
        raise Malformed("another tag than expected")
    size = data[at + 1]
    if size & 0x80:
        return _long(data, at)
    return at + 2, at + 2 + size


def _long(data: bytes, at: int) -> tuple[int, int]:
    octets = data[at + 1] & 0x7F
    if not 1 <= octets <= 3:
        raise Malformed("form of a length")
    start = at + 2 + octets
    return start, start + int.from_bytes(data[at + 2 : start], "big")


def _integer(data: bytes, at: int, octets_max: int) -> tuple[int, int]:
    start, end = _element(data, at, _INTEGER)
    if not 1 <= end - start <= octets_max or end > len(data):
        raise Malformed("size of an integer")
    return int.from_bytes(data[start:end], "big", signed=True), end


def value_of(tag: int, body: bytes) -> Value:
    """A value as the `Agent` port has it; END for endOfMibView. Raises Malformed for what no response may hold."""
    if tag == _INTEGER and 1 <= len(body) <= 5:  # some encoders (pyasn1) take one octet too many
        value = int.from_bytes(body, "big", signed=True)
        if -(2**31) <= value < 2**31:
            return value
    if tag in (_OCTETS, _OPAQUE):
        return body
    if tag in _UNSIGNED and 1 <= len(body) <= _UNSIGNED[tag]:
        # of full size and without its leading zero, as some agents send it, it is no negative number
        value = int.from_bytes(body, "big", signed=len(body) != _UNSIGNED[tag] - 1)
        if 0 <= value < 1 << (8 * _UNSIGNED[tag] - 8):
            return value
    if tag in _MISSING and not body:
        return END if tag == _END_OF_MIB else None
    if tag == _IP_ADDRESS and len(body) == 4:
        return ".".join(map(str, body))
    if tag == _OID:
        return oid_text(body)
    raise Malformed("a value that no response may hold")


def oid_text(body: bytes) -> str:
    """The contents of an OID as dotted text. Raises Malformed."""
    if not body or len(body) > _OID_OCTETS_MAX or body[-1] & 0x80:
        raise Malformed("an object identifier")
    arcs, value = [], 0
    for octet in body:
        if octet == 0x80 and value == 0:
            raise Malformed("padding in an object identifier")
        value = value << 7 | octet & 0x7F
        if value > _ARC_MAX:
            raise Malformed("an arc that is too long")
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))
