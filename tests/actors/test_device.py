"""DeviceActor: when it asks, what it tells, what it measures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from actors.core.flapping import FlapRule
from actors.core.model import Ref
from actors.core.monitor_types import parse_types
from actors.core.monitors import target
from actors.device import LINGER_S
from actors.messages import (
    Readings,
    SnmpPoll,
    TargetStatus,
    UnwatchTargets,
)
from tests.actors.device_rig import PORTS, REF, TYPES, OneDevice, port


@pytest.fixture
def world() -> Iterator[OneDevice]:
    """A device that nobody watches yet."""
    made = OneDevice()
    yield made
    made.host.close()


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


def test_every_threshold_is_a_setting():
    """Failures until FAIL, age of a change, probes, flapping: as set, not as built in."""
    rules = {
        "snmp_failures_max": 4,
        "snmp_confirm_s": 20.0,
        "snmp_probe_base_s": 7.0,
        "snmp_probe_cap_s": 9.0,
    }
    world = OneDevice(**rules, snmp_interval_active_s=2.0, snmp_flaps=FlapRule(2, 600.0))
    world.watch(port("ge1", interval=10))
    world.host.advance(20)
    world.told(), world.asks()
    world.tables.set_port("ge1", 2, world.host.now)
    while not world.told():
        world.host.advance(1)
    looks = [at for at, _ in world.asks()]
    first = next(at for at, later in itertools.pairwise(looks) if later - at < 3)
    assert 20 <= looks[-1] - first <= 23
    world.tables.set_port("ge1", 1, world.host.now)
    world.host.advance(60)
    flags = [m.flapping for m in world.host.take(world.shard) if isinstance(m, TargetStatus)]
    assert flags == [True]
    world.tables.quiet = True
    world.asks()
    world.host.advance(120)
    assert world.told() == [("port", "FAIL")]
    asked = world.asks()
    assert [oids for _, oids in asked if oids > 2] == [4] * 4
    gaps = [b - a for (a, _), (b, _) in itertools.pairwise(asked[-7:])]
    assert all(8 < gap < 10 for gap in gaps)
    world.host.close()


def test_how_often_until_it_is_as_wanted_is_its_own():
    """time_between_retries of a monitor counts, also where it is longer than the setting."""
    world = OneDevice(snmp_interval_active_s=2.0)
    world.tables.set_port("ge1", 2, 0.0)
    world.watch(port("ge1", time_between_retries=15))
    world.host.advance(50)
    assert [round(at) for at, _ in world.asks()][2:] == [15, 30, 45]
    world.host.close()


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


def test_a_new_version_is_waited_for_like_the_first(world):
    """A port that was up and is down when a new version of its resource registers is looked at every 5 s again."""
    world.watch(port("ge1"))
    world.host.advance(40)
    world.tables.set_port("ge1", 2, world.host.now)
    world.host.advance(60)
    world.told()
    world.watch(port("ge1"), version=2)
    world.host.advance(10)
    assert world.told() == [("port", "DOWN")]
    world.tables.set_port("ge1", 1, world.host.now)
    world.host.advance(10.1)
    assert world.told() == [("port", "UP")]


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


def test_mibs_are_measured(world):
    """A port whose type measures nothing is measured by the OIDs that it names itself."""
    world.watch(port("ge1", mibs=[["ifHCInOctets", "1.3.6.1.2.1.31.1.1.1.6"]]))
    world.host.advance(200)
    sent = [m for m in world.host.take(world.desk.readings) if isinstance(m, Readings)]
    assert len(sent) >= 2
    assert {p.tags for m in sent for p in m.points} == {(("direction", "in"), ("resource_id", "1"))}


def test_an_interface_that_only_a_reading_names_is_measured():
    """A type whose status is the device's and whose reading is an interface's gets the index of that too."""
    reading = {"oid": "1.3.6.1.2.1.31.1.1.1.6.{ifIndex:uplink}", "metric": "traffic.bytes"}
    box = {"host": "ip", "oid": "1.3.6.1.2.1.1.3.0", "other": "UP", "readings": {"in": reading}}
    types = {**TYPES, **parse_types({"box": box})}
    world = OneDevice(monitor_types=types)
    world.watch(target("box", "box", {"ip": "10.0.0.1", "uplink": "ge3"}, "C", types))
    world.host.advance(20)
    readings = world.desk.readings
    assert readings is not None
    points = [p for m in world.host.take(readings) if isinstance(m, Readings) for p in m.points]
    assert [point.metric for point in points] == ["traffic.bytes"]
    world.host.close()


def test_a_rebooted_agent_gives_no_spike(world):
    """After a reboot the counters begin anew: one reading is left out, and then the rate is right again."""
    world.watch(target("m", "logical_port", {"device_ip": "10.0.0.1", "name": "ge1"}, "C", TYPES))
    world.host.advance(200)
    world.tables.reboot(world.host.now)
    world.host.advance(400)
    sent = [m for m in world.host.take(world.desk.readings) if isinstance(m, Readings)]
    speed = 125_000.0 * (1 + 502 % 7)
    assert all(p.value == pytest.approx(speed, rel=0.01) for m in sent for p in m.points)
