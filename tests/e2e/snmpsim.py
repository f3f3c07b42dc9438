"""snmpsim, an SNMP agent that answers from recorded walks, with a walk that looks like one of a large switch.

The simulator is installed once from hashed pins into a folder beside the environment that runs the tests; where that
cannot be done the tests are skipped with the reason.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LOCK = Path(__file__).with_name("snmpsim.lock")
COMMUNITY = "recorded"
#: snmprec's tags of types.
INTEGER, OCTETS, OBJECT_ID, TICKS, COUNTER64 = "2", "4", "6", "67", "70"
#: Its index of the recording is a dbm; that on SQLite (Python 3.13's first choice) commits every row, for minutes.
RUN = """
import dbm
dbm._names = [name for name in dbm._names if name != "dbm.sqlite3"]
from snmpsim.commands.responder import main
main()
"""
_IF, _IFX = (1, 3, 6, 1, 2, 1, 2, 2, 1), (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)

Row = tuple[tuple[int, ...], str, str]


def installed() -> Path:
    """The folder with the simulator; skips the test where it cannot be had."""
    digest = hashlib.sha256(sys.version.encode() + LOCK.read_bytes()).hexdigest()[:12]
    folder = Path(sys.prefix) / f"snmpsim-{digest}"
    try:
        with Path(f"{folder}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not folder.exists():
                _install(folder)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"snmpsim cannot be installed here: {error}")
    return folder


def _install(folder: Path) -> None:
    torso = folder.with_name(folder.name + ".new")
    shutil.rmtree(torso, ignore_errors=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--target",
        str(torso),
    ]
    subprocess.run([*pip, "-r", str(LOCK)], check=True, capture_output=True, timeout=120)
    torso.rename(folder)


def names(count: int) -> dict[int, str]:
    """ifIndex → ifName of a switch with so many interfaces: physical ones and their units, indexes in the order in
    which they were configured, not in that of their names."""
    found: dict[int, str] = {1: "fxp0", 6: "lo0"}
    number = 0
    while len(found) < count:
        slot, port, unit = number // 400, number // 8 % 50, number % 8
        name = f"xe-{slot}/0/{port}" + (f".{1024 + unit}" if unit else "")
        found[501 + (number * 7919) % 10007] = name
        number += 1
    return found


def recorded(interfaces: dict[int, str], down: frozenset[str], port: int) -> Iterator[Row]:
    """The rows of a walk, not sorted. `down`: names that are so; the interface with index `port` can be set."""
    for oid, tag, value in (
        ((1, 1, 0), OCTETS, "Recorded Networks, Inc. qfx-like switch, 5000 interfaces"),
        ((1, 2, 0), OBJECT_ID, "1.3.6.1.4.1.99999.1"),
        ((1, 3, 0), f"{TICKS}:numeric", "rate=100,initial=123456"),
        ((1, 5, 0), OCTETS, "recorded"),
        ((2, 1, 0), INTEGER, str(len(interfaces))),
        ((31, 1, 5, 0), TICKS, "4200"),
    ):
        yield (1, 3, 6, 1, 2, 1, *oid), tag, value
    for index, name in interfaces.items():
        status = "2" if name in down else "1"
        yield (*_IF, 2, index), OCTETS, name
        yield (*_IF, 7, index), INTEGER, "1"
        written = (f"{INTEGER}:writecache", f"value={status}") if index == port else (INTEGER, status)
        yield (*_IF, 8, index), *written
        yield (*_IFX, 1, index), OCTETS, name
        yield (*_IFX, 6, index), f"{COUNTER64}:numeric", f"rate={1000 + index},initial={index}"


class Snmpsim:
    """One simulator process; ends with `stop`."""

    def __init__(self, directory: Path, rows: Iterator[Row]) -> None:
        folder = installed()
        data = directory / "data"
        data.mkdir()
        lines = (f"{'.'.join(map(str, oid))}|{tag}|{value}\n" for oid, tag, value in sorted(rows))
        (data / f"{COMMUNITY}.snmprec").write_text("".join(lines), "utf-8")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        root = ["--process-user=root", "--process-group=root"] if os.getuid() == 0 else []
        options = (
            f"--data-dir={data}",
            f"--cache-dir={directory / 'cache'}",
            f"--variation-module-options=writecache:file:{directory / 'written'}",
            f"--agent-udpv4-endpoint=127.0.0.1:{self.port}",
        )
        self.log = (directory / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, *root, *options],
            env={**os.environ, "PYTHONPATH": str(folder), "HOME": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            cwd=directory,
            process_group=0,
            preexec_fn=_die_with_parent,
        )

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, 9)
