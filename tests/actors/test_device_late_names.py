"""Ports that are declared while their device is being asked for others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from actors.ports import DeviceAddress
from tests.actors.device_rig import OneDevice, port


@pytest.fixture
def world() -> Iterator[OneDevice]:
    """A device that nobody watches yet."""
    made = OneDevice()
    yield made
    made.host.close()


@pytest.mark.parametrize("before", [(), ("ge1",)], ids=["first walk", "known device"])
def test_a_port_that_comes_during_a_walk_is_looked_up_at_once(
    world: OneDevice, monkeypatch: pytest.MonkeyPatch, before: tuple[str, ...]
) -> None:
    """A name that the walk under way did not look for calls for one of its own, not for a wait of seconds."""
    world.watch(*(port(name, name) for name in before))
    world.host.advance(0.1)
    world.told()
    walk, late = world.agent.walk, ["ge8", "ge9"]

    async def walk_with_company(device: DeviceAddress, root: str) -> Mapping[str, int | bytes | str | None]:
        if late:
            name = late.pop()
            world.watch(port(name, name))
        return await walk(device, root)

    monkeypatch.setattr(world.agent, "walk", walk_with_company)
    world.watch(port("ge2", "ge2"))
    world.host.advance(0.5)
    assert dict(world.told()) == {"ge2": "UP", "ge8": "UP", "ge9": "UP"}


def test_a_port_that_comes_late_is_found_while_its_job_waits(world: OneDevice) -> None:
    """The header alone is asked every 5 s, and a walk follows when the interface table has changed: a switch that
    configures the port after a minute is in time for a job of two."""
    world.watch(port("xe-new", timeout=120))
    world.host.advance(80)
    assert world.told() == [("port", "FAIL")]
    assert world.agent.walks == 5, "at 0, 5, 15, 35 and 75 s"
    world.tables.add_port("xe-other", world.host.now)
    world.host.advance(6)
    assert (world.told(), world.agent.walks) == ([], 6)
    world.tables.add_port("xe-new", world.host.now)
    world.host.advance(6)
    assert (world.told(), world.agent.walks) == ([("port", "UP")], 7)
    assert {oids for at, oids in world.asks() if 6 < at < 75} == {2}


def test_a_port_that_nobody_waits_for_any_more_is_looked_up_once_a_minute(world: OneDevice) -> None:
    """However often the interface table changes."""
    world.watch(port("xe-new", timeout=20))
    world.host.advance(180)
    walks = world.agent.walks
    for _ in range(60):
        world.tables.table_changed_at = world.host.now
        world.host.advance(5)
    assert 4 <= world.agent.walks - walks <= 6
