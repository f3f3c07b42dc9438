"""Runs the product as a person does: `run.py` as a process of its own, with a clean environment, on real parts.

Guarantees: what is started here dies with the test process, however that ends; every run has its own home,
state and temporary folder, so that what it leaves behind is found. Nothing of the product's inside is used.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psutil

from sim.etcd_http import Etcd
from sim.snmp_agents.launch import control

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
#: What a wait may take here is meant for a quiet machine; beside all other tests it takes several times as long.
PATIENCE = 3
SEED = ROOT.parent / "shared" / "contract" / "seed.md"
TENANT = "0b576f6f4cbf414f829cd12f008bf08f"
GATEWAY = "common_function_gateways/5c241c51-2003-407a-a239-689fabd19022"
PORT = "ports/327f59b7-df38-4d8f-97db-d320defcab76"
LOGICAL_PORT = "ese_logical_ports/b04853c4-6ebf-441f-9093-ea4b844c4bc7"

#: Runs before run.py in its place: dies with us, and hears Ctrl-C even if we do not.
_GUARD = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execv(sys.argv[2], sys.argv[2:])
"""


def eventually(condition: Callable[[], T], timeout_s: float = 30.0, what: str = "") -> T:
    """Poll until the condition is true and return its value; fails after `timeout_s` seconds, times PATIENCE."""
    end = time.monotonic() + timeout_s * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {timeout_s:g} s: {what or condition}"
        time.sleep(0.02)


def command(*arguments: object) -> list[str]:
    """The command line of `run.py` with these arguments, guarded."""
    guard = [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid())]
    return [*guard, sys.executable, str(ROOT / "run.py"), *map(str, arguments)]


def environment(folder: Path, **settings: object) -> dict[str, str]:
    """A clean environment below `folder`; `settings`: `LIMITS__RETRY_BASE_S=0.1` and the like, or ETCD_BIN."""
    kept = {name: os.environ[name] for name in ("PATH", "ETCD_BIN") if name in os.environ}
    for name in ("home", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    given = {f"GATEWRIGHT_{n}" if "__" in n else n: str(value) for n, value in settings.items()}
    return {**kept, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), **given}


