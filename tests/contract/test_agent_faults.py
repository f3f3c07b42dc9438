"""Hostile and broken agents over real UDP: a poll ends, raises nothing and never tells a false status."""

import asyncio
import itertools
import random
import time
from typing import Literal

import pytest

from actors.adapters.pysnmp_agent import PysnmpAgent
from actors.core.asking import IF_NAME
from actors.core.errors import PortError
from actors.core.polling import PollAnswer
from actors.ports import AgentTimeouts, DeviceAddress
from actors.snmp_poll import poll
from sim.snmp_agents.ber import GET_BULK, Request, response
from tests.contract.agent_rig import port, request_for
from tests.contract.fault_agent import (
    DROPS_BIG,
    NOTHING_KNOWN,
    ONE_MISSING,
    TRUTH_WINS,
    Fault,
    FaultAgent,
    Send,
    serving,
)

HASTY = AgentTimeouts(timeout_s=0.2, retries=1)
PATIENT = AgentTimeouts(timeout_s=0.3, retries=4)
CODECS = pytest.mark.parametrize("codec", ["fast", "pysnmp"])
PORTS = tuple(map(port, ("ge0", "ge1", "ge2")))


def polls(
    fault: Fault,
    times: int = 1,
    *,
    indexed: bool = False,
    timeouts: AgentTimeouts = PATIENT,
    codec: Literal["fast", "pysnmp"] = "fast",
) -> tuple[list[PollAnswer], FaultAgent]:
    """Poll a faulty agent, each poll with what the one before had learned; loop errors fail the test."""
    escaped: list[object] = []

    async def run() -> tuple[list[PollAnswer], FaultAgent]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        port_agent = PysnmpAgent({"name": "secret"}, timeouts, codec=codec, local_host="127.0.0.1")
        answers: list[PollAnswer] = []
        async with serving(fault) as (agent, where):
            indexes = {q.interface: (501 + i,) if indexed else () for i, q in enumerate(PORTS)}
            request = request_for(DeviceAddress("127.0.0.1", where, "name"), *PORTS, indexes=indexes)
            for _ in range(times):
                answer = await poll(port_agent, request)
                answers.append(answer)
                request = request.after(answer)
            port_agent.close()
        return answers, agent

    result = asyncio.run(asyncio.wait_for(run(), 30))
    assert escaped == []
    return result


@CODECS
@pytest.mark.parametrize("indexed", [False, True], ids=["first poll", "known indexes"])
@pytest.mark.parametrize("fault", TRUTH_WINS.values(), ids=TRUTH_WINS)
def test_truth_wins(fault, indexed, codec):
    """Forged, broken, late and doubled replies do not keep the true status from being found."""
    answers, _ = polls(fault, indexed=indexed, codec=codec)
    assert answers[0].reachable
    assert answers[0].found == ("UP", "UP", "UP")


@CODECS
@pytest.mark.parametrize("fault", NOTHING_KNOWN.values(), ids=NOTHING_KNOWN)
def test_nothing_is_invented(fault, codec):
    """From an agent that tells nothing usable, no port gets a status, in the first poll and the next."""
    answers, _ = polls(fault, times=2, timeouts=HASTY, codec=codec)
    for answer in answers:
        assert set(answer.found) <= {"UNKNOWN", "NOT_FOUND"}
        assert answer.reason or answer.reachable


@pytest.mark.parametrize("fault", ONE_MISSING.values(), ids=ONE_MISSING)
def test_one_bad_port_does_not_hide_the_others(fault):
    """A port that the agent cannot tell is UNKNOWN, and its neighbours in the PDU keep their status."""
    answers, _ = polls(fault)
    assert answers[0].found == ("UP", "UNKNOWN", "UP")


def test_agent_that_drops_big_requests_is_asked_for_less():
    """Silence to big requests only shrinks the PDU, in that poll and in the next ones."""
    answers, _ = polls(DROPS_BIG, times=2, indexed=True, timeouts=HASTY)
    assert answers[0].reachable
    assert answers[0].chunk == 1
    assert answers[1].found == ("UP", "UP", "UP")


