"""What systemd is told, over a real Unix socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.runtime.notify import Notifier

ROOT = Path(__file__).parents[2]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(60.0)
        yield listener


def test_lines_arrive_as_one_datagram(manager: socket.socket) -> None:
    """All assignments of one call are one message; the address is taken out of the environment."""
    environ = {"NOTIFY_SOCKET": manager.getsockname()}
    assert Notifier(environ).tell("READY=1", "STATUS=watching")
    assert environ == {}, "children must not speak in our name"
    assert manager.recv(4096) == b"READY=1\nSTATUS=watching"


def test_abstract_socket() -> None:
    """A leading @ names a socket in the abstract name space."""
    name = f"gatewright-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.settimeout(10.0)
        assert Notifier({"NOTIFY_SOCKET": "@" + name}).tell("WATCHDOG=1")
        assert listener.recv(64) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "relative", "/no/such/socket"])
def test_nobody_listens(address: str) -> None:
    """Without a manager, or with one that is gone, nothing is sent and nothing fails."""
    assert not Notifier({"NOTIFY_SOCKET": address}).tell("READY=1")


def test_a_manager_that_does_not_read_does_not_block(manager: socket.socket) -> None:
    """A full socket is given up at once: the service goes on."""
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()})
    for _ in range(10_000):
        if not notifier.tell("WATCHDOG=1"):
            break
    else:
        pytest.fail("the socket never was full")


def test_the_service_tells_of_itself(manager: socket.socket, tmp_path: Path) -> None:
    """A real run says READY, then that it is alive, and STOPPING when it is told to end."""
    command = [sys.executable, "run.py", "--state-dir", str(tmp_path / "state")]
    environ = {**os.environ, "NOTIFY_SOCKET": manager.getsockname()}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=quiet, stderr=quiet) as process:
        try:
            assert manager.recv(4096).split(b"\n")[0] == b"READY=1"
            assert manager.recv(4096).startswith(b"WATCHDOG=1")
            process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 60.0
            while not (heard := manager.recv(4096)).startswith(b"STOPPING=1"):
                assert heard.startswith(b"WATCHDOG=1")
                assert time.monotonic() < deadline, "it was not said that it stops"
            assert process.wait(60) == 0
        finally:
            process.kill()
