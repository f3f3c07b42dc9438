"""snmpsim with a recorded-like walk of 5,000 interfaces: a simulator that is not ours, read by the same poll."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.adapters.pysnmp_agent import PysnmpAgent
from actors.core.asking import SYS_UP_TIME, Plan, Query
from actors.core.errors import PortError
from actors.core.polling import PollAnswer, PollRequest
from actors.core.rates import Sample, rate
from actors.ports import AgentTimeouts, DeviceAddress
from actors.snmp_poll import poll
from tests.contract.agent_rig import port, request_for
from tests.e2e.snmpsim import COMMUNITY, Snmpsim, names, recorded

INTERFACES = names(5000)
#: 48 ports all over the table, its first and its last one.
WATCHED = tuple(
    dict.fromkeys([INTERFACES[i] for i in sorted(INTERFACES)[:: 5000 // 47]] + [INTERFACES[max(INTERFACES)]])
)
DOWN = frozenset(WATCHED[3::10])
FLIPPED = 501
OPER, IN_OCTETS = "1.3.6.1.2.1.2.2.1.8", "1.3.6.1.2.1.31.1.1.1.6"


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceAddress]:
    """The simulator, once it answers."""
    running = Snmpsim(tmp_path_factory.mktemp("snmpsim"), recorded(INTERFACES, DOWN, FLIPPED))
    try:
        where = DeviceAddress("127.0.0.1", running.port, COMMUNITY)
        asyncio.run(_until_it_answers(running, where))
        yield where
    finally:
        running.stop()


async def _until_it_answers(running: Snmpsim, where: DeviceAddress) -> None:
    agent, deadline = PysnmpAgent({}, AgentTimeouts(0.5, 0), local_host="127.0.0.1"), time.monotonic() + 240
    try:
        while True:
            try:
                assert isinstance((await agent.get(where, [SYS_UP_TIME]))[SYS_UP_TIME], int)
                return
            except PortError:
                assert running.process.poll() is None, Path(running.log.name).read_text("utf-8")[-2000:]
                assert time.monotonic() < deadline, "the simulator never answered"
    finally:
        agent.close()


class Counted(PysnmpAgent):
    """Counts requests of each kind."""

    gets = walks = 0

    async def _ask(self, device: DeviceAddress, oids: tuple[str, ...], bulk: int = 0) -> Any:
        self.walks += bulk > 0
        self.gets += not bulk
        return await super()._ask(device, oids, bulk)


def polled(request: PollRequest) -> tuple[PollAnswer, Counted]:
    """One poll, patiently: the simulator takes a while for each reply."""

    async def work() -> tuple[PollAnswer, Counted]:
        agent = Counted({}, AgentTimeouts(5.0, 2), local_host="127.0.0.1")
        try:
            return await poll(agent, request), agent
        finally:
            agent.close()

    return asyncio.run(work())


def test_five_thousand_interfaces_of_a_recorded_walk(where: DeviceAddress) -> None:
    """One walk of 126 PDUs finds 49 ports by name, up and down; every later poll is three PDUs and no walk."""
    request = request_for(where, *map(port, WATCHED), port("xe-99/0/0"))
    answer, asked = polled(request)
    told = dict(zip((*WATCHED, "xe-99/0/0"), answer.found, strict=True))
    assert told == {name: "DOWN" if name in DOWN else "UP" for name in WATCHED} | {"xe-99/0/0": "NOT_FOUND"}
    assert asked.walks == 126
    assert answer.learned is not None
    assert answer.learned["fxp0"] == (1,)
    known = Plan(request.queries[:-1], {n: i for n, i in answer.learned.items() if i})
    answer, asked = polled(replace(request.after(answer), plan=known))
    assert answer.found == tuple("DOWN" if name in DOWN else "UP" for name in WATCHED)
    assert (asked.gets, asked.walks) == (3, 0)


def test_a_port_that_is_set_down_and_up_again(where: DeviceAddress) -> None:
    """The recorded status is changed by SNMP SET: each next poll shows it."""
    request = request_for(where, port(INTERFACES[FLIPPED]), indexes={INTERFACES[FLIPPED]: (FLIPPED,)})
    for value, status in ((1, "UP"), (2, "DOWN"), (1, "UP")):
        asyncio.run(_set(where, f"{OPER}.{FLIPPED}", value))
        answer, _ = polled(request)
        assert answer.found == (status,)
        request = request.after(answer)


def test_recorded_counters_grow_at_their_rate(where: DeviceAddress) -> None:
    """Two readings of an HC counter and the agent's own clock give the rate of the recording, within a tenth."""
    name = WATCHED[7]
    (index,) = (i for i, n in INTERFACES.items() if n == name)
    request = request_for(where, Query(f"{IN_OCTETS}.#", name), indexes={name: (index,)})
    samples = []
    for _ in range(2):
        answer, _ = polled(request)
        assert answer.epoch is not None
        assert isinstance(answer.found[0], int)
        samples.append(Sample(answer.found[0], time.monotonic(), answer.epoch.uptime_ticks))
        request = request.after(answer)
        time.sleep(2.0)
    assert rate(*samples) == pytest.approx(1000 + index, rel=0.1)


async def _set(where: DeviceAddress, oid: str, value: int) -> None:
    from pysnmp.hlapi.v1arch import asyncio as api
    from pysnmp.proto.rfc1902 import Integer32, ObjectName

    dispatcher = api.SnmpDispatcher()
    target = await api.UdpTransportTarget.create((where.host, where.port), timeout=5, retries=2)
    error, status, _, _ = await api.set_cmd(
        dispatcher, api.CommunityData(COMMUNITY, mpModel=1), target, (ObjectName(oid), Integer32(value))
    )
    assert not error
    assert not int(status)
    dispatcher.close()
