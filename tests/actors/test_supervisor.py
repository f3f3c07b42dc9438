"""Who counts as dead: a process that stops answering, and, much later, one that has never answered."""

from __future__ import annotations

import pytest

from actors.messages import Address, Boot, HttpAt, Ping
from actors.runtime.actor import BaseActor
from actors.supervisor import STARTING, Supervisor
from tests.actors.rig import Rig


def deaf(actor: BaseActor) -> None:
    """From now on it takes no ping."""
    receive = actor.receive

    def ignoring(message: object, sender: Address) -> None:
        if not isinstance(message, Ping):
            receive(message, sender)

    actor.receive = ignoring  # type: ignore[method-assign]


@pytest.mark.parametrize(("first_answer", "factor"), [(True, 1), (False, STARTING)], ids=["hangs", "starts"])
def test_who_is_silent_is_replaced(first_answer: bool, factor: int) -> None:
    """After the heartbeats that may be missed; one that was only just begun has several times as long."""
    rig = Rig()
    options = rig.options
    patience_s = factor * options.heartbeats_missed_max * options.heartbeat_s
    supervisor = rig.host.actor(rig.root, Supervisor)
    if first_answer:
        rig.host.advance(options.heartbeat_s + 1)
    else:
        rig.host.run(0.0)
    (member,) = (each for each in supervisor._members if each.role == "bridge")
    assert bool(member.pid) is first_answer
    before = member.address
    deaf(rig.host.actor(before, member.cls))
    rig.host.advance(patience_s - options.heartbeat_s)
    assert member.address == before
    rig.host.advance(3 * options.heartbeat_s)
    assert member.address != before
    assert member.missed < options.heartbeats_missed_max  # the new one answers


def test_telemetry_that_follows_another_opens_the_same_port() -> None:
    """Any port will do at the first start; people know it from then on."""
    rig = Rig()
    rig.host.run(0.0)
    supervisor = rig.host.actor(rig.root, Supervisor)
    member = supervisor._members[0]
    rig.host.tell(rig.root, HttpAt("127.0.0.1:40123"))
    rig.host.advance(0.1)
    told: list[object] = []
    supervisor.tell = lambda to, message: told.append(message)  # type: ignore[method-assign]
    supervisor._replace(member, "died")
    boot = told[0]
    assert isinstance(boot, Boot)
    assert boot.options.http_port_before == 40123
