"""DeviceActor with its poller over the in-memory agent, on a manual clock: when it asks and what it tells."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from actors.core.errors import ErrorClass, PortError
from actors.core.model import Ref
from actors.core.monitors import Target, target
from actors.core.options import Options
from actors.core.world import World
from actors.desk import Desk
from actors.device import LINGER_S, DeviceActor
from actors.messages import (
    Boot,
    DeviceBegin,
    Readings,
    SnmpPoll,
    TargetStatus,
    Topology,
    UnwatchTargets,
    WatchTarget,
    Wiring,
)
from actors.ports import DeviceAddress
from actors.runtime.inline import InlineHost
from actors.snmp_pool import SnmpPollerActor
from config.monitor_types import load_monitor_types
from sim.fake_agent import FakeAgent
from sim.snmp_agents.mib import DeviceTables

TYPES = load_monitor_types()
REF = Ref("ese_physical_port", "1")
PORTS = [f"ge{i}" for i in range(50)]


class Clock:
    """The host's clock, as the agent wants it."""

    def __init__(self, host: InlineHost) -> None:
        self._host = host

    def now(self) -> float:
        """See `ports.Clock`."""
        return self._host.now


class Agent(FakeAgent):
    """Remembers when it was asked for how many OIDs."""

    asked: list[tuple[float, int]]

    async def get(self, device: DeviceAddress, oids: Sequence[str]) -> Mapping[str, Any]:
        """See `ports.Agent`."""
        self.asked.append((round(self._clock.now(), 3), len(oids)))
        return await super().get(device, oids)


class World1:
    """One device, its actor, one poller; the test is the shard."""

    def __init__(self, **options: Any) -> None:
        self.host = InlineHost()
        self.tables = DeviceTables("d", community="C", interfaces=PORTS, max_bytes=60_000)
        self.agent = Agent(Clock(self.host), {("10.0.0.1", 161): self.tables})
        self.agent.asked = []
        self.options = replace(Options((), monitor_types=TYPES), **options)
        self.shard = self.host.external("shard")
        self.poller = self.host.spawn(SnmpPollerActor)
        self.dead_poller = self.host.external("dead poller")
        boot = Boot(self.options, Wiring(Any, Any, lambda: self.agent), "owner")  # type: ignore[arg-type]
        self.host.tell(self.poller, boot)
        topology = Topology(1, None, (), (self.poller,), (self.shard,), self.host.external("readings"))
        self.desk = Desk(self.options, World(()), topology, self.shard, 0)
        self.device = self.host.spawn(DeviceActor)
        self.host.tell(self.device, DeviceBegin("10.0.0.1|C", self.desk))

    def watch(self, *targets: Target, ref: Ref = REF, version: int = 1, fresh: bool = True) -> None:
        """Register, as a shard does."""
        for one in targets:
            self.host.tell(self.device, WatchTarget(ref, version, one, self.shard, fresh))

    def told(self) -> list[tuple[str, str]]:
        """(target, status) of everything told since the last call."""
        return [(m.name, m.status) for m in self.host.take(self.shard) if isinstance(m, TargetStatus)]

    def asks(self) -> list[tuple[float, int]]:
        """(time, OIDs) of the GETs since the last call."""
        asked, self.agent.asked = self.agent.asked, []
        return asked


@pytest.fixture
def world() -> Iterator[World1]:
    """A device that nobody watches yet."""
    made = World1()
    yield made
    made.host.close()


def port(name: str, monitor: str = "port", **more: Any) -> Target:
    """A target for a port."""
    properties = {"device_ip": "10.0.0.1", "name": name, **more}
    return target(monitor, "physical_port", properties, "C", TYPES)


def test_first_poll_at_once_and_fifty_ports_in_two_pdus(world):
    """What is registered together is asked together at once: a walk, then two PDUs of 25 ports."""
    world.watch(*(port(name, name) for name in PORTS))
    world.host.advance(0.05)
    assert dict(world.told()) == dict.fromkeys(PORTS, "UP")
    assert [oids for _, oids in world.asks()] == [2, 52, 52]
    assert world.agent.walks == 1


