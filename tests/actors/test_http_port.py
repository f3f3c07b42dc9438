"""The HTTP port by itself: where it opens if any will do, and what it makes of bytes that are no request."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web

from actors.http import server
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


def answers(token: str, *requests: bytes) -> list[bytes]:
    """What a server says to each of these, byte for byte, on a connection of its own."""
    posted: list[object] = []
    said = []

    async def ask() -> None:
        await Server("127.0.0.1", 0, token, posted.append).start()
        (place,) = posted
        assert isinstance(place, HttpAt), place
        for request in requests:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(place.address.rpartition(":")[2]))
            writer.write(request)
            said.append(await reader.read())
            writer.close()
            await writer.wait_closed()
        await RUNNERS.pop().cleanup()

    asyncio.run(ask())
    return said


def test_a_token_of_any_bytes_is_a_wrong_one() -> None:
    """Bytes that are no text are refused as any other wrong token is."""
    head = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %b\r\n\r\n"
    for said in answers("right", head % b"wrong", head % b"\xff\xfe", head % "ö".encode()):
        assert said.startswith(b"HTTP/1.1 401 "), said


def test_what_is_no_http_is_refused_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever speaks TLS to the port, or sends what cannot be read, gets 400 and leaves no traceback in the log."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)
    long = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 9000)
    for said in answers("", hello, long, b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n"):
        assert said.startswith(b"HTTP/1.0 400 "), said
    assert not caplog.records


def test_more_connections_than_there_may_be_end_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens connections and says nothing keeps nobody out, and not more of them than there may be."""
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 5)
    posted: list[object] = []

    async def flood() -> list[bool]:
        await Server("127.0.0.1", 0, "right", posted.append).start()
        (place,) = posted
        assert isinstance(place, HttpAt), place
        port = int(place.address.rpartition(":")[2])
        idle = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(20)))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        ended = [one.at_eof() for one, _ in idle]
        for _, one in [*idle, (reader, writer)]:
            one.close()
        await RUNNERS.pop().cleanup()
        return ended

    assert sum(asyncio.run(flood())) == 16
