"""SNMPv3 against net-snmp's own agent: SHA-2 and AES, a changed engine id, wrong keys told apart."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from actors.adapters import pysnmp_v3
from actors.adapters.pysnmp_agent import PysnmpAgent
from actors.adapters.pysnmp_v3 import V3User
from actors.core.asking import IF_NAME, SYS_UP_TIME
from actors.core.errors import ErrorClass, PortError
from actors.ports import AgentTimeouts, DeviceAddress
from actors.snmp_poll import poll
from tests.contract.agent_rig import port, query, request_for
from tests.contract.snmpd import Snmpd

T = TypeVar("T")
AUTH, PRIV = "authentication key", "privacy key"
USERS = {
    "FULL": V3User("full", AUTH, "SHA256", PRIV, "AES"),
    "SHA512": V3User("other", AUTH, "SHA512", PRIV, "AES"),
    "PLAIN": V3User("plain", AUTH, "SHA"),
    "STRANGER": V3User("stranger", AUTH, "SHA256", PRIV, "AES"),
    "BADAUTH": V3User("full", "not that key", "SHA256", PRIV, "AES"),
    "BADPRIV": V3User("full", AUTH, "SHA256", "not that key", "AES"),
}
LINES = (
    f'createUser full SHA-256 "{AUTH}" AES "{PRIV}"',
    f'createUser other SHA-512 "{AUTH}" AES "{PRIV}"',
    f'createUser plain SHA "{AUTH}"',
    *("rouser full priv", "rouser other priv", "rouser plain auth"),
)
ENGINES = ["exactEngineID 0x80001f8804616161", "exactEngineID 0x80001f8804626262"]


@pytest.fixture
def snmpd(tmp_path) -> Iterator[Snmpd]:
    """A real agent with three users."""
    running = Snmpd(tmp_path)
    running.start(*LINES, ENGINES[0])
    yield running
    running.stop()


def using(work: Callable[[PysnmpAgent], Coroutine[Any, Any, T]], timeout_s: float = 1.0) -> T:
    """Run `work` with an agent that knows the users, after the errors of the loop were looked at."""
    escaped: list[object] = []

    async def run() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        agent = PysnmpAgent({}, AgentTimeouts(timeout_s, 0), users=USERS, local_host="127.0.0.1")
        try:
            return await work(agent)
        finally:
            agent.close()

    result = asyncio.run(asyncio.wait_for(run(), 60))
    assert escaped == []
    return result


async def until_it_answers(agent: PysnmpAgent, where: DeviceAddress) -> float:
    """Ask until there is an answer; returns how often there was none."""
    deadline, failures = time.monotonic() + 30, 0
    while True:
        try:
            assert isinstance((await agent.get(where, [SYS_UP_TIME]))[SYS_UP_TIME], int)
            return failures
        except PortError:
            failures += 1
            assert time.monotonic() < deadline


@pytest.mark.parametrize("name", ["FULL", "SHA512", "PLAIN"])
def test_a_poll_over_v3(snmpd, name):
    """Uptime, walk and status of a port: the same poll as over v2c, for each kind of user."""
    where = DeviceAddress("127.0.0.1", snmpd.port, name)

    async def work(agent: PysnmpAgent):
        await until_it_answers(agent, where)
        return await poll(agent, request_for(where, port("lo"), port("no"), query("switch")))

    answer = using(work)
    assert (answer.found, answer.reindexed) == (("UP", "NOT_FOUND", "UP"), True)


def test_two_sets_of_keys_under_one_user_name_do_not_meet(snmpd):
    """Wrong credentials for a user do not fail the right ones of the same name on the same device."""
    good = DeviceAddress("127.0.0.1", snmpd.port, "FULL")

    async def work(agent: PysnmpAgent) -> list[str]:
        await until_it_answers(agent, good)
        texts = []
        for name in ("STRANGER", "BADAUTH", "BADPRIV"):
            with pytest.raises(PortError) as caught:
                await agent.get(DeviceAddress("127.0.0.1", snmpd.port, name), [SYS_UP_TIME])
            texts.append(str(caught.value))
            expected = ErrorClass.TRANSIENT if name == "BADPRIV" else ErrorClass.TERMINAL
            assert caught.value.failure.error_class is expected
            assert (await agent.get(good, [SYS_UP_TIME]))[SYS_UP_TIME] is not None
        return texts

    stranger, bad_auth, bad_priv = using(work)
    assert "Refused: " in stranger
    assert "UnknownUserName" in stranger
    assert "WrongDigest" in bad_auth
    assert "a wrong privacy key looks the same" in bad_priv
    assert AUTH not in stranger + bad_auth + bad_priv
    assert PRIV not in repr(USERS)


def test_a_changed_engine_id_is_found_out(snmpd):
    """After a restart under another engine id the device answers again after two silent requests."""
    where = DeviceAddress("127.0.0.1", snmpd.port, "FULL")

    async def work(agent: PysnmpAgent) -> float:
        await until_it_answers(agent, where)
        snmpd.start(*LINES, ENGINES[1])
        while True:  # wait until it listens again, as somebody who has never met it
            stranger = PysnmpAgent({}, AgentTimeouts(0.3, 0), users=USERS)
            try:
                await until_it_answers(stranger, where)
                break
            finally:
                stranger.close()
        return await until_it_answers(agent, where)

    assert using(work, 0.3) <= 3


def test_engines_are_bounded_and_closed(snmpd, monkeypatch):
    """An engine serves only so many devices; a silent one costs nobody else anything."""
    monkeypatch.setattr(pysnmp_v3, "TARGETS_MAX", 2)
    where = DeviceAddress("127.0.0.1", snmpd.port, "FULL")

    async def work(agent: PysnmpAgent) -> list[int]:
        await until_it_answers(agent, where)
        dead = [agent.get(DeviceAddress(f"127.0.9.{i}", 1, "FULL"), [SYS_UP_TIME]) for i in range(1, 6)]
        outcomes = await asyncio.gather(*dead, agent.walk(where, IF_NAME), return_exceptions=True)
        assert all(isinstance(outcome, PortError) for outcome in outcomes[:5])
        assert isinstance(outcomes[5], dict)
        assert agent._v3 is not None
        return [len(session.met) for session in agent._v3._sessions["FULL"]]

    assert using(work, 0.3) == [2, 2, 2]


def test_silent_devices_give_their_places_up(snmpd):
    """More dead devices than places, with many tries to go, do not keep an answer from coming."""
    where = DeviceAddress("127.0.0.1", snmpd.port, "FULL")

    async def run() -> float:
        agent = PysnmpAgent({}, AgentTimeouts(0.5, 100), users=USERS, local_host="127.0.0.1")
        hosts = (f"127.0.9.{i}" for i in range(1, 3 * pysnmp_v3._IN_FLIGHT))
        dead = [asyncio.ensure_future(agent.get(DeviceAddress(h, 1, "FULL"), [SYS_UP_TIME])) for h in hosts]
        try:
            await asyncio.sleep(0)
            assert isinstance((await agent.get(where, [SYS_UP_TIME]))[SYS_UP_TIME], int)
            return sum(one.done() for one in dead)
        finally:
            for one in dead:
                one.cancel()
            await asyncio.gather(*dead, return_exceptions=True)
            agent.close()

    assert asyncio.run(asyncio.wait_for(run(), 30)) == 0
