"""A hostile SNMP agent on a raw UDP socket, one misbehaviour per instance; the truth is: all ports are up.

Runs inside the test's event loop. Most faults send a lie (every status is DOWN) that must not be believed,
and, where `then_truth` says so, the true answer a moment later.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import cast

from sim.snmp_agents.answer import answer
from sim.snmp_agents.ber import (
    GET,
    GET_BULK,
    INTEGER,
    NO_SUCH_INSTANCE,
    NULL,
    OCTETS,
    OID,
    SEQUENCE,
    TIME_TICKS,
    Request,
    Typed,
    arcs_of,
    decode_request,
    integer,
    oid_tlv,
    response,
    tlv,
    varbind,
)
from sim.snmp_agents.mib import IF_OPER_STATUS, DeviceTables

Send = Callable[[bytes], None]
_TRAP = 0xA7
_MOMENT_S = 0.05


class FaultAgent(asyncio.DatagramProtocol):
    """Answers every request by `behave`; `requests` counts them, `ids` are their request ids."""

    def __init__(self, behave: "Fault") -> None:
        self._behave = behave
        self._transport: asyncio.DatagramTransport | None = None
        self.tables = DeviceTables(
            "hostile", community="secret", interfaces=["ge0", "ge1", "ge2"], max_bytes=60_000
        )
        self.evil: asyncio.DatagramTransport | None = None
        self.requests = 0
        self.ids: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Called by asyncio."""
        assert self._transport is not None
        self.requests += 1
        request = decode_request(data)
        self.ids.append(request.id_tlv)
        transport = self._transport
        self._behave(self, request, data, lambda datagram: transport.sendto(datagram, addr), addr)

    def truth(self, data: bytes) -> bytes:
        """What an honest agent answers."""
        reply = answer(self.tables, data, 100.0)
        assert reply is not None
        return reply

    def true_varbinds(self, request: Request) -> list[bytes]:
        """The varbinds of an honest GET."""
        return [varbind(oid, self.tables.get(oid, 100.0) or (NO_SUCH_INSTANCE, None)) for oid in request.oids]

    def lie(self, request: Request, status: Typed = (INTEGER, 2)) -> list[bytes]:
        """Varbinds that say that every port is down (or `status`)."""
        return [
            varbind(oid, status) if oid[: len(IF_OPER_STATUS)] == IF_OPER_STATUS else true
            for oid, true in zip(request.oids, self.true_varbinds(request), strict=True)
        ]


Fault = Callable[[FaultAgent, Request, bytes, Send, tuple[str, int]], None]


def _then_truth(lie: Callable[[FaultAgent, Request, Send, tuple[str, int]], None]) -> Fault:
    def behave(agent: FaultAgent, request: Request, data: bytes, send: Send, addr: tuple[str, int]) -> None:
        lie(agent, request, send, addr)
        asyncio.get_running_loop().call_later(_MOMENT_S, send, agent.truth(data))

    return behave


def _get_only(change: Callable[[FaultAgent, Request], bytes]) -> Fault:
    """A fault of GET; walks are answered honestly."""

    def behave(agent: FaultAgent, request: Request, data: bytes, send: Send, _addr: tuple[str, int]) -> None:
        send(change(agent, request) if request.kind == GET else agent.truth(data))

    return behave


def _spoofed(agent: FaultAgent, request: Request, _send: Send, addr: tuple[str, int]) -> None:
    assert agent.evil is not None
    agent.evil.sendto(response(request, agent.lie(request)), addr)


def _wrong_id(agent: FaultAgent, request: Request, send: Send, _addr: tuple[str, int]) -> None:
    send(response(replace(request, id_tlv=integer(12345)), agent.lie(request)))


def _wrong_community(agent: FaultAgent, request: Request, send: Send, _addr: tuple[str, int]) -> None:
    send(response(replace(request, community=b"evil"), agent.lie(request)))


