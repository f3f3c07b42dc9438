"""What an agent answers to a request: pure protocol behaviour over `DeviceTables` (RFC 3416 section 4.2).

Guarantees: silence (None) for a wrong community, another version, another PDU or garbage; tooBig when a GET
or GETNEXT would be longer than the device can send; GETBULK stops before that, as the RFC wants.
"""

from __future__ import annotations

from sim.snmp_agents.ber import (
    END_OF_MIB,
    GET,
    GET_BULK,
    GET_NEXT,
    NO_SUCH_INSTANCE,
    TOO_BIG,
    Arcs,
    MalformedError,
    Request,
    decode_request,
    response,
    varbind,
)
from sim.snmp_agents.mib import DeviceTables

_V2C = 1
_MAX_REPETITIONS = 200


def answer(tables: DeviceTables, datagram: bytes, now_s: float) -> bytes | None:
    """The reply datagram, or None for silence."""
    try:
        request = decode_request(datagram)
    except MalformedError:
        return None
    if tables.quiet or request.version != _V2C or request.community != tables.community.encode():
        return None
    if request.kind == GET_BULK:
        return _bulk(tables, request, now_s)
    if request.kind == GET:
        varbinds = [get_varbind(tables, oid, now_s) for oid in request.oids]
    elif request.kind == GET_NEXT:
        varbinds = [_next(tables, oid, now_s)[1] for oid in request.oids]
    else:
        return None
    reply = response(request, varbinds)
    return reply if len(reply) <= tables.max_bytes else response(request, [], error_status=TOO_BIG)


def get_varbind(tables: DeviceTables, oid: Arcs, now_s: float) -> bytes:
    """One encoded varbind of a GET."""
    return varbind(oid, tables.get(oid, now_s) or (NO_SUCH_INSTANCE, None))


def _next(tables: DeviceTables, oid: Arcs, now_s: float) -> tuple[Arcs | None, bytes]:
    found = tables.next_after(oid, now_s)
    return (None, varbind(oid, (END_OF_MIB, None))) if found is None else (found[0], varbind(*found))


def _bulk(tables: DeviceTables, request: Request, now_s: float) -> bytes:
    non_repeaters = max(0, min(request.a, len(request.oids)))
    room = tables.max_bytes - len(response(request, [])) - 8  # 8: longer length fields around the varbinds
    varbinds: list[bytes] = []

    def fits(encoded: bytes) -> bool:
        nonlocal room
        room -= len(encoded)
        if room >= 0:
            varbinds.append(encoded)
        return room >= 0

    for oid in request.oids[:non_repeaters]:
        if not fits(_next(tables, oid, now_s)[1]):
            return response(request, varbinds)
    cursors: list[Arcs] = list(request.oids[non_repeaters:])
    for _ in range(min(request.b, _MAX_REPETITIONS) if cursors else 0):
        ended = 0
        for column, cursor in enumerate(cursors):
            reached, encoded = _next(tables, cursor, now_s)
            if not fits(encoded):
                return response(request, varbinds)
            if reached is None:
                ended += 1
            else:
                cursors[column] = reached
        if ended == len(cursors):
            break
    return response(request, varbinds)
