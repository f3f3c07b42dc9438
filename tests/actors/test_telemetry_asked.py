"""Telemetry asked while etcd is away: nothing is made for those who have left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from actors.core.options import Options
from actors.http.api import View
from actors.http.server import Request
from actors.messages import Boot, Snapshot, StatusQuery, StatusReply, Subscribe, Topology, Wiring
from actors.ports import Agent, Stacks, Store
from actors.runtime.inline import InlineHost
from actors.telemetry import Telemetry


def none() -> Store | Stacks | Agent:
    """No port: Telemetry makes none."""
    raise AssertionError("Telemetry has no port of that kind")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Where those who ask wait."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


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
    host = InlineHost(pickling=False)
    root, bridge = host.external("supervisor"), host.external("bridge")
    telemetry = host.spawn(Telemetry)
    wiring = Wiring(none, none, none)  # type: ignore[arg-type]  # none of them is called
    host.tell(telemetry, Boot(Options(()), wiring, "me"), sender=root)
    host.tell(telemetry, Topology(1, bridge, (), (), (), telemetry), sender=root)
    host.run()
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
