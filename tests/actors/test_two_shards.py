"""Two shards of one controller: a resource is driven in one of them, its device may be watched in the other.

What they tell each other arrives although messages are lost, and whichever of them dies.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest

from actors.core import keys
from actors.core.model import Ref
from actors.core.options import Options
from actors.desk import place
from actors.device import DeviceActor
from actors.devices import ORPHAN_S
from actors.messages import Got, Lasting, TargetStatus
from actors.ports import Delete, WriteSet
from actors.runtime.inline import InlineAddress
from actors.shard import Shard
from config.monitor_types import load_monitor_types
from tests.actors.rig import TYPES
from tests.actors.trial import CHAIN, LOGICAL_PORT, PHYSICAL_PORT, SWITCH, Trial

OPTIONS = Options(tuple(TYPES), monitor_types=load_monitor_types(), shards=2)
WATCHED = (SWITCH, PHYSICAL_PORT, LOGICAL_PORT)


@pytest.fixture
def trial() -> Iterator[Trial]:
    """A controller of two shards; nothing is declared."""
    with Trial(OPTIONS) as made:
        yield made


def shards(trial: Trial) -> list[tuple[InlineAddress, Shard]]:
    """The living shards in their order."""
    actor = trial.host.actor(trial.member("shard"), Shard)
    assert actor._desk is not None
    return [(one, trial.host.actor(one, Shard)) for one in actor._desk.topology.shards]


def devices(trial: Trial) -> dict[str, DeviceActor]:
    """All living DeviceActors, wherever they live."""
    found: dict[str, DeviceActor] = {}
    for address, _ in shards(trial):
        for child in trial.host.children(address):
            if child.name == DeviceActor.__name__:
                actor = trial.host.actor(child, DeviceActor)
                found[actor.device] = actor
    return found


def targets(trial: Trial) -> set[tuple[Ref, str]]:
    """Everything that is watched."""
    return {key for actor in devices(trial).values() for key in actor._watched}


def shown(trial: Trial) -> dict[str, Any]:
    """`/monitoring` of what is watched, by type."""
    return {ref.type: trial.at(keys.MONITORING, ref) for ref in WATCHED}


def everything(status: str) -> dict[str, Any]:
    """`/monitoring` with that status of the physical port."""
    return {
        "ese_device": {"switch": "UP", "version": 1},
        "ese_physical_port": {"port": status, "version": 1},
        "ese_logical_port": {"logical_port": "UP", "version": 1},
    }


def set_port(trial: Trial, status: int) -> None:
    """Pull or plug the cable of the physical port."""
    name = dict(
        trial.get(next(k for k in trial.keys(keys.TARGETS) if PHYSICAL_PORT.id in k))["targets"][0]["keys"]
    )
    table = next(
        one for one in trial.tables.values() if any(i.name == name["name"] for i in one.interfaces.values())
    )
    table.set_port(name["name"], status, trial.host.now)


def away(trial: Trial) -> tuple[int, int]:
    """(the shard of the device, the other one), where resources of both kinds exist."""
    (device,) = {name for name, actor in devices(trial).items() if actor._watched}
    here = place(device, 2)
    homes = {place(str(ref), 2) for ref in WATCHED}
    assert homes == {0, 1}, "the example has resources in both shards"
    return here, 1 - here


def test_lost_repeated_and_late_messages_between_shards(trial: Trial) -> None:
    """Two thirds of all Lasting and Got are lost and some come twice or late: built, watched, told, forgotten."""
    counts = {Lasting: 0, Got: 0}

    def bad(message: object) -> Iterable[float]:
        cls = type(message)
        if cls not in counts:
            return (0.0,)
        counts[cls] += 1
        dice = crc32(f"{cls.__name__}{counts[cls]}".encode()) % 9
        return () if dice < 6 else (0.0, 0.0) if dice == 6 else (2.0,) if dice == 7 else (0.0,)

    trial.network.meddle = bad
    trial.declare_example()
    trial.settle(limit_s=300.0)
    trial.host.advance(60.0)
    assert shown(trial) == everything("UP")
    set_port(trial, 2)
    trial.host.advance(120.0)
    assert shown(trial) == everything("DOWN")
    set_port(trial, 1)
    for ref in reversed(CHAIN):
        trial.change(ref, 2, marked=True)
    trial.host.advance(300.0)
    assert counts[Lasting] > 10
    assert targets(trial) == set()
    assert [len(actor._owed) for _, actor in shards(trial)] == [0, 0]


def test_nothing_is_said_at_rest(trial: Trial) -> None:
    """Once everything has arrived, no message passes between the shards while nothing changes."""
    trial.declare_example()
    trial.settle()
    trial.host.advance(60.0)
    said: list[object] = []

    def listen(message: object) -> Iterable[float]:
        said.extend([message] if isinstance(message, Lasting | Got) else [])
        return (0.0,)

    trial.network.meddle = listen
    trial.host.advance(300.0)
    assert said == []


def test_a_device_actor_that_ends_is_begun_again_with_what_both_shards_want(trial: Trial) -> None:
    """It dies with a bug: a new one watches the same, and the next change is told to either shard."""
    trial.declare_example()
    trial.settle()
    trial.host.advance(40.0)
    before = targets(trial)
    here, _ = away(trial)
    (child,) = [
        c
        for c in trial.host.children(shards(trial)[here][0])
        if c.name == DeviceActor.__name__ and trial.host.actor(c, DeviceActor)._watched
    ]
    trial.host.crash(child)
    trial.host.advance(1.0)
    assert targets(trial) == before
    set_port(trial, 2)
    trial.host.advance(60.0)
    assert shown(trial) == everything("DOWN")


@pytest.mark.parametrize("which", ["of the device", "of the resources"])
def test_either_shard_dies(trial: Trial, which: str) -> None:
    """The shard of the device or the other one is killed while a cable is pulled: the truth is shown in the end."""
    trial.declare_example()
    trial.settle()
    trial.host.advance(40.0)
    here, other = away(trial)
    set_port(trial, 2)
    trial.host.crash(shards(trial)[here if which == "of the device" else other][0])
    trial.host.advance(90.0)
    assert shown(trial) == everything("DOWN")
    assert {ref for ref, _ in targets(trial)} == set(WATCHED)


def test_what_only_a_dead_shard_wanted_is_not_watched_for_ever(trial: Trial) -> None:
    """A shard dies, and its resource goes before there is a new one: a minute later nobody polls for it."""
    trial.declare_example()
    trial.settle()
    trial.host.advance(40.0)
    here, other = away(trial)
    gone = next(ref for ref in WATCHED if place(str(ref), 2) == other)
    trial.host.crash(shards(trial)[other][0])
    for key in trial.leftovers(gone):
        trial.client.commit([WriteSet((Delete(key),))])
    trial.host.advance(20.0)
    assert gone in {ref for ref, _ in targets(trial)}
    trial.host.advance(ORPHAN_S + 20.0)
    assert gone not in {ref for ref, _ in targets(trial)}
    assert len(shards(trial)[here][1]._owed) == 0


def test_a_shard_that_was_replaced_is_not_heard(trial: Trial) -> None:
    """A status from a process that is no member any more (it stood still meanwhile) is not believed."""
    trial.declare_example()
    trial.settle()
    trial.host.advance(40.0)
    address, shard = shards(trial)[place(str(PHYSICAL_PORT), 2)]
    device = next(name for name, actor in devices(trial).items() if actor._watched)
    stale = TargetStatus(PHYSICAL_PORT, 1, "port", "DOWN", device=device)
    trial.host.tell(address, Lasting(1, stale), sender=trial.host.external("former shard"))
    trial.host.advance(10.0)
    assert shown(trial) == everything("UP")
    for wrong in (replace(stale, version=7), replace(stale, device="elsewhere|C")):
        shard._board.status(wrong)
    trial.host.advance(10.0)
    assert shown(trial) == everything("UP")


def test_silent_devices_are_counted(trial: Trial) -> None:
    """A device that falls silent is counted in its shard, until it answers again or nobody wants it any more."""
    trial.declare_example()
    trial.settle()
    for table in trial.tables.values():
        table.quiet = True
    trial.host.advance(90.0)
    assert sum(len(shard._devices.silent) for _, shard in shards(trial)) == 1
    for table in trial.tables.values():
        table.quiet = False
    trial.host.advance(400.0)
    assert sum(len(shard._devices.silent) for _, shard in shards(trial)) == 0


def test_a_template_that_watches_is_logged_once(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    """Of all shards one warns, naming the template, also when all is listed anew; the template is used (10.22)."""
    body = {"id": "network", "handler": "heat_worker", "parameter_mappings": {}, "template_file": "a: 1"}
    key = keys.TEMPLATES + "network"
    trial.declare([(key, json.dumps({"body": {**body, "watch": ["port"]}, "version": 1}).encode())])
    trial.host.advance(1.0)
    for _, shard in shards(trial):
        shard._subscribe()
    trial.host.advance(1.0)
    told = [record.getMessage() for record in caplog.records if "watch" in record.getMessage()]
    assert told == [f"{key}: member 'watch' is ignored, only declarations are followed"]
    assert all(one._desk is not None and one._desk.world.template("network") for _, one in shards(trial))
