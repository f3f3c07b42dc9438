"""Waiting for descriptors: what Thespian's loop sees is what Python's own selector shows."""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from actors.runtime.selecting import Selectors

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@pytest.fixture
def pairs() -> Iterator[dict[str, tuple[socket.socket, socket.socket]]]:
    """Connections in every state that matters."""
    names = ("idle", "said", "half", "gone", "full")
    made = {name: socket.socketpair() for name in names}
    made["said"][1].send(b"x")
    made["half"][1].shutdown(socket.SHUT_WR)
    made["gone"][1].close()
    made["full"][0].setblocking(False)
    try:
        while True:
            made["full"][0].send(bytes(65536))
    except BlockingIOError:
        yield made
    for ends in made.values():
        for end in ends:
            end.close()


def seen(module: Any, wanted: dict[int, int], timeout_s: float | None) -> dict[int, int]:
    """What a selector of that module says."""
    selector = module.DefaultSelector()
    for fd, events in wanted.items():
        selector.register(fd, events)
    ready = {key.fd: events for key, events in selector.select(timeout_s)}
    selector.close()
    return ready


@pytest.mark.parametrize("events", [READ, WRITE])
@pytest.mark.parametrize("timeout_s", [0, -1.0, 0.01, None])
def test_as_pythons_own(pairs, events, timeout_s):
    """Readable, writable, half closed, closed and full connections are ready as with `selectors`."""
    wanted = {ends[0].fileno(): events for ends in pairs.values()}
    ready = seen(selectors, wanted, 0)
    assert ready
    assert ready != wanted
    assert seen(Selectors, wanted, timeout_s) == ready


def test_nothing_is_ready_in_time(pairs):
    """After the time that was given, nothing."""
    assert seen(Selectors, {pairs["idle"][0].fileno(): READ}, 0.01) == {}


def test_closed_descriptors_are_errors():
    """What is not open ends the turn as Thespian's loop expects it."""
    opened = os.eventfd(0)
    fd = fcntl.fcntl(opened, fcntl.F_DUPFD, 500)  # high, so that no selector gets the number for itself
    os.close(opened)
    os.close(fd)
    for module in (selectors, Selectors):
        with pytest.raises(OSError, match="Bad file descriptor"):
            seen(module, {fd: READ}, 0)
        with pytest.raises(ValueError, match="descriptor"):
            seen(module, {-1: READ}, 0)
