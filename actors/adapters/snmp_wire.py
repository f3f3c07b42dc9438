"""SNMP v2c on one UDP socket: requests under way, their timeouts and repetitions, and the checks of what arrives.

Guarantees: a reply reaches its waiter only if it comes from the address that was asked, with the community,
the request id and the PDU type RESPONSE; nothing that arrives can raise into the event loop. A retry has the id
of the first try, so that a late answer still counts. Requests that still hope for their first answer are
bounded by what the receive buffer holds; silent devices do not take their places for longer than one timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
import socket
from typing import Final

from actors.adapters.snmp_codecs import Codec, Reply, Request, Unreadable
from actors.core import ber
from actors.core.errors import ErrorClass, PortError
from actors.ports import AgentTimeouts

Address = tuple[str, int]

#: A polling reply takes 2.3 KB of receive buffer, and Debian's default of 208 KiB holds 92 of them.
IN_FLIGHT: Final = 64
_RECEIVE_BUFFER: Final = 4 << 20
_BACKOFF: Final = 1.5
#: A timer that fires later than this share of its time says that we were busy, not that the device is silent.
_LATE_SHARE: Final = 0.5
_PARDONS_MAX: Final = 3


class Waiting:
    """A request under way. `garbled`: something unreadable came from that address meanwhile."""

    __slots__ = (
        "address",
        "community",
        "counted",
        "datagram",
        "due",
        "garbled",
        "pardons",
        "patience",
        "reply",
        "request",
        "timer",
        "tries",
    )

    def __init__(
        self, reply: asyncio.Future[Reply | None], request: Request, address: Address, community: bytes
    ) -> None:
        self.reply = reply
        self.request = request
        self.address = address
        self.community = community
        self.datagram = b""
        self.garbled = False
        self.counted = True
        self.pardons = self.tries = 0
        self.patience = self.due = 0.0
        self.timer: asyncio.TimerHandle | None = None


def closed() -> PortError:
    """What requests get once the port is closed."""
    return PortError(ErrorClass.TRANSIENT, "Closed", "the SNMP agent port is closed")


class SnmpSocket(asyncio.DatagramProtocol):
    """One UDP socket with the requests that are under way on it; belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, codec: Codec, timeouts: AgentTimeouts) -> None:
        self.loop = loop
        self.codec = codec
        self._timeouts = timeouts
        self._limit = asyncio.Semaphore(IN_FLIGHT)
        self._waiting: dict[int, Waiting] = {}
        #: Datagrams that were not an answer to anything (late, forged, unreadable), requests sent again, and
        #: timers that fired late.
        self.refused = self.repeated = self.late = 0
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

    async def request(
        self, request: Request, address: Address, community: bytes
    ) -> tuple[Reply | None, bool]:
        """Send until answered or out of tries: (the reply or None, whether anything unreadable came instead).

        Raises PortError when the socket is closed meanwhile.
        """
        await self._limit.acquire()
        request_id = secrets.randbelow(ber.ID_MAX - ber.ID_MIN + 1) + ber.ID_MIN
        while request_id in self._waiting:
            request_id = secrets.randbelow(ber.ID_MAX - ber.ID_MIN + 1) + ber.ID_MIN
        waiting = Waiting(self.loop.create_future(), request, address, community)
        try:
            if self._transport is None:
                raise closed()
            waiting.datagram = request.datagram(request_id)
            self._waiting[request_id] = waiting
            waiting.patience = self._timeouts.timeout_s
            self._try(waiting)
            return await waiting.reply, waiting.garbled
        finally:
            self._waiting.pop(request_id, None)
            if waiting.timer is not None:
                waiting.timer.cancel()
            self._free(waiting)

    def _free(self, waiting: Waiting) -> None:
        if waiting.counted:
            waiting.counted = False
            self._limit.release()

    def _try(self, waiting: Waiting) -> None:
        waiting.tries += 1
        if self._transport is not None:
            with contextlib.suppress(OSError):  # what the network refuses is the same as lost
                self._transport.sendto(waiting.datagram, waiting.address)
        self._wait(waiting)

    def _wait(self, waiting: Waiting) -> None:
        waiting.due = self.loop.time() + waiting.patience
        waiting.timer = self.loop.call_at(waiting.due, self._expired, waiting)

    def _expired(self, waiting: Waiting) -> None:
        """No answer in time. If this process was too busy to look, wait again instead of feeding the backlog."""
        late_s = self.loop.time() - waiting.due
        if waiting.reply.done():
            return
        if late_s > _LATE_SHARE * waiting.patience and waiting.pardons < _PARDONS_MAX:
            waiting.pardons += 1
            self.late += 1
            self._wait(waiting)
            return
        self._free(waiting)
        if waiting.tries > self._timeouts.retries:
            waiting.reply.set_result(None)
            return
        waiting.patience *= _BACKOFF
        self.repeated += 1
        self._try(waiting)

    def close(self) -> None:
        """Fail what is under way and close. After the loop has ended there is nobody left to tell."""
        waiting, self._waiting = list(self._waiting.values()), {}
        transport, self._transport = self._transport, None
        if self.loop.is_closed():
            return
        for request in waiting:
            if not request.reply.done():
                request.reply.set_exception(closed())
        if transport is not None:
            transport.close()

    def _request_of(self, request_id: int) -> Request | None:
        waiting = self._waiting.get(request_id)
        return waiting.request if waiting is not None else None

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Called by asyncio."""
        source = (addr[0], addr[1])
        try:
            reply = self.codec.decode(data, self._request_of)
        except Unreadable:
            self.refused += 1
            for waiting in self._waiting.values():
                waiting.garbled = waiting.garbled or waiting.address == source
            return
        waiting_one = self._waiting.get(reply.request_id)
        if (
            waiting_one is None
            or source != waiting_one.address
            or not hmac.compare_digest(reply.community, waiting_one.community)
            or waiting_one.reply.done()
        ):
            self.refused += 1
            return
        waiting_one.reply.set_result(reply)