def test_a_port_that_several_want_is_asked_once(world):
    """References are counted: one query for all, which ends with the last of them."""
    other = Ref("ese_logical_port", "2")
    world.watch(port("ge1"))
    world.watch(port("ge1"), ref=other)
    world.host.advance(0.05)
    assert world.told() == [("port", "UP"), ("port", "UP")]
    assert [oids for _, oids in world.asks()] == [2, 4]
    world.host.tell(world.device, UnwatchTargets(REF, "10.0.0.1|C"))
    world.host.advance(35)
    assert [oids for _, oids in world.asks()] == [4]
    world.host.tell(world.device, UnwatchTargets(other, "10.0.0.1|C", ("port",)))
    world.host.advance(100)
    assert world.asks() == []
    world.host.advance(LINGER_S)
    assert not world.host.alive(world.device)


def test_a_port_that_several_want_is_one_query(world):
    """Fifty resources on one port and one more port make a request of two queries."""
    world.desk.topology = replace(world.desk.topology, snmp=(world.dead_poller,))
    for i in range(50):
        world.watch(port("ge1"), ref=Ref("ese_logical_port", str(i)))
    world.watch(port("ge2"))
    world.host.advance(0.05)
    (request,) = [m.request for m in world.host.take(world.dead_poller) if isinstance(m, SnmpPoll)]
    assert sorted(query.interface for query in request.queries) == ["ge1", "ge2"]


def test_slots_afterwards(world):
    """Once as wanted, a port is looked at every 30 s, give or take a tenth, without another walk."""
    world.watch(port("ge1"))
    world.host.advance(600)
    times = [at for at, _ in world.asks()][2:]
    assert len(times) in (19, 20, 21)
    assert all(26.9 < b - a < 33.1 for a, b in itertools.pairwise(times))
    assert world.agent.walks == 1


def test_intervals_of_one_target_are_its_own(world):
    """A target with an interval of its own is asked in it; the others are not asked along."""
    world.watch(port("ge1", "slow", interval=300), port("ge2", "quick", interval=10))
    world.host.advance(0.1)
    world.asks()
    world.host.advance(600)
    asked = [oids for _, oids in world.asks()]
    assert 55 <= len(asked) <= 65
    assert sum(oids == 6 for oids in asked) <= 3
    assert asked.count(4) >= 55


def test_fast_until_it_is_as_wanted_then_slow_for_good(world):
    """A port that is down is asked every 5 s while its job waits; when the waiting is over, in slots."""
    world.tables.set_port("ge1", 2, 0.0)
    world.watch(port("ge1", timeout=20))
    world.host.advance(19)
    assert [round(at) for at, _ in world.asks()][2:] == [5, 10, 15]
    assert world.told() == [("port", "DOWN")]
    world.host.advance(300)
    assert len(world.asks()) < 14


def test_a_change_is_confirmed_by_a_second_look_soon(world):
    """DOWN is told at the second look, 5 s after the first; a single odd look is not told."""
    world.watch(port("ge1"), port("ge2", "neighbour"))
    world.host.advance(40)
    assert len(world.told()) == 2
    world.asks()
    world.tables.set_port("ge1", 2, world.host.now)
    while not world.told():
        world.host.advance(1)
    first, second = world.asks()
    assert 5 <= second[0] - first[0] <= 5.1
    assert (first[1], second[1]) == (6, 4)


def test_outage_is_one_event_with_rare_probes_and_an_instant_return(world, caplog):
    """FAIL after two failures, one line in the log, probes of two OIDs ever rarer, UP at the first answer."""
    caplog.set_level(logging.WARNING)
    world.watch(*(port(name, name) for name in PORTS[:3]))
    world.host.advance(60)
    world.told(), world.asks()
    walks = world.agent.walks
    world.tables.quiet = True
    world.host.advance(45)
    assert sorted(world.told()) == [(name, "FAIL") for name in PORTS[:3]]
    world.asks()
    world.host.advance(3600)
    probes = world.asks()
    assert {oids for _, oids in probes} == {2}
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(probes)]
    assert gaps == sorted(gaps[:4]) + gaps[4:]
    assert all(269 < gap < 331 for gap in gaps[4:])
    assert len([r for r in caplog.records if "is silent" in r.message]) == 1
    assert world.told() == []
    world.tables.quiet = False
    world.host.advance(331)
    assert sorted(world.told()) == [(name, "UP") for name in PORTS[:3]]
    back = [ask for ask in world.asks() if ask[1] == 2]
    assert world.agent.walks == walks + 1
    assert len([r for r in caplog.records if "answers again" in r.message]) == 1
    assert back


