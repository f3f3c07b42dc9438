"""What only the pysnmp adapter can show: sockets, loops, cancellation; and a real net-snmp agent."""

import asyncio
import logging
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from actors.adapters import snmp_names
from actors.adapters.pysnmp_agent import PysnmpAgent
from actors.adapters.pysnmp_v3 import V3User
from actors.core.asking import IF_NAME, SYS_UP_TIME, Value
from actors.core.errors import PortError
from actors.core.polling import PollAnswer
from actors.ports import AgentTimeouts, DeviceAddress
from actors.snmp_poll import poll
from tests.contract.agent_rig import port, query, request_for
from tests.contract.fault_agent import NOTHING_KNOWN, TRUTH_WINS, serving
from tests.contract.snmpd import Snmpd

PATIENT = AgentTimeouts(timeout_s=30, retries=2)
OID = [SYS_UP_TIME]


def test_close_with_requests_under_way():
    """close() fails every outstanding request at once and leaves no task, socket or waiter behind."""

    async def run() -> None:
        agent = PysnmpAgent({}, PATIENT, local_host="127.0.0.1")
        async with serving(NOTHING_KNOWN["silent"]) as (server, port):
            where = DeviceAddress("127.0.0.1", port, "secret")
            gets = [asyncio.create_task(agent.get(where, OID)) for _ in range(100)]
            walk = asyncio.create_task(agent.walk(where, IF_NAME))
            while server.requests < 60:
                await asyncio.sleep(0.01)
            agent.close()
            results = await asyncio.wait_for(asyncio.gather(*gets, walk, return_exceptions=True), 5)
        assert {str(error) for error in results} == {"Closed: the SNMP agent port is closed"}
        assert all(isinstance(error, PortError) for error in results)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_no_more_than_64_requests_are_in_flight():
    """The receive buffer of the one socket bounds what may be outstanding; the rest waits its turn."""

    async def run() -> int:
        agent = PysnmpAgent({}, PATIENT, local_host="127.0.0.1")
        async with serving(NOTHING_KNOWN["silent"]) as (server, port):
            where = DeviceAddress("127.0.0.1", port, "secret")
            gets = [asyncio.create_task(agent.get(where, OID)) for _ in range(200)]
            while server.requests < 64:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            sent = server.requests
            agent.close()
            await asyncio.gather(*gets, return_exceptions=True)
        return sent

    assert asyncio.run(run()) == 64


def test_silent_devices_give_their_places_up():
    """64 silent requests, with many tries to go, do not keep an answer from coming after their first timeout."""

    async def run() -> int:
        agent = PysnmpAgent({}, AgentTimeouts(0.2, 20), local_host="127.0.0.1")
        async with (
            serving(NOTHING_KNOWN["silent"]) as (_, dead),
            serving(TRUTH_WINS["duplicated"]) as (_, port),
        ):
            where = DeviceAddress("127.0.0.1", dead, "secret")
            gets = [asyncio.create_task(agent.get(where, OID)) for _ in range(64)]
            await asyncio.sleep(0)
            await asyncio.wait_for(agent.get(DeviceAddress("127.0.0.1", port, "secret"), OID), 30)
            ended = sum(get.done() for get in gets)
            agent.close()
            await asyncio.gather(*gets, return_exceptions=True)
        return ended

    assert asyncio.run(run()) == 0


def test_cancelled_request_is_not_sent_again():
    """A cancelled request stops retransmitting and frees its place."""

    async def run() -> int:
        agent = PysnmpAgent({}, AgentTimeouts(0.05, 50), local_host="127.0.0.1")
        async with serving(NOTHING_KNOWN["silent"]) as (server, port):
            where = DeviceAddress("127.0.0.1", port, "secret")
            gets = [asyncio.create_task(agent.get(where, OID)) for _ in range(64)]
            while server.requests < 64:
                await asyncio.sleep(0.01)
            for get in gets:
                get.cancel()
            await asyncio.gather(*gets, return_exceptions=True)
            await asyncio.sleep(0.05)
            server.requests = 0
            await asyncio.sleep(0.3)
            sent = server.requests
            late = asyncio.create_task(agent.get(where, OID))
            while server.requests == sent:
                await asyncio.sleep(0.01)
            late.cancel()
            agent.close()
        return sent

    assert asyncio.run(run()) == 0


def test_an_agent_belongs_to_one_loop():
    """Use from a second event loop is a programming error; closing after the loop's end is not."""
    agent = PysnmpAgent({}, PATIENT, local_host="127.0.0.1")

    async def ask() -> Mapping[str, Value]:
        async with serving(TRUTH_WINS["duplicated"]) as (_, port):
            return await agent.get(DeviceAddress("127.0.0.1", port, "secret"), OID)

    with asyncio.Runner() as first:
        assert first.run(ask()) == {SYS_UP_TIME: 10_000}
        with pytest.raises(RuntimeError, match="one event loop"):
            asyncio.run(ask())
        first.get_loop().call_soon(agent.close)
        first.run(asyncio.sleep(0))
    agent.close()


