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
