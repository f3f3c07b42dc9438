"""Rates of a device that lets some of our questions go unanswered: what is told is what passes through its ports."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from actors.core.errors import ErrorClass, PortError
from actors.core.model import Ref
from actors.core.monitors import target
from actors.messages import Readings
from actors.ports import DeviceAddress
from tests.actors.device_rig import PORTS, TYPES, Agent, OneDevice

#: What three tries take.
TRIES_S = 4.75


class Slow(Agent):
    """Does not answer `losing` questions for one OID; time passes meanwhile for the device, whose ports go on."""

    oid = ""
    losing = 0

    async def get(self, device: DeviceAddress, oids: Sequence[str]) -> Mapping[str, Any]:
        """See `ports.Agent`."""
        if self.oid not in oids or not self.losing:
            return await super().get(device, oids)
        self.losing -= 1
        for tables in self.devices.values():
            tables.booted_at -= TRIES_S
            tables.table_changed_at -= TRIES_S
            for interface in tables.interfaces.values():
                interface.changed_at -= TRIES_S
        await asyncio.sleep(0)
        raise PortError(ErrorClass.TRANSIENT, "Timeout", "no answer")


def test_a_rate_is_over_the_time_between_its_own_two_readings() -> None:
    """A PDU in the middle of a poll is lost, and its rows come seconds after the first ones: all rates are right."""
    world = OneDevice()
    agent = world.agent
    agent.__class__ = Slow
    assert isinstance(agent, Slow)
    indexes = {interface.name: index for index, interface in world.tables.interfaces.items()}
    for name in PORTS[:20]:
        properties = {"device_ip": "10.0.0.1", "name": name}
        world.watch(target("m", "logical_port", properties, "C", TYPES), ref=Ref("ese_logical_port", name))
    world.host.advance(200)
    readings = world.desk.readings
    assert readings is not None
    world.host.take(readings)
    agent.oid, agent.losing = f"1.3.6.1.2.1.31.1.1.1.6.{indexes[PORTS[10]]}", 2
    world.host.advance(130)
    assert agent.losing == 0
    messages = [m for m in world.host.take(readings) if isinstance(m, Readings)]
    assert [len(message.points) for message in messages] == [40, 40]
    for point in (point for message in messages for point in message.points):
        speed = 125_000.0 * (1 + indexes[dict(point.tags)["resource_id"]] % 7)
        assert point.value == pytest.approx(speed, rel=0.02)
    world.host.close()