def _garbage(_agent: FaultAgent, _request: Request, send: Send, _addr: tuple[str, int]) -> None:
    for junk in (b"", b"\0" * 20, b"\x30\x82\xff\xff" + bytes(40), b"\x30\x80" * 500, b"\x02\x01\x01"):
        send(junk)


def _truncated(agent: FaultAgent, request: Request, send: Send, _addr: tuple[str, int]) -> None:
    send(response(request, agent.lie(request))[:-5])


def _trailing(agent: FaultAgent, request: Request, send: Send, _addr: tuple[str, int]) -> None:
    send(response(request, agent.lie(request)) + b"\x05\x00")


def _version_one(agent: FaultAgent, request: Request, send: Send, _addr: tuple[str, int]) -> None:
    send(response(replace(request, version=0), agent.lie(request)))


def _as_kind(kind: int) -> Fault:
    return _then_truth(lambda agent, request, send, _: send(response(request, agent.lie(request), kind=kind)))


def _huge_oid(_agent: FaultAgent, request: Request, send: Send, _addr: tuple[str, int]) -> None:
    bomb = tlv(SEQUENCE, tlv(OID, b"\x2b" + b"\xff" * 9000 + b"\x01") + integer(2))
    send(response(request, [bomb]))


def _huge_integer(_agent: FaultAgent, request: Request, send: Send, _addr: tuple[str, int]) -> None:
    send(response(request, [varbind((*IF_OPER_STATUS, 501), (INTEGER, 1 << 9000))]))


def _oversized(_agent: FaultAgent, request: Request, send: Send, _addr: tuple[str, int]) -> None:
    send(response(request, [varbind((*IF_OPER_STATUS, 501), (INTEGER, 2))] * 2000))


def _duplicated(
    agent: FaultAgent, _request: Request, data: bytes, send: Send, _addr: tuple[str, int]
) -> None:
    for _ in range(3):
        send(agent.truth(data))


def _first_lost(
    agent: FaultAgent, _request: Request, data: bytes, send: Send, _addr: tuple[str, int]
) -> None:
    if agent.requests % 2 == 0:
        send(agent.truth(data))


def _late(agent: FaultAgent, _request: Request, data: bytes, send: Send, _addr: tuple[str, int]) -> None:
    asyncio.get_running_loop().call_later(0.35, send, agent.truth(data))


def _silent(*_: object) -> None:
    pass


def _drops_big(agent: FaultAgent, request: Request, data: bytes, send: Send, _addr: tuple[str, int]) -> None:
    if len(request.oids) <= 4:
        send(agent.truth(data))


def _gen_err(agent: FaultAgent, request: Request) -> bytes:
    bad = next((i for i, oid in enumerate(request.oids, 1) if oid == (*IF_OPER_STATUS, 502)), 0)
    if bad:
        return response(request, [], error_status=5, error_index=bad)
    return response(request, agent.true_varbinds(request))


def _other_oids(_agent: FaultAgent, request: Request) -> bytes:
    return response(request, [varbind((*IF_OPER_STATUS, 99_999), (INTEGER, 2)) for _ in request.oids])


def _bulk(change: Callable[[Request], bytes]) -> Fault:
    """A fault of GETBULK; GETs are answered honestly."""

    def behave(agent: FaultAgent, request: Request, data: bytes, send: Send, _addr: tuple[str, int]) -> None:
        send(change(request) if request.kind == GET_BULK else agent.truth(data))

    return behave


def _same_row(request: Request) -> bytes:
    return response(request, [varbind(arcs_of("1.3.6.1.2.1.31.1.1.1.1.501"), (OCTETS, b"ge0"))] * 3)


def _backwards(request: Request) -> bytes:
    rows = [varbind(arcs_of(f"1.3.6.1.2.1.31.1.1.1.1.{i}"), (OCTETS, b"ge0")) for i in (9, 8, 7)]
    return response(request, rows)