def test_host_names_are_resolved_and_bad_ones_are_told():
    """A host may be a name; one that does not resolve is TRANSIENT/Unresolved."""

    async def run() -> None:
        agent = PysnmpAgent({}, PATIENT, local_host="127.0.0.1")
        async with serving(TRUTH_WINS["duplicated"]) as (_, port):
            assert await agent.get(DeviceAddress("localhost", port, "secret"), OID) == {SYS_UP_TIME: 10_000}
            with pytest.raises(PortError, match="Unresolved"):
                await agent.get(DeviceAddress("no such host", port, "secret"), OID)
        agent.close()

    asyncio.run(run())


class Resolver:
    """Says where a name is now, or that nobody knows."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    async def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        """In place of the loop's getaddrinfo."""
        if host not in self.places and not host[0].isdecimal():
            raise OSError("no such name")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (self.places.get(host, host), port))]


def test_a_name_that_moved_is_followed(monkeypatch):
    """Also where something still answers at the old address, and while the resolver is away the last answer counts."""
    monkeypatch.setattr(snmp_names, "FRESH_S", 0.2)

    async def run() -> None:
        resolver = Resolver()
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolver)
        agent = PysnmpAgent({}, AgentTimeouts(0.2, 0), local_host="127.0.0.1")
        async with serving(TRUTH_WINS["duplicated"]) as (server, port):
            where = DeviceAddress("switch.example", port, "secret")
            resolver.places["switch.example"] = "127.0.0.1"
            assert await agent.get(where, OID)
            del resolver.places["switch.example"]
            await asyncio.sleep(0.3)
            assert await agent.get(where, OID)
            asked = server.requests
            resolver.places["switch.example"] = "127.0.0.9"
            await asyncio.sleep(0.3)
            with pytest.raises(PortError, match="no answer"):
                await agent.get(where, OID)
            assert server.requests == asked
        agent.close()

    asyncio.run(run())


def test_a_name_that_does_not_answer_over_v3_is_looked_up_again(monkeypatch):
    """A v3 device that is silent at the address of its name is asked where the name has moved to."""

    async def run() -> int:
        resolver = Resolver()
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolver)
        user = V3User("somebody", "some passphrase")
        agent = PysnmpAgent({}, AgentTimeouts(0.1, 0), local_host="127.0.0.1", users={"V3": user})
        async with serving(NOTHING_KNOWN["silent"]) as (server, port):
            where = DeviceAddress("switch.example", port, "V3")
            for place in ("127.0.0.9", "127.0.0.1"):
                resolver.places["switch.example"] = place
                with pytest.raises(PortError, match="no answer"):
                    await agent.get(where, OID)
            asked = server.requests
        agent.close()
        return asked

    assert asyncio.run(run()) > 0


def test_secrets_stay_out_of_logs(caplog):
    """Whatever goes wrong, neither log nor error nor repr holds the community."""
    secret = "tell-nobody"
    caplog.set_level(logging.DEBUG)

    async def run() -> list[str]:
        agent = PysnmpAgent({"name": secret}, AgentTimeouts(0.1, 0), local_host="127.0.0.1")
        texts = [repr(agent)]
        for fault in (NOTHING_KNOWN["silent"], NOTHING_KNOWN["only garbage"], NOTHING_KNOWN["always tooBig"]):
            async with serving(fault) as (_, port):
                try:
                    await agent.get(DeviceAddress("127.0.0.1", port, "name"), OID)
                except PortError as error:
                    texts += [str(error), repr(error)]
        agent.close()
        return texts

    texts = asyncio.run(run(), debug=True)
    assert len(texts) == 7
    assert secret not in "".join(texts) + caplog.text


@pytest.fixture
def snmpd(tmp_path) -> Iterator[DeviceAddress]:
    """A real net-snmp agent on a free loopback port."""
    running = Snmpd(tmp_path)
    running.start("rocommunity realsecret 127.0.0.1")
    yield DeviceAddress("127.0.0.1", running.port, "realsecret")
    running.stop()


def test_real_snmpd(snmpd):
    """net-snmp's own agent is read: uptime, the walk of ifName, and port `lo` is UP."""

    async def run() -> tuple[Value, Mapping[str, Value], PollAnswer]:
        agent = PysnmpAgent({}, AgentTimeouts(1, 1), local_host="127.0.0.1")
        deadline = time.monotonic() + 20
        while True:
            try:
                uptime = (await agent.get(snmpd, OID))[SYS_UP_TIME]
                break
            except PortError:
                assert time.monotonic() < deadline
        names = await agent.walk(snmpd, IF_NAME)
        answer = await poll(agent, request_for(snmpd, port("lo"), port("no"), query("switch")))
        with pytest.raises(PortError, match="Timeout"):
            await agent.get(DeviceAddress(snmpd.host, snmpd.port, "wrong"), OID)
        agent.close()
        return uptime, names, answer

    uptime, names, answer = asyncio.run(run())
    assert isinstance(uptime, int)
    assert b"lo" in names.values()
    assert answer.found == ("UP", "NOT_FOUND", "UP")
