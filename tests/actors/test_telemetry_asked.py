"""Telemetry asked while others are away: nothing is made for those who have left, nothing old is told as new."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast

import pytest

from actors.cli import reach
from actors.core.keys import TypeTable
from actors.core.knowledge import Knowledge
from actors.core.options import Options
from actors.http.api import View
from actors.http.server import Request
from actors.messages import Boot, Snapshot, StatusQuery, StatusReply, Subscribe, Topology, Wiring
from actors.ports import Agent, Stacks, Store
from actors.runtime.inline import InlineAddress, InlineHost
from actors.telemetry import Telemetry
from config import sections


def none() -> Store | Stacks | Agent:
    """No port: Telemetry makes none."""
    raise AssertionError("Telemetry has no port of that kind")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Where those who ask wait."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


def telemetry_alone() -> tuple[InlineHost, InlineAddress, InlineAddress, InlineAddress]:
    """A host, Telemetry in it, and where its supervisor and its bridge would be."""
    host = InlineHost(pickling=False)
    root, bridge = host.external("supervisor"), host.external("bridge")
    telemetry = host.spawn(Telemetry)
    wiring = Wiring(none, none, none)  # type: ignore[arg-type]  # none of them is called
    host.tell(telemetry, Boot(Options(()), wiring, "me"), sender=root)
    host.tell(telemetry, Topology(1, bridge, (), (), (), telemetry), sender=root)
    host.run()
    return host, telemetry, root, bridge


def test_who_has_left_is_not_answered_when_etcd_is_back(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dashboard that asked all night while there was no mirror costs one answer in the morning, not thousands."""
    made: list[str] = []
    real = View.answer

    def counted(view: View, name: str, query: dict[str, str]) -> tuple[int, object]:
        made.append(name)
        return real(view, name, query)

    monkeypatch.setattr(View, "answer", counted)
    host, telemetry, root, bridge = telemetry_alone()
    actor, asked = host.actor(telemetry, Telemetry), []
    for _ in range(1000):
        asked.append(Request("resources", {}, loop, loop.create_future()))
        actor.post(asked[-1])
        host.run()
        if len(asked) < 1000:
            asked[-1].future.cancel()  # as the server does after its deadline
    (subscribed,) = [m for m in host.take(bridge) if isinstance(m, Subscribe)]
    host.tell(telemetry, Snapshot(subscribed.epoch, 1, True, 7, ()), sender=bridge)
    host.run()
    (query,) = [m for m in host.take(root) if isinstance(m, StatusQuery)]
    host.tell(telemetry, StatusReply(query.rid, True, "up", {}, (), ()), sender=root)
    host.run()
    loop.run_until_complete(asyncio.sleep(0))
    assert asked[-1].future.result()[0] == 200
    assert made == ["resources"]


def test_what_was_told_before_is_not_told_of_a_controller_that_is_silent(
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Ready and up a minute ago: now nobody answers, and that is what the API says, as /readyz does."""
    host, telemetry, root, _ = telemetry_alone()
    actor = host.actor(telemetry, Telemetry)

    def status() -> dict[str, object]:
        asked = Request("status", {}, loop, loop.create_future())
        actor.post(asked)
        host.advance(0.1)
        for query in (m for m in host.take(root) if isinstance(m, StatusQuery)):
            if host.now < 60:
                reply = StatusReply(query.rid, True, "up", {"settled": 1}, (), ())
                host.tell(telemetry, reply, sender=root)
        host.advance(4.0)
        loop.run_until_complete(asyncio.sleep(0))
        body: dict[str, object] = asked.future.result()[1]
        return body

    assert status()["ready"] is True
    host.advance(60.0)
    assert status() == {
        "ready": False,
        "store": "unknown: the controller does not answer",
        "counts": {},
        "rows": [],
    }


def test_commands_tell_of_a_silent_controller_what_etcd_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What its port says while it does not answer is not taken for live: no controller was asked."""
    found = reach.Installation(sections.Snapshot(), cast("Store", None), TypeTable(()), Knowledge(()), None)
    told = {"ready": False, "store": "unknown: the controller does not answer", "counts": {}, "rows": []}
    monkeypatch.setattr(reach, "get", lambda *_: told)
    reach.ask_controller(found)
    assert (found.status, found.known.asked) == (None, False)
    monkeypatch.setattr(reach, "get", lambda *_: {**told, "ready": True, "store": "up", "controller": "me"})
    reach.ask_controller(found)
    assert found.known.asked