#: Truth follows or is told apart: the poll must say UP.
TRUTH_WINS: dict[str, Fault] = {
    "spoofed source": _then_truth(_spoofed),
    "wrong id": _then_truth(_wrong_id),
    "wrong community": _then_truth(_wrong_community),
    "request PDU": _as_kind(GET),
    "trap PDU": _as_kind(_TRAP),
    "SNMPv1": _then_truth(_version_one),
    "garbage": _then_truth(_garbage),
    "truncated": _then_truth(_truncated),
    "trailing bytes": _then_truth(_trailing),
    "huge OID": _then_truth(_huge_oid),
    "huge integer": _then_truth(_huge_integer),
    "oversized": _then_truth(_oversized),
    "duplicated": _duplicated,
    "first lost": _first_lost,
    "late": _late,
    "reordered": _get_only(lambda agent, request: response(request, agent.true_varbinds(request)[::-1])),
}
#: Nothing can be known: the poll must say UNKNOWN or NOT_FOUND.
NOTHING_KNOWN: dict[str, Fault] = {
    "silent": _silent,
    "always tooBig": lambda a, r, d, send, _: send(response(r, [], error_status=1)),
    "always genErr": lambda a, r, d, send, _: send(response(r, [], error_status=5)),
    "error index out of range": lambda a, r, d, send, _: send(
        response(r, [], error_status=5, error_index=200)
    ),
    "no varbinds": lambda a, r, d, send, _: send(response(r, [])),
    "other OIDs": _get_only(_other_oids),
    "no such instance": _get_only(
        lambda a, r: response(r, [varbind(oid, (NO_SUCH_INSTANCE, None)) for oid in r.oids])
    ),
    "all NULL": _get_only(lambda a, r: response(r, [varbind(oid, (NULL, None)) for oid in r.oids])),
    "all ticks": _get_only(lambda a, r: response(r, [varbind(oid, (TIME_TICKS, 7)) for oid in r.oids])),
    "status is text": _get_only(lambda a, r: response(r, a.lie(r, (OCTETS, b"1")))),
    "status is 77": _get_only(lambda a, r: response(r, a.lie(r, (INTEGER, 77)))),
    "status is negative": _get_only(lambda a, r: response(r, a.lie(r, (INTEGER, -2)))),
    "status is an OID": _get_only(lambda a, r: response(r, a.lie(r, (OID, "1.3.6")))),
    "only garbage": lambda a, r, d, send, _: send(b"\x30\x05garbage"),
    "walk repeats a row": _bulk(_same_row),
    "walk goes back": _bulk(_backwards),
    "walk is empty-handed": _bulk(lambda r: response(r, [])),
    "walk errs": _bulk(lambda r: response(r, [], error_status=5, error_index=1)),
    "oid without end": lambda a, r, d, send, _: send(
        response(r, [tlv(SEQUENCE, oid_tlv((1, 3, 6))[:-1] + b"\xff" + integer(1))])
    ),
}
#: Only ge1 cannot be known; the others must be UP.
ONE_MISSING: dict[str, Fault] = {
    "genErr at one": _get_only(_gen_err),
    "one left out": _get_only(
        lambda a, r: response(
            r, [v for o, v in zip(r.oids, a.true_varbinds(r), strict=True) if o != (*IF_OPER_STATUS, 502)]
        )
    ),
}
DROPS_BIG: Fault = _drops_big


@contextlib.asynccontextmanager
async def serving(fault: Fault) -> AsyncIterator[tuple[FaultAgent, int]]:
    """The agent and its port on 127.0.0.1."""
    loop = asyncio.get_running_loop()
    transport, agent = await loop.create_datagram_endpoint(
        lambda: FaultAgent(fault), local_addr=("127.0.0.1", 0)
    )
    agent.evil, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    try:
        yield agent, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
        agent.evil.close()
        await asyncio.sleep(0)
