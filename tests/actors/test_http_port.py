"""Where the HTTP port opens if any will do: where it was before, as long as nobody else is there."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web

from actors.http.server import Server
from actors.messages.telemetry import HttpAt

RUNNERS: list[web.AppRunner] = []


class Kept(web.AppRunner):
    """A runner that can be found again: the product's ends with its process."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        RUNNERS.append(self)


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "AppRunner", Kept)


def opened(before: int) -> int:
    """The port at which a server opens that was at `before`; it is closed again."""
    posted: list[object] = []

    async def start() -> None:
        await Server("127.0.0.1", 0, "", posted.append, before=before).start()
        await RUNNERS.pop().cleanup()

    asyncio.run(start())
    (place,) = posted
    assert isinstance(place, HttpAt), place
    assert place.problem == ""
    return int(place.address.rpartition(":")[2])


def test_a_port_that_people_know_is_taken_again() -> None:
    """Free, it is taken; somebody else's, any other one is, and that is no problem."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert opened(taken) not in (0, taken)
    first = opened(0)
    for _ in range(5):  # a connection of somebody else may be there for a moment
        if opened(first) == first:
            return
    raise AssertionError(f"port {first} is free and was not taken")