def test_a_target_that_comes_during_an_outage_fails_at_the_next_probe(world):
    """The device is known to be silent: its new target need not fail twice, and is probed for at once."""
    world.tables.quiet = True
    world.watch(port("ge1"))
    world.host.advance(120)
    world.told(), world.asks()
    world.watch(port("ge2", "late"))
    world.host.advance(0.1)
    assert world.told() == [("late", "FAIL")]
    assert [oids for _, oids in world.asks()] == [2]


def test_one_lost_answer_is_no_event(world):
    """A single failed look tells nothing and is repeated soon."""
    world.watch(port("ge1"))
    world.host.advance(40)
    world.told()
    world.tables.quiet = True
    world.asks()
    while not world.asks():
        world.host.advance(0.5)
    world.tables.quiet = False
    world.host.advance(6)
    assert len(world.asks()) == 1
    world.host.advance(60)
    assert world.told() == []


def test_silence_while_the_port_changes_is_told_right(world):
    """A port that went down during an outage is DOWN at once when the device is back, never before."""
    world.watch(port("ge1"))
    world.host.advance(40)
    world.tables.quiet = True
    world.host.advance(50)
    world.tables.set_port("ge1", 2, world.host.now)
    world.tables.quiet = False
    world.host.advance(400)
    assert world.told() == [("port", "UP"), ("port", "FAIL"), ("port", "DOWN")]


def test_a_missing_port_is_fail_and_found_when_it_appears(world):
    """NOT_FOUND is looked up again 5, 10, 20 s … later; the port is told as soon as it is there."""
    world.watch(port("xe-new"))
    world.host.advance(14)
    assert world.told() == [("port", "FAIL")]
    assert world.agent.walks == 2
    world.tables.add_port("xe-new", world.host.now)
    world.host.advance(2)
    assert world.told() == [("port", "UP")]


def test_a_flapping_interface_table_is_walked_once_a_minute(world):
    """An agent whose table changes at every look costs a walk a minute, tells nothing false, and is no outage."""
    world.watch(port("ge1", interval=5))
    world.host.advance(61)
    world.told()
    walks = world.agent.walks
    for _ in range(120):
        world.tables.table_changed_at = world.host.now
        world.host.advance(5)
    assert 9 <= world.agent.walks - walks <= 11
    assert world.told() == []


@pytest.mark.parametrize("change", ["swap", "renumber", "reboot"])
def test_moved_indexes_are_never_an_event(world, change):
    """Swap, renumbering and reboot between two looks: nothing is told, for nothing has changed."""
    world.tables.set_port("ge2", 2, 0.0)
    world.watch(port("ge1"), port("ge2", "dark"))
    world.host.advance(70)
    assert sorted(world.told()) == [("dark", "DOWN"), ("port", "UP")]
    if change == "swap":
        world.tables.swap("ge1", "ge2")
    elif change == "renumber":
        world.tables.renumber(world.host.now)
    else:
        world.tables.swap("ge1", "ge2")
        world.tables.reboot(world.host.now)
    world.host.advance(120)
    assert world.told() == []
    world.tables.set_port("ge1", 2, world.host.now)
    world.host.advance(40)
    assert world.told() == [("port", "DOWN")]


def test_hold_options_suppress_what_is_not_positive_at_first(world):
    """For 30 s only UP is told; afterwards whatever is so. Known versions are not held again."""
    hold = {"positive_status": ["UP"], "time_seconds": 30}
    world.tables.set_port("ge1", 2, 0.0)
    world.watch(port("ge1", hold_options=hold))
    world.host.advance(29)
    assert world.told() == []
    world.host.advance(10)
    assert world.told() == [("port", "DOWN")]
    world.watch(port("ge1", "again", hold_options=hold), fresh=False)
    world.host.advance(1)
    assert world.told() == [("again", "DOWN")]


