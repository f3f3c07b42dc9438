"""A device that answers, but not for all that it is asked: the others' statuses are told all the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from actors.core.errors import ErrorClass, Failure, PortError
from actors.ports import DeviceAddress
from tests.actors.device_rig import PORTS, Agent, OneDevice, port

SILENCE = Failure(ErrorClass.TRANSIENT, "Timeout", "no answer")
REFUSAL = Failure(ErrorClass.TERMINAL, "AgentError", "error status 5 at varbind 0")
TOO_BIG = Failure(ErrorClass.TERMINAL, "TooBig", "the answer would be too big")


class Choosy(Agent):
    """Fails as a whole when the status of a bad port is among what it is asked, or when `lost` says so."""

    bad: Collection[str] = ()
    failure = SILENCE
    lost: Collection[int] = ()
    failed: list[float]

    async def get(self, device: DeviceAddress, oids: Sequence[str]) -> Mapping[str, Any]:
        """See `ports.Agent`."""
        if set(oids) & set(self.bad) or self.gets in self.lost:
            self.failed.append(self._clock.now())
            self.gets += 1
            await asyncio.sleep(0)
            raise PortError(self.failure.error_class, self.failure.kind, self.failure.text)
        return await super().get(device, oids)


def choosy(bad: Sequence[str], failure: Failure) -> tuple[OneDevice, Choosy]:
    """A device that cannot tell of these ports."""
    world = OneDevice()
    agent = world.agent
    agent.__class__ = Choosy
    assert isinstance(agent, Choosy)
    indexes = {interface.name: index for index, interface in world.tables.interfaces.items()}
    agent.bad = {f"1.3.6.1.2.1.2.2.1.8.{indexes[name]}" for name in bad}
    agent.failure, agent.failed = failure, []
    return world, agent


@pytest.mark.parametrize("failure", [SILENCE, REFUSAL, TOO_BIG], ids=lambda failure: failure.kind)
@pytest.mark.parametrize("bad", [PORTS[:1], PORTS[30:31], PORTS[5:25:2]], ids=["first", "later", "ten"])
def test_rows_that_cannot_be_read_hide_no_other(bad: Sequence[str], failure: Failure) -> None:
    """Of the ports of one device those that the agent cannot tell are FAIL, and all others are UP, within minutes."""
    world, _ = choosy(bad, failure)
    world.watch(*(port(name, name) for name in PORTS))
    last: dict[str, str] = {}
    world.host.advance(110)
    last.update(world.told())
    assert last == {name: "FAIL" if name in bad else "UP" for name in PORTS}
    world.host.advance(600)
    assert world.told() == []
    world.host.close()


def test_a_lost_pdu_costs_only_its_own_rows_a_look() -> None:
    """Every seventeenth PDU of a device with hundreds of ports is lost: no port is missed twice, and none is FAIL."""
    world, agent = choosy((), SILENCE)
    more = [f"xe{i}" for i in range(250)]
    for name in more:
        world.tables.add_port(name, world.host.now)
    agent.lost = range(0, 100_000, 17)
    world.watch(*(port(name, name) for name in (*PORTS, *more)))
    world.host.advance(600)
    assert sorted(world.told()) == sorted((name, "UP") for name in (*PORTS, *more))
    world.host.close()


def test_silent_rows_cost_a_poll_three_times_its_tries() -> None:
    """However many rows are silent, a poll ends when three of its PDUs were, and the next one asks for others."""
    world, agent = choosy(PORTS[:25], SILENCE)
    world.watch(*(port(name, name) for name in PORTS))
    world.host.advance(700)
    agent.failed.clear()
    world.host.advance(300)
    assert set(Counter(agent.failed).values()) == {3}
    world.host.close()