@CODECS
@pytest.mark.parametrize("refuses", [False, True], ids=["lost", "tooBig"])
def test_a_walk_is_made_in_smaller_steps_where_long_answers_fail(refuses, codec):
    """Long answers to GETBULK get lost, or are refused as too big: ten rows at a time are had."""

    def behave(agent: FaultAgent, request: Request, data: bytes, send: Send, _addr: tuple[str, int]) -> None:
        if request.kind != GET_BULK or request.b <= 10:
            send(agent.truth(data))
        elif refuses:
            send(response(request, [], error_status=1))

    answers, _ = polls(behave, timeouts=HASTY, codec=codec)
    assert answers[0].found == ("UP", "UP", "UP")


def test_requests_have_unpredictable_ids_and_retries_keep_theirs():
    """Each PDU has an id of its own, not its neighbour's plus one, and a retry repeats the id."""
    _, agent = polls(NOTHING_KNOWN["silent"], timeouts=HASTY)
    assert len(agent.ids) == 2
    assert agent.ids[0] == agent.ids[1]
    _, honest = polls(TRUTH_WINS["duplicated"], times=4)
    numbers = [int.from_bytes(i[2:], "big") for i in honest.ids]
    assert len(set(numbers)) == len(numbers)
    assert all(abs(b - a) > 1 for a, b in itertools.pairwise(numbers))


@pytest.mark.parametrize("name", ["walk repeats a row", "walk goes back", "walk is empty-handed"])
def test_a_walk_that_would_never_end_is_malformed(name):
    """A walk whose OIDs do not increase ends with TERMINAL/Malformed."""

    async def run() -> PortError:
        agent = PysnmpAgent({}, HASTY, local_host="127.0.0.1")
        async with serving(NOTHING_KNOWN[name]) as (_, port):
            with pytest.raises(PortError) as caught:
                await agent.walk(DeviceAddress("127.0.0.1", port, "secret"), IF_NAME)
            agent.close()
        return caught.value

    assert str(asyncio.run(run())).startswith("Malformed: ")


def test_a_dead_device_costs_its_timeouts_only():
    """Silence is told after the timeouts of one request, and a walk is not even tried."""
    started = time.monotonic()
    answers, agent = polls(NOTHING_KNOWN["silent"], timeouts=HASTY)
    assert agent.requests == 2
    assert not answers[0].reachable
    assert answers[0].reason.startswith("Timeout: ")
    assert time.monotonic() - started < 10


def test_a_fuzzing_agent_neither_raises_nor_leaves_anything_behind():
    """600 polls of an agent that spoils every answer: all end, none raises, nothing piles up."""
    dice = random.Random(7)
    escaped: list[object] = []

    def spoil(agent: FaultAgent, _request: Request, data: bytes, send: Send, _addr: tuple[str, int]) -> None:
        reply = bytearray(agent.truth(data))
        for _ in range(dice.choice([0, 1, 1, 3])):
            reply[dice.randrange(len(reply))] = dice.randrange(256)
        if dice.random() < 0.1:
            del reply[dice.randrange(len(reply)) :]
        send(bytes(reply))

    async def run() -> int:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        port_agent = PysnmpAgent({"name": "secret"}, AgentTimeouts(0.02, 0), local_host="127.0.0.1")
        async with serving(spoil) as (agent, where):
            request = request_for(DeviceAddress("127.0.0.1", where, "name"), *PORTS)

            async def some() -> None:
                known = request
                for _ in range(20):
                    answer = await poll(port_agent, known)
                    assert len(answer.found) == 3
                    known = known.after(answer)

            await asyncio.gather(*(some() for _ in range(30)))
            channel = port_agent._socket
            assert channel is not None
            assert not channel._waiting
            assert channel.refused > 0
            port_agent.close()
            return agent.requests

    assert asyncio.run(asyncio.wait_for(run(), 60)) > 600
    assert escaped == []
