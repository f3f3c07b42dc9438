"""A real snmpd with real interfaces: flipped, renumbered, swapped, rebooted, hardly reachable: only truth is told.

The DeviceActor and its poller run on a manual clock, the agent and the kernel in earnest.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.adapters.pysnmp_agent import PysnmpAgent
from actors.core.asking import IF_NAME
from actors.core.errors import PortError
from actors.core.model import Ref
from actors.core.monitors import target
from actors.core.options import Options
from actors.core.world import World
from actors.desk import Desk
from actors.device import DeviceActor
from actors.messages import Boot, DeviceBegin, TargetStatus, Topology, WatchTarget, Wiring
from actors.ports import AgentTimeouts, DeviceAddress
from actors.runtime.inline import InlineHost
from actors.snmp_pool import SnmpPollerActor
from config.monitor_types import load_monitor_types
from tests.contract.snmpd import Snmpd
from tests.e2e.netns import Namespace

TYPES = load_monitor_types()
OPER = "1.3.6.1.2.1.2.2.1.8"
WHERE = DeviceAddress("127.0.0.1", 161, "truth")
CONFIG = (
    "rocommunity truth 127.0.0.1",
    f"pass_persist -p 10 .{IF_NAME} {sys.executable} -u {Path(__file__).with_name('ifname.py')}",
)


class Stage:
    """The namespace, the agent, and a device that is watched."""

    def __init__(self, net: Namespace, snmpd: Snmpd) -> None:
        self.net, self.snmpd = net, snmpd
        self.host = InlineHost()
        self.agent = PysnmpAgent({}, AgentTimeouts(0.3, 1), local_host="127.0.0.1")
        nothing: Any = None
        options = Options((), monitor_types=TYPES)
        shard, poller = self.host.external("shard"), self.host.spawn(SnmpPollerActor)
        self.shard = shard
        self.host.tell(poller, Boot(options, Wiring(nothing, nothing, lambda: self.agent), "e2e"))
        desk = Desk(options, World(()), Topology(1, None, (), (poller,), (shard,)), shard, 0)
        self.device = self.host.spawn(DeviceActor)
        self.host.tell(self.device, DeviceBegin("127.0.0.1|truth", desk))

    def watch(self, *names: str) -> None:
        """Register ports by name."""
        for name in names:
            one = target(name, "physical_port", {"device_ip": "127.0.0.1", "name": name}, "truth", TYPES)
            self.host.tell(self.device, WatchTarget(Ref("ese_physical_port", name), 1, one, self.shard))

    def told(self, seconds: float = 80.0) -> list[tuple[str, str]]:
        """What is told within so many seconds of the manual clock: at least two looks and a confirmation."""
        self.host.advance(seconds)
        return [(m.name, m.status) for m in self.host.take(self.shard) if isinstance(m, TargetStatus)]

    def until_shown(self, **oper: int) -> None:
        """Wait until the agent shows these names with these statuses (it keeps its table for 3 s)."""
        deadline, shown = time.monotonic() + 20, dict[str, set[int]]()
        while True:
            assert time.monotonic() < deadline, f"the agent never showed {oper}, but {shown}"
            time.sleep(0.1)
            try:
                shown = self.host.loop().run_until_complete(self._shown())
            except PortError:
                continue
            if all(status in shown.get(name, ()) for name, status in oper.items()):
                return

    async def _shown(self) -> dict[str, set[int]]:
        names = await self.agent.walk(WHERE, IF_NAME)
        states = await self.agent.walk(WHERE, OPER)
        shown: dict[str, set[int]] = {}
        for oid, name in names.items():
            status = states.get(f"{OPER}.{oid.rpartition('.')[2]}")
            if isinstance(name, bytes) and isinstance(status, int):
                shown.setdefault(name.decode(), set()).add(status)
        return shown

    def close(self) -> None:
        """Close the sockets of the poller."""

        async def close() -> None:
            self.agent.close()

        self.host.loop().run_until_complete(close())
        self.host.close()

    def again(self, **places: tuple[int, bool]) -> None:
        """Take the ports away and make them anew: name → (ifIndex, up)."""
        for name in places:
            self.net(f"link del {name}")
        for name, (index, up) in places.items():
            self.net.port(name, index, up=up)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Two ports that are up, an agent, and both watched."""
    net = Namespace()
    try:
        snmpd = net.agent(tmp_path)
        net.port("pa", 101)
        net.port("pb", 102)
        snmpd.start(*CONFIG)
        net.enter()
        stage = Stage(net, snmpd)
        try:
            stage.until_shown(pa=1, pb=1)
            stage.watch("pa", "pb")
            assert sorted(stage.told(1)) == [("pa", "UP"), ("pb", "UP")]
            yield stage
        finally:
            stage.close()
            snmpd.stop()
    finally:
        net.close()


