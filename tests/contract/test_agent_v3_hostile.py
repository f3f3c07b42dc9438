"""SNMPv3 with a device that lies: what lies between us and a real snmpd spoils, forges, delays and repeats answers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import socket
import tracemalloc
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from actors.adapters.pysnmp_agent import PysnmpAgent
from actors.core.asking import SYS_UP_TIME
from actors.core.errors import PortError
from actors.ports import AgentTimeouts, DeviceAddress
from actors.snmp_poll import poll
from tests.contract.agent_rig import port, request_for
from tests.contract.snmpd import Snmpd
from tests.contract.test_agent_v3 import LINES, USERS

T = TypeVar("T")
Spoil = Callable[[bytes], list[bytes]]


class Between(asyncio.DatagramProtocol):
    """Passes requests on to the agent; answers go through `spoil`, which says what arrives instead."""

    def __init__(self, agent_port: int, spoil: Spoil) -> None:
        self._agent_port, self.spoil = agent_port, spoil
        self._transport: asyncio.DatagramTransport | None = None
        self._peers: dict[tuple[str, int], socket.socket] = {}
        self.answers = 0

    def connection_made(self, transport: Any) -> None:
        """Called by asyncio."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A request."""
        if addr not in self._peers:
            peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            peer.setblocking(False)
            peer.connect(("127.0.0.1", self._agent_port))
            self._peers[addr] = peer
            asyncio.get_running_loop().add_reader(peer, self._answered, peer, addr)
        self._peers[addr].send(data)

    def _answered(self, peer: socket.socket, addr: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # the agent is not there
            data = peer.recv(65_536)
            self.answers += 1
            for reply in self.spoil(data):
                assert self._transport is not None
                self._transport.sendto(reply, addr)

    def close(self) -> None:
        """Close its sockets."""
        assert self._transport is not None
        self._transport.close()
        for peer in self._peers.values():
            asyncio.get_running_loop().remove_reader(peer)
            peer.close()


@contextlib.asynccontextmanager
async def between(agent_port: int, spoil: Spoil) -> Any:
    """The proxy and where to ask it."""
    made: Any
    transport, made = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Between(agent_port, spoil), local_addr=("127.0.0.1", 0)
    )
    try:
        yield made, DeviceAddress("127.0.0.1", transport.get_extra_info("sockname")[1], "FULL")
    finally:
        made.close()
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    """A real agent with three users."""
    running = Snmpd(tmp_path_factory.mktemp("snmpd"))
    running.start(*LINES)
    yield running
    running.stop()


def using(work: Callable[[PysnmpAgent], Coroutine[Any, Any, T]], timeout_s: float) -> T:
    """Run `work` with an agent; errors that reach the loop fail the test."""
    escaped: list[object] = []

    async def run() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        agent = PysnmpAgent({}, AgentTimeouts(timeout_s, 0), users=USERS, local_host="127.0.0.1")
        try:
            return await work(agent)
        finally:
            agent.close()

    result = asyncio.run(asyncio.wait_for(run(), 120))
    assert escaped == []
    return result


def _random_junk(_reply: bytes) -> list[bytes]:
    return [b"", b"\0" * 20, b"\x30\x82\xff\xff" + bytes(40), b"\x30\x80" * 500, b"\x30\x05garbage"]


def _one_bit(reply: bytes) -> list[bytes]:
    """The last octet, which is encrypted data, is another: the digest is wrong."""
    return [reply[:-1] + bytes([reply[-1] ^ 1])]


def _v2c(_reply: bytes) -> list[bytes]:
    """A well-formed v2c response."""
    return [
        bytes.fromhex("3029020101040566616b6573a21d02047fffffff020100020100300f300d06092b060102010202010802")
    ]


NOTHING_COMES: dict[str, Spoil] = {
    "junk": _random_junk,
    "cut off": lambda reply: [reply[: len(reply) // 2]],
    "digest broken": _one_bit,
    "v2c in place of v3": _v2c,
    "silent": lambda _reply: [],
}


@pytest.mark.parametrize("spoil", NOTHING_COMES.values(), ids=NOTHING_COMES)
def test_no_forged_answer_is_believed_and_the_truth_is_heard_afterwards(snmpd: Snmpd, spoil: Spoil) -> None:
    """Spoiled answers are UNKNOWN and raise nothing; once the network is honest again the next polls are answered."""

    async def work(agent: PysnmpAgent) -> None:
        honest: Spoil = lambda reply: [reply]  # noqa: E731
        async with between(snmpd.port, honest) as (proxy, where):
            request = request_for(where, port("lo"))
            while not (answer := await poll(agent, request)).reachable:
                pass
            assert answer.found == ("UP",)
            proxy.spoil = spoil
            for _ in range(2):
                answer = await poll(agent, request)
                assert set(answer.found) <= {"UNKNOWN"}
            proxy.spoil = honest
            for _ in range(20):
                if (answer := await poll(agent, request)).found == ("UP",):
                    return
            raise AssertionError(answer)

    using(work, 0.5)


def test_an_answer_that_comes_thrice_and_late_counts_once(snmpd: Snmpd) -> None:
    """Repetitions, and answers of the request before, are no answers of this one."""
    before: list[bytes] = []

    def again(reply: bytes) -> list[bytes]:
        sent = [*before, reply, reply, reply]
        before[:] = [reply]
        return sent

    async def work(agent: PysnmpAgent) -> None:
        async with between(snmpd.port, again) as (_, where):
            told = [await _uptime(agent, where) for _ in range(20)]
            heard = [ticks for ticks in told if ticks is not None]
            assert len(heard) > 10
            assert heard == sorted(heard)

    using(work, 0.5)


async def _uptime(agent: PysnmpAgent, where: DeviceAddress) -> int | None:
    try:
        value = (await agent.get(where, [SYS_UP_TIME]))[SYS_UP_TIME]
    except (PortError, KeyError):
        return None
    assert isinstance(value, int)
    return value


def test_a_fuzzing_network_leaves_nothing_behind(snmpd: Snmpd) -> None:
    """170 requests whose answers are spoiled at random: all end, nothing but PortError comes out of it, and neither
    descriptors nor memory pile up."""
    dice = random.Random(11)

    def spoil(reply: bytes) -> list[bytes]:
        spoiled = bytearray(reply)
        for _ in range(dice.choice([0, 1, 1, 4])):
            spoiled[dice.randrange(len(spoiled))] = dice.randrange(256)
        return [bytes(spoiled)]

    async def work(agent: PysnmpAgent) -> tuple[int, int]:
        async with between(snmpd.port, spoil) as (proxy, where):

            async def some(times: int) -> None:
                for _ in range(times):
                    await _uptime(agent, where)

            await asyncio.gather(*(some(5) for _ in range(10)))
            gc.collect()
            begun = tracemalloc.get_traced_memory()[0]
            await asyncio.gather(*(some(12) for _ in range(10)))
            gc.collect()
            assert proxy.answers > 20
            pool = agent._v3
            assert pool is not None
            assert sum(map(len, pool._sessions.values())) <= 3
            return begun, tracemalloc.get_traced_memory()[0]

    descriptors = _descriptors()
    tracemalloc.start()
    try:
        begun, ended = using(work, 0.1)
    finally:
        tracemalloc.stop()
    assert ended - begun < 3_000_000
    assert _descriptors() <= descriptors


def _descriptors() -> int:
    with socket.socket() as probe:
        return probe.fileno()
