"""What strangers on the same machine can do to the runtime: nothing."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from actors.runtime import wire
from actors.runtime.address import Address
from actors.runtime.limits import Limits
from actors.runtime.outbox import Parcel
from tests.runtime import cast
from tests.runtime.cast import Answer, Ask, Numbered
from tests.runtime.conftest import Stage, eventually


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (os.mkdir, (self.path,))


def listening(pids: list[int]) -> list[tuple[str, int]]:
    """Every (address, port) on which these processes listen."""
    return [
        (connection.laddr.ip, connection.laddr.port)
        for pid in pids
        for connection in psutil.Process(pid).net_connections("all")
        if connection.status == psutil.CONN_LISTEN
    ]


def test_everything_listens_on_loopback_only(stage: Stage) -> None:
    """All processes listen, each on one port, all of them on 127.0.0.1; the starter does too."""
    system = stage.start(cast.Lab)
    pids = system.pids()
    assert len(pids) == 3
    found = listening(pids)
    assert {address for address, _ in found} == {"127.0.0.1"}
    assert len(found) == len(set(found)) == 3
    assert {address for address, _ in listening([os.getpid()])} <= {"127.0.0.1"}


def attacks(evil: object, target: int) -> list[bytes]:
    """Everything a stranger might send."""
    raw = pickle.dumps(evil)
    thespians = pickle.dumps((Address(target), evil))
    inside = pickle.dumps((Address(target), Parcel(0, ((0, 0, raw),))))
    key, wire._KEY = wire._KEY, os.urandom(32)
    try:
        forged = wire.frame(inside)
    finally:
        wire._KEY = key
    true = wire.frame(pickle.dumps("harmless"))
    return [
        raw,
        b"%d>" % len(raw) + raw,
        b"%d>" % len(thespians) + thespians,
        forged,
        true[: wire.HEADER_SIZE] + forged[wire.HEADER_SIZE :],
        forged[: wire.HEADER_SIZE] + true[wire.HEADER_SIZE :],
        b"99999999999999999999>" + raw,
        b"-5>" + raw,
        b"GW\x00\x01\xff\xff\xff\xff" + bytes(200),
        b"GW",
        forged[:40],
        b"GET / HTTP/1.1\r\n\r\n",
        os.urandom(100_000),
        b"",
    ]


def test_strangers_achieve_nothing(stage: Stage, tmp_path: Path) -> None:
    """Pickles, forged, damaged, endless and half frames to every port: nothing runs, everything goes on."""
    system = stage.start(cast.Lab)
    pids = system.pids()
    evil = Evil(str(tmp_path / "owned"))
    held = []
    with contextlib.ExitStack() as stack:
        for address, port in listening(pids):
            for attack in attacks(evil, port):
                connection = stack.enter_context(socket.create_connection((address, port), timeout=5))
                with contextlib.suppress(ConnectionError):
                    connection.sendall(attack)
                held.append((attack, connection))
        for _ in range(3):
            assert system.ask(Ask("pid"), 10, Answer).value == pids[1]
        system.ask(Ask("send_to_pool", [1, 2, 3]), 5, Answer)
        eventually(lambda: system.ask(Ask("report"), 5, Answer).value["echoed"] == [1, 2, 3])
        for attack, connection in held:
            if len(attack) > wire.HEADER_SIZE:
                with contextlib.suppress(ConnectionError):
                    assert connection.recv(100) == b"", "a stranger was answered"
    assert not (tmp_path / "owned").exists()
    assert system.pids() == pids


def test_many_idle_strangers(stage: Stage) -> None:
    """Hundreds of connections that say nothing do not keep anybody from talking."""
    system = stage.start(cast.Lab)
    with contextlib.ExitStack() as stack:
        for address, port in listening(system.pids()):
            for _ in range(200):
                stack.enter_context(socket.create_connection((address, port), timeout=5))
        system.ask(Ask("send_to_pool", [1, 2, 3]), 10, Answer)
        eventually(lambda: system.ask(Ask("report"), 10, Answer).value["echoed"] == [1, 2, 3])


def test_strangers_cannot_use_up_the_descriptors(stage: Stage) -> None:
    """Even with few descriptors left, more strangers than descriptors do not end or stop a process."""
    system = stage.start(cast.Lab)
    pids = system.pids()
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64))
    with contextlib.ExitStack() as stack:
        for address, port in listening(pids):
            for _ in range(150):
                stack.enter_context(socket.create_connection((address, port), timeout=5))
        system.ask(Ask("send_to_pool", [1, 2, 3]), 10, Answer)
        eventually(lambda: system.ask(Ask("report"), 10, Answer).value["echoed"] == [1, 2, 3])
    assert system.pids() == pids


def test_who_took_the_port_of_a_dead_process_gets_nowhere(stage: Stage) -> None:
    """A stranger on the other end of a connection of ours cannot answer: the message is a dead letter."""
    system = stage.start(cast.Lab, limits=Limits(retries=0))
    with socket.create_server(("127.0.0.1", 0)) as thief:
        thief.settimeout(10)
        gone = Address(thief.getsockname()[1], life=99)
        system.ask(Ask("send", (gone, Numbered(1))), 5, Answer)
        connection, _ = thief.accept()
        with connection:
            connection.sendall(b"3>ACK" + os.urandom(1000))
            eventually(lambda: system.ask(Ask("report"), 5, Answer).value["dead"] == [(gone, Numbered(1))])


def test_an_old_address_does_not_reach_the_next_owner_of_the_port(stage: Stage) -> None:
    """A message for an earlier life of a port is refused there and becomes a dead letter."""
    system = stage.start(cast.Lab)
    pool = system.ask(Ask("addresses"), 5, Answer).value["pool"]
    earlier = Address(pool.port, pool.life ^ 2)
    system.ask(Ask("send", (earlier, Numbered(1))), 5, Answer)
    eventually(lambda: system.ask(Ask("report"), 5, Answer).value["dead"] == [(earlier, Numbered(1))])
    assert system.ask(Ask("numbers"), 5, Answer, to=pool).value == []


def test_the_key_is_nowhere_to_be_read(stage: Stage) -> None:
    """The key of this boot is neither in the arguments nor in the environment of any process."""
    system = stage.start(cast.Lab)
    secrets = (wire._KEY, wire._KEY.hex().encode())
    for pid in system.pids():
        for name in ("cmdline", "environ"):
            content = Path(f"/proc/{pid}/{name}").read_bytes()
            assert not any(secret in content for secret in secrets)


def test_the_control_of_the_attack(tmp_path: Path) -> None:
    """The evil pickle of these tests does work where it is unpickled."""
    pickle.loads(pickle.dumps(Evil(str(tmp_path / "owned"))))
    assert (tmp_path / "owned").exists()


def read(data: bytes) -> object:
    """Feed a FrameBuffer as the transport does."""
    buffer = wire.FrameBuffer()
    while data:
        step = max(1, buffer.remainingAmount())
        buffer.addMore(data[:step])
        data = data[step:]
    done = buffer.completed()
    return None if done is None else done[0]


def test_every_bit_of_a_frame_counts(tmp_path: Path) -> None:
    """Any single changed bit is noticed before unpickling; so is a missing or an additional byte."""
    frame = wire.frame(pickle.dumps(Evil(str(tmp_path / "owned"))), life=7)
    for place in range(len(frame)):
        for bit in range(8):
            damaged = bytearray(frame)
            damaged[place] ^= 1 << bit
            with pytest.raises(wire.WireError):
                read(bytes(damaged))
    for end in range(len(frame)):
        assert read(frame[:end]) is None
    assert not (tmp_path / "owned").exists()


def test_frames_come_back_whole() -> None:
    """What was framed is read again, byte by byte or at once; the limit of size is kept."""
    message = {"key": list(range(1000))}
    assert read(wire.frame(pickle.dumps(message), life=7)) == message
    with pytest.raises(ValueError, match="too large"):
        wire.frame(bytes(wire.MAX_BODY))


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame of another wire version is refused, although it is authentic."""
    monkeypatch.setattr(wire, "VERSION", 2)
    frame = wire.frame(pickle.dumps(1))
    monkeypatch.undo()
    with pytest.raises(wire.WireError, match="version 2"):
        read(frame)