def test_a_link_that_goes_down_and_up(stage):
    """The far end is unplugged: that port is DOWN, its neighbour silent; plugged in again: UP."""
    stage.net("link set pa-f down")
    stage.until_shown(pa=2)
    assert stage.told() == [("pa", "DOWN")]
    stage.net("link set pa-f up")
    stage.until_shown(pa=1)
    assert stage.told() == [("pa", "UP")]


def test_renumbered_live(stage):
    """The interfaces get other indexes while the agent runs, which shows the old rows as down: no event."""
    stage.again(pa=(111, True), pb=(112, True))
    time.sleep(3.3)
    stage.until_shown(pa=1, pb=1)
    assert stage.told() == []
    stage.net("link set pb-f down")
    stage.until_shown(pb=2)
    time.sleep(3.3)
    assert stage.told() == [("pb", "DOWN")]


def test_swapped_at_the_same_indexes_and_rebooted(stage):
    """One port up and one down change their indexes, live and over a restart of the agent: no event."""
    stage.net("link set pb-f down")
    stage.until_shown(pb=2)
    assert stage.told() == [("pb", "DOWN")]
    stage.again(pa=(102, True), pb=(101, False))
    time.sleep(3.3)
    stage.until_shown(pa=1, pb=2)
    assert stage.told() == []
    stage.snmpd.stop()
    stage.again(pa=(101, True), pb=(102, False))
    stage.snmpd.start(*CONFIG)
    stage.until_shown(pa=1, pb=2)
    assert stage.told() == []


def test_an_agent_that_is_stopped_and_started(stage):
    """Silence is FAIL and never DOWN; at the first answer both ports are told as they are then."""
    stage.snmpd.stop()
    assert sorted(stage.told(60)) == [("pa", "FAIL"), ("pb", "FAIL")]
    stage.net("link set pb-f down")
    stage.snmpd.start(*CONFIG)
    stage.until_shown(pa=1, pb=2)
    assert sorted(stage.told(120)) == [("pa", "UP"), ("pb", "DOWN")]


def test_packet_loss_is_never_a_port_that_is_down(stage):
    """A third of all packets is lost each way: nothing false is told, a true change is, and in the end all is right."""
    stage.net.lossy(33)
    told = stage.told(200)
    assert {status for _, status in told} <= {"UP", "FAIL"}
    stage.net.lossy(0)
    stage.net("link set pa-f down")
    stage.until_shown(pa=2)
    stage.net.lossy(33)
    for _ in range(30):
        told += stage.told(60)
        if ("pa", "DOWN") in told:
            break
    assert ("pa", "DOWN") in told
    stage.net.lossy(0)
    told += stage.told(400)  # the rarest probe comes every 330 s
    assert ("pb", "DOWN") not in told
    assert dict([("pb", "UP"), *told]) == {"pa": "DOWN", "pb": "UP"}
    channel = stage.agent._socket
    assert channel is not None
    assert channel.repeated > 0