def test_flapping_is_flagged_and_calms(world):
    """Six changes within ten minutes raise the flag, ten quiet minutes end it, and both are told."""
    world.watch(port("ge1", interval=5))
    world.host.advance(10)
    world.host.take(world.shard)
    for i in range(8):
        world.tables.set_port("ge1", 2 - i % 2 if i % 2 else 2, world.host.now)
        world.host.advance(20)
    flags = [m.flapping for m in world.host.take(world.shard) if isinstance(m, TargetStatus)]
    assert flags[:5] == [False] * 5
    assert flags[-1]
    world.host.advance(700)
    last = world.host.take(world.shard)[-1]
    assert isinstance(last, TargetStatus)
    assert (last.status, last.flapping) == ("UP", False)


def test_a_new_version_is_told_after_a_look_of_its_own(world):
    """The new version hears the status from a look after its registration; a repeated one hears what is known."""
    world.watch(port("ge1"))
    world.host.advance(40)
    world.told(), world.asks()
    world.watch(port("ge1"))
    world.host.run()
    assert (world.told(), world.asks()) == ([("port", "UP")], [])
    world.watch(port("ge1"), version=2)
    world.host.run()
    assert world.told() == []
    world.host.advance(0.1)
    assert len(world.asks()) == 1
    assert world.told() == [("port", "UP")]


def test_a_lost_poll_is_asked_again(world):
    """A poller that does not answer in time is asked again, or another one; then everything goes on."""
    world.desk.topology = replace(world.desk.topology, snmp=(world.dead_poller,))
    world.watch(port("ge1"))
    world.host.advance(19)
    world.desk.topology = replace(world.desk.topology, snmp=(world.poller,))
    assert len([m for m in world.host.take(world.dead_poller) if isinstance(m, SnmpPoll)]) == 1
    world.host.advance(2)
    assert world.told() == [("port", "UP")]


def test_a_poller_that_cannot_ask_says_nothing_of_the_device(world):
    """While our own socket fails, or the poller is not ready, nothing is told; afterwards everything goes on."""
    world.watch(port("ge1"))
    world.host.advance(40)
    world.told()
    working, real = world.poller, world.agent.get
    unready = world.host.spawn(SnmpPollerActor)
    world.desk.topology = replace(world.desk.topology, snmp=(unready,))
    world.host.advance(60)

    async def broken(_device: DeviceAddress, _oids: Sequence[str]) -> Mapping[str, Any]:
        raise PortError(ErrorClass.TRANSIENT, "Socket", "no descriptors left")

    world.agent.get = broken
    world.desk.topology = replace(world.desk.topology, snmp=(working,))
    world.host.advance(60)
    assert world.told() == []
    world.agent.get = real
    world.tables.set_port("ge1", 2, world.host.now)
    world.host.advance(40)
    assert world.told() == [("port", "DOWN")]


def test_readings_have_the_names_of_the_contract(world):
    """Traffic of a logical port comes as bytes per second, one point per direction and set of tags."""
    properties = {"device_ip": "10.0.0.1", "name": "ge1", "tags": [{"port_id": "a"}, {"port_id": "b"}]}
    world.watch(target("m", "logical_port", properties, "C", TYPES), ref=Ref("ese_logical_port", "x"))
    world.host.advance(200)
    sent = [m for m in world.host.take(world.desk.readings) if isinstance(m, Readings)]
    assert len(sent) >= 2
    speed = 125_000.0 * (1 + 502 % 7)
    for message in sent:
        assert message.device == "10.0.0.1"
        got = {point.tags: point.value for point in message.points}
        assert {point.metric for point in message.points} == {"traffic.bytes"}
        assert sorted(got) == [
            (("direction", way), ("port_id", p), ("resource_id", "x")) for way in ("in", "out") for p in "ab"
        ]
        assert all(value == pytest.approx(speed, rel=0.01) for value in got.values())


def test_a_rebooted_agent_gives_no_spike(world):
    """After a reboot the counters begin anew: one reading is left out, and then the rate is right again."""
    world.watch(target("m", "logical_port", {"device_ip": "10.0.0.1", "name": "ge1"}, "C", TYPES))
    world.host.advance(200)
    world.tables.reboot(world.host.now)
    world.host.advance(400)
    sent = [m for m in world.host.take(world.desk.readings) if isinstance(m, Readings)]
    speed = 125_000.0 * (1 + 502 % 7)
    assert all(p.value == pytest.approx(speed, rel=0.01) for m in sent for p in m.points)
