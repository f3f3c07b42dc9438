"""DeviceActor in trouble: outages, lost polls, moved indexes, missing ports."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from actors.core.errors import ErrorClass, PortError
from actors.core.polling import PollRequest
from actors.messages import SnmpAnswer, SnmpPoll
from actors.ports import DeviceAddress
from actors.snmp_poll import poll
from actors.snmp_pool import SnmpPollerActor
from tests.actors.device_rig import PORTS, OneDevice, port


@pytest.fixture
def world() -> Iterator[OneDevice]:
    """A device that nobody watches yet."""
    made = OneDevice()
    yield made
    made.host.close()


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


def test_a_silent_device_that_a_job_waits_for_is_found_in_time(world):
    """A box that boots while its job waits is asked every 5 s: it counts as there when it is, not after the job."""
    world.tables.quiet = True
    world.watch(port("ge1", timeout=60, time_between_retries=5))
    world.host.advance(52)
    assert world.told() == [("port", "FAIL")]
    world.tables.quiet = False
    world.host.advance(5.1)
    assert world.told() == [("port", "UP")]


def test_a_silent_device_is_probed_rarely_once_nobody_waits_for_it(world):
    """The time of a job that waited in vain is over: probes are a minute apart, then two …."""
    world.tables.quiet = True
    world.watch(port("ge1", timeout=60, time_between_retries=5))
    world.host.advance(400)
    times = [at for at, _ in world.asks()]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert all(gap < 5.2 for gap in gaps[:12])
    assert [round(gap / 60) for gap in gaps[-2:]] == [1, 2]


def test_after_a_restart_a_silent_device_is_probed_rarely(world):
    """What etcd showed before is waited for by no job: dead devices cost no more than before the restart."""
    world.tables.quiet = True
    world.watch(port("ge1"), fresh=False)
    world.host.advance(100)
    assert len(world.asks()) <= 6


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


def test_a_lost_poll_is_asked_again(world):
    """A poller that does not answer in time is asked again, or another one; then everything goes on."""
    world.desk.topology = replace(world.desk.topology, snmp=(world.dead_poller,))
    world.watch(port("ge1"))
    world.host.advance(19)
    world.desk.topology = replace(world.desk.topology, snmp=(world.poller,))
    assert len([m for m in world.host.take(world.dead_poller) if isinstance(m, SnmpPoll)]) == 1
    world.host.advance(2)
    assert world.told() == [("port", "UP")]


def test_an_answer_that_is_late_counts(world):
    """A poller that is slower than our patience is asked the same again under the same number, and whatever answer
    comes first is taken: under overload things go slowly, not nowhere."""
    world.desk.topology = replace(world.desk.topology, snmp=(world.dead_poller,))
    world.watch(port("ge1"))
    world.host.advance(45)
    polls = [m for m in world.host.take(world.dead_poller) if isinstance(m, SnmpPoll)]
    assert len(polls) == 3
    assert polls[1:] == polls[:-1]
    answer = asyncio.run(poll(world.agent, polls[0].request))
    world.host.tell(world.device, SnmpAnswer(polls[0].rid, answer))
    world.host.tell(world.device, SnmpAnswer(polls[0].rid, answer))
    world.host.run()
    assert world.told() == [("port", "UP")]


def test_a_poll_that_is_under_way_is_not_begun_again(world):
    """The same question twice is one poll with one answer; once that is given, asking again is a new poll."""
    asker, request = world.host.external("asker"), PollRequest("10.0.0.1", community_name="C")
    for _ in range(2):
        world.host.tell(world.poller, SnmpPoll("1", request), sender=asker)
    world.host.advance(1)
    assert len(world.host.take(asker)) == 1
    assert len(world.asks()) == 1
    world.host.tell(world.poller, SnmpPoll("1", request), sender=asker)
    world.host.advance(1)
    assert len(world.host.take(asker)) == 1


def test_a_poller_that_cannot_ask_says_nothing_of_the_device(world, caplog):
    """While our own socket fails, or the poller is not ready, nothing is told, but one line is logged; afterwards
    everything goes on."""
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
    assert len([r for r in caplog.records if "not asked" in r.message]) == 1
    world.agent.get = real
    world.tables.set_port("ge1", 2, world.host.now)
    world.host.advance(40)
    assert world.told() == [("port", "DOWN")]