def run_once(
    folder: Path, *arguments: object, timeout_s: float = 60.0, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run to the end and return what was said."""
    return subprocess.run(
        command("--state-dir", folder / "state", *arguments),
        cwd=folder,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=timeout_s * PATIENCE,
        check=False,
    )


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Product:
    """One run of `run.py`. Use as a context manager; `processes` are by part: shard, bridge, etcd, heat, …"""

    PARTS: Mapping[str, str] = {
        "gw:admin": "admin",
        "gw:Supervisor": "supervisor",
        "gw:Shard": "shard",
        "gw:HeatActor": "heat pool",
        "gw:SnmpPollerAc": "snmp pool",
        "gw:EtcdBridge": "bridge",
        "etcd": "etcd",
    }

    def __init__(self, folder: Path, *arguments: object, **settings: object) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self._arguments = arguments
        self._env = environment(folder, **settings)
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        self._seen: dict[int, set[tuple[str, int]]] = {}

    def __enter__(self) -> Product:
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command("--state-dir", self.state_dir, *self._arguments),
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.note()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    # ------------------------------------------------------------------------------------- what it says

    @property
    def out(self) -> str:
        """Everything on its standard output so far."""
        return self._out.read_text("utf-8", "replace")

    @property
    def err(self) -> str:
        """Everything on its standard error so far: the log."""
        return self._err.read_text("utf-8", "replace")

    def said(self, pattern: str, timeout_s: float = 30.0) -> re.Match[str]:
        """Wait until its output matches."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.out)
            if found is None and self.process.poll() is not None:
                found = re.search(pattern, self.out)
                assert found, f"ended without saying {pattern!r}:\n{self.out}\n{self.err}"
            return found

        try:
            found = eventually(look, timeout_s, f"output {pattern!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.out[-3000:]}\n{self.err[-3000:]}") from None
        assert found is not None
        return found

    def built(self, timeout_s: float = 60.0) -> Product:
        """Wait until everything is built and watched."""
        self.said("watching; Ctrl-C ends it", timeout_s)
        return self

    @property
    def etcd(self) -> Etcd:
        """Its own etcd, once it has said where that is."""
        return Etcd(self.said(r"etcd \S+ at (\S+) \(pid")[1])

    @property
    def heat_url(self) -> str:
        """Its embedded Heat, without `/v1`."""
        return self.said(r"Heat API at (\S+) ")[1]

    def stacks(self, tenant: str = TENANT) -> list[dict[str, Any]]:
        """All living stacks of a tenant."""
        found: list[dict[str, Any]] = heat_get(f"{self.heat_url}/v1/{tenant}/stacks")["stacks"]
        return found

    # ------------------------------------------------------------------------------------- its processes

    def processes(self) -> dict[str, psutil.Process]:
        """Its living processes by the part they play, itself as "run.py"."""
        me = psutil.Process(self.process.pid)
        found = {"run.py": me}
        for child in me.children(recursive=True):
            try:
                part = self._part(child)
                if part:
                    found[part] = child
            except psutil.NoSuchProcess:
                continue
        return found

    def _part(self, process: psutil.Process) -> str:
        name = process.name()
        if name in self.PARTS:
            return self.PARTS[name]
        line = " ".join(process.cmdline())
        return "heat" if "sim.heat_server" in line else "agents" if "sim.snmp_agents" in line else ""

    def note(self) -> None:
        """Remember its processes and where they listen, for `assert_nothing_left`."""
        for process in self.processes().values():
            try:
                listening = {
                    (c.laddr.ip, c.laddr.port)
                    for c in process.net_connections("inet")
                    if c.laddr and (c.status == psutil.CONN_LISTEN or (not c.raddr and c.type == 2))
                }
            except psutil.NoSuchProcess:
                continue
            self._seen.setdefault(process.pid, set()).update(listening)

    def listening(self) -> dict[str, list[str]]:
        """By part: the addresses at which it takes connections or datagrams from others."""
        self.note()
        parts = {part: process.pid for part, process in self.processes().items()}
        return {part: [ip for ip, _ in self._seen[pid]] for part, pid in parts.items() if pid in self._seen}

    def kill(self, part: str) -> int:
        """kill -9 of one part; returns its process id."""
        self.note()
        victim = self.processes()[part]
        victim.kill()
        return victim.pid

    def end(self, number: signal.Signals, *, group: bool = False, within_s: float = 5.0) -> int:
        """Send a signal to run.py (or its whole process group, as a terminal does); the exit code."""
        self.note()
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.process.wait(within_s)

    def assert_nothing_left(self, within_s: float = 5.0, *, socket_too: bool = True) -> None:
        """No process, no port, nothing in the temporary folder; `socket_too`: nor the control socket."""
        assert self._seen, "note() comes first"
        eventually(lambda: not any(map(alive, self._seen)), within_s, f"all of {sorted(self._seen)} gone")
        used = {place for places in self._seen.values() for place in places}
        held = {
            c.pid
            for c in psutil.net_connections("inet")
            if c.laddr and not c.raddr and (c.laddr.ip, c.laddr.port) in used
        }
        assert not [pid for pid in held if self._is_ours(pid)]
        assert list((self.folder / "tmp").iterdir()) == []
        assert not socket_too or not (self.state_dir / "agents.sock").exists()

    def _is_ours(self, pid: int | None) -> bool:
        """Whether a process may be of this product; a port that came free may be another test's by now."""
        if pid is None:
            return True
        try:
            process = psutil.Process(pid)
            return process.cwd() == str(self.folder) or str(self.folder) in str(process.cmdline())
        except psutil.NoSuchProcess:
            return False

    def control(self, line: str) -> dict[str, Any]:
        """One command to its embedded agents, as `run.py port …` sends it."""
        return control(self.state_dir / "agents.sock", line)


def heat_get(url: str) -> Any:
    """A JSON answer of Heat."""
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)
