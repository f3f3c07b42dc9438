"""The BER of SNMPv2c, as far as an agent needs it (RFC 3416, RFC 1901).

Guarantees: what is not a well-formed v1/v2c message raises `MalformedError` and nothing else. OIDs are
tuples of ints. Does not know what is asked or answered; no SNMPv3, no traps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

INTEGER, OCTETS, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
IP_ADDRESS, COUNTER32, GAUGE32, TIME_TICKS, COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x46
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB = 0x80, 0x81, 0x82
GET, GET_NEXT, RESPONSE, GET_BULK = 0xA0, 0xA1, 0xA2, 0xA5
TOO_BIG = 1

#: An OID as a tuple of arcs.
Arcs = tuple[int, ...]
#: A value with its tag: ints for numbers, bytes for octets, dotted text for OID and IpAddress, None for the
#: exceptions (noSuch…, endOfMibView) and NULL.
Typed = tuple[int, int | bytes | str | None]


class MalformedError(ValueError):
    """Not a message we can read."""


@dataclass(frozen=True, slots=True)
class Request:
    """A decoded request. `id_tlv` is the request id as it came. `a`, `b` are non-repeaters and
    max-repetitions of a GETBULK, error status and index of anything else."""

    version: int
    community: bytes
    kind: int
    id_tlv: bytes
    a: int
    b: int
    oids: tuple[Arcs, ...]


def tlv(tag: int, body: bytes) -> bytes:
    """One element."""
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def integer(value: int, tag: int = INTEGER) -> bytes:
    """A whole number under any numeric tag."""
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


@lru_cache(maxsize=65536)
def oid_tlv(arcs: Arcs) -> bytes:
    """An OID of at least two arcs."""
    body = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        septets = [arc & 0x7F]
        rest = arc >> 7
        while rest:
            septets.append(rest & 0x7F | 0x80)
            rest >>= 7
        body += bytes(reversed(septets))
    return tlv(OID, bytes(body))


def arcs_of(text: str) -> Arcs:
    """Dotted text as arcs. Raises ValueError."""
    return tuple(map(int, text.split(".")))


def value_tlv(typed: Typed) -> bytes:
    """One value under its tag."""
    tag, value = typed
    if value is None:
        return bytes((tag, 0))
    if isinstance(value, int):
        return integer(value, tag)
    if isinstance(value, bytes):
        return tlv(tag, value)
    return oid_tlv(arcs_of(value)) if tag == OID else tlv(tag, bytes(arcs_of(value)))


def varbind(arcs: Arcs, typed: Typed) -> bytes:
    """One OID with its value."""
    return tlv(SEQUENCE, oid_tlv(arcs) + value_tlv(typed))


def response(
    request: Request,
    varbinds: list[bytes],
    *,
    error_status: int = 0,
    error_index: int = 0,
    kind: int = RESPONSE,
) -> bytes:
    """The answer to `request`."""
    body = request.id_tlv + integer(error_status) + integer(error_index) + tlv(SEQUENCE, b"".join(varbinds))
    return tlv(SEQUENCE, integer(request.version) + tlv(OCTETS, request.community) + tlv(kind, body))


def decode_request(datagram: bytes) -> Request:
    """Read a GET, GETNEXT or GETBULK (or a response, which has the same shape). Raises MalformedError."""
    try:
        start, end = _element(datagram, 0, SEQUENCE)
        version, at = _integer(datagram, start)
        start, at = _element(datagram, at, OCTETS)
        community = datagram[start:at]
        kind = datagram[at]
        id_at, _ = _element(datagram, at, kind)
        _, after_id = _element(datagram, id_at, INTEGER)
        a, at = _integer(datagram, after_id)
        b, at = _integer(datagram, at)
        at, list_end = _element(datagram, at, SEQUENCE)
        oids = []
        while at < list_end:
            start, at = _element(datagram, at, SEQUENCE)
            start, stop = _element(datagram, start, OID)
            oids.append(_arcs(datagram[start:stop]))
    except IndexError as error:
        raise MalformedError("cut short") from error
    if end != len(datagram) or list_end != end:
        raise MalformedError("lengths do not agree")
    return Request(version, community, kind, datagram[id_at:after_id], a, b, tuple(oids))


def _element(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """(start, end) of the body of the element at `at`."""
    if data[at] != tag:
        raise MalformedError(f"tag {data[at]:#x} instead of {tag:#x}")
    size, start = data[at + 1], at + 2
    if size & 0x80:
        octets = size & 0x7F
        if not 1 <= octets <= 3:
            raise MalformedError("length form")
        size, start = int.from_bytes(data[start : start + octets], "big"), start + octets
    if start + size > len(data):
        raise MalformedError("cut short")
    return start, start + size


def _integer(data: bytes, at: int) -> tuple[int, int]:
    start, end = _element(data, at, INTEGER)
    if not 1 <= end - start <= 8:
        raise MalformedError("size of an integer")
    return int.from_bytes(data[start:end], "big", signed=True), end


@lru_cache(maxsize=65536)
def _arcs(body: bytes) -> Arcs:
    if not body or len(body) > 512 or body[-1] & 0x80:
        raise MalformedError("an object identifier")
    parts, value = [], 0
    for octet in body:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            parts.append(value)
            value = 0
    first = min(parts[0] // 40, 2)
    return (first, parts[0] - 40 * first, *parts[1:])
