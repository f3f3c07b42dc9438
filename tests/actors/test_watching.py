"""A built gateway being watched: restarts, ports that go down, flaps, silence, lost answers, new indexes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.core import keys
from actors.core.model import Ref
from actors.core.ownership import CONTROLLERS, SHARDS
from actors.device import DeviceActor
from actors.messages import Mirror, TargetStatus
from actors.ports import Delete, WriteSet
from actors.resource import ResourceActor
from actors.transactions import paths
from tests.actors.rig import TYPES
from tests.actors.trial import (
    LOGICAL_PORT,
    LOGICAL_PORT_2,
    PHYSICAL_PORT,
    PHYSICAL_PORT_2,
    ROUTER,
    SWITCH,
    Trial,
)

QFX = "QFX-NW02"


@pytest.fixture
def gateway() -> Iterator[Trial]:
    """A gateway of one's own, built and seen, polled at the slow interval."""
    with Trial() as trial:
        trial.apply_example()
        trial.settle()
        trial.host.advance(31.0)
        yield trial


def test_a_second_start_writes_nothing(gateway: Trial) -> None:
    """A restarted controller takes ownership and is content; it goes on polling."""
    revision, gets, asked = gateway.etcd.revision, gateway.agent.gets, dict(gateway.stacks.requests)
    gateway.kill("all")
    gateway.host.advance(1.0)
    gateway.settle()
    gateway.host.advance(65.0)
    written = {c.key for at, changes in gateway.etcd._history if at > revision for c in changes}
    assert all(key.startswith((CONTROLLERS, SHARDS)) for key in written)
    assert gateway.agent.gets > gets
    assert gateway.stacks.requests == asked, "Heat is not asked for what is settled"


def test_a_port_that_goes_down_is_published_once_confirmed(gateway: Trial) -> None:
    """DOWN after the second look that shows it, one write for each resource on that port; and back."""
    before = len(gateway.written(keys.MONITORING, LOGICAL_PORT))
    gateway.tables[QFX].set_port("xe-0/0/3.1025", 2, gateway.host.now)
    gateway.host.advance(29.0)
    gateway.host.advance(10.0)
    assert gateway.at(keys.MONITORING, LOGICAL_PORT) == {"logical_port": "DOWN", "version": 1}
    gateway.tables[QFX].set_port("xe-0/0/3.1025", 1, gateway.host.now)
    gateway.host.advance(60.0)
    assert gateway.at(keys.MONITORING, LOGICAL_PORT) == {"logical_port": "UP", "version": 1}
    assert len(gateway.written(keys.MONITORING, LOGICAL_PORT)) == before + 2
    assert len(gateway.written(keys.MONITORING, LOGICAL_PORT_2)) == 1, "its neighbour is not concerned"


def test_a_flap_between_two_looks_is_not_published(gateway: Trial) -> None:
    """Down at one look only: nothing is written."""
    revision = gateway.etcd.revision
    gateway.tables[QFX].set_port("xe-0/0/3.1025", 2, gateway.host.now)
    while not _doubts(gateway):
        gateway.host.advance(0.5)
    gateway.tables[QFX].set_port("xe-0/0/3.1025", 1, gateway.host.now)
    gateway.host.advance(90.0)
    assert gateway.etcd.revision == revision


def _doubts(trial: Trial) -> bool:
    """Whether the switch's actor has a candidate that it does not believe yet."""
    records = [
        watched.record
        for actor in trial.inside(DeviceActor)
        if actor.device.startswith("10.161.0.34")
        for (ref, _), watched in actor._watched.items()
        if ref == LOGICAL_PORT
    ]
    return any(record.candidate == "DOWN" for record in records)


def test_a_job_believes_only_the_device_that_it_asks(gateway: Trial) -> None:
    """Late news of an address where the port was watched before, at the same version, makes nothing ACTIVE."""
    gateway.tables[QFX].set_port("xe-0/0/3.1025", 2, gateway.host.now)
    gateway.change(LOGICAL_PORT, 2)
    gateway.host.advance(10.0)
    assert "is DOWN, wanted UP" in gateway.row(LOGICAL_PORT).reason
    news = TargetStatus(LOGICAL_PORT, 2, "logical_port", "UP", device="10.9.9.9|ESE_NODE_COMMUNITY")
    (job,) = (actor for actor in gateway.inside(ResourceActor) if actor.ref == LOGICAL_PORT)
    job.receive(news, gateway.member("shard"))
    gateway.host.advance(1.0)
    assert "is DOWN, wanted UP" in gateway.row(LOGICAL_PORT).reason


def test_a_silent_device_fails_after_two_looks_and_comes_back(gateway: Trial) -> None:
    """FAIL for everything on it, never DOWN; others are not concerned; UP again when it answers."""
    on_switch = [SWITCH, PHYSICAL_PORT, PHYSICAL_PORT_2, LOGICAL_PORT, LOGICAL_PORT_2]
    gateway.tables[QFX].quiet = True
    gateway.host.advance(45.0)
    for ref in on_switch:
        values = [value for _, value in gateway.written(keys.MONITORING, ref)]
        (status,) = [key for key in values[0] if key != "version"]
        assert [value[status] for value in values] == ["UP", "FAIL"], ref
    gateway.tables[QFX].quiet = False
    gateway.host.advance(301.0)
    for ref in on_switch:
        values = [value for _, value in gateway.written(keys.MONITORING, ref)]
        assert [next(iter(value.values())) for value in values] == ["UP", "FAIL", "UP"], ref
    assert len(gateway.written(keys.MONITORING, ROUTER)) == 1


def test_one_lost_answer_is_no_failure(gateway: Trial) -> None:
    """A device that misses a single look stays UP: FAIL needs two in a row."""
    revision = gateway.etcd.revision
    gateway.agent.drop_next(3)
    gateway.host.advance(90.0)
    assert gateway.etcd.revision == revision


def test_what_a_listing_does_not_name_is_not_watched_any_more(gateway: Trial) -> None:
    """The message that a resource's targets are gone is lost: the listing that follows ends its watch, and no other."""

    def watched() -> set[Ref]:
        return {ref for actor in gateway.inside(DeviceActor) for ref, _ in actor._watched}

    before = watched()
    gateway.network.meddle = lambda message: () if isinstance(message, Mirror) and message.changes else (0.0,)
    gateway.client.commit([WriteSet((Delete(paths(TYPES, LOGICAL_PORT).targets),))])
    gateway.host.advance(1.0)
    gateway.network.meddle = lambda message: (0.0,)
    gateway.host.advance(20.0)
    assert watched() == before - {LOGICAL_PORT}


def test_names_are_looked_up_once(gateway: Trial) -> None:
    """Appendix C 22: once the ifIndexes are known no device is walked again."""
    walks, gets = gateway.agent.walks, gateway.agent.gets
    gateway.host.advance(300.0)
    assert gateway.agent.walks == walks
    assert gateway.agent.gets - gets <= 3 * 11, "one request per device and interval, whatever the ports"


def test_renumbered_ports_are_found_again(gateway: Trial) -> None:
    """A device that gives its ports new indexes (and says so): nothing wrong is ever published."""
    revision = gateway.etcd.revision
    gateway.tables[QFX].renumber(gateway.host.now)
    gateway.host.advance(90.0)
    assert gateway.etcd.revision == revision
