"""A controller as a person starts it, `run.py controller`, with a service manager that starts it again.

Guarantees: each life has its own ports of the tap, so what it asks of etcd is known to be its own; it dies with the
process that started it; `left_behind` finds every process that any life has made, whoever its parent is by now.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from sim.real.tap import Line

ROOT = Path(__file__).resolve().parents[2]
#: Name of a process → the part it plays.
_PARTS = {
    "gw:admin": "admin",
    "gw:Supervisor": "supervisor",
    "gw:Shard": "shard",
    "gw:HeatActor": "heat pool",
    "gw:SnmpPollerAc": "snmp pool",
    "gw:EtcdBridge": "bridge",
    "gw:Telemetry": "telemetry",
}
#: Runs before run.py in its place: dies with us.
_GUARD = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execv(sys.argv[2], sys.argv[2:])
"""
#: How a controller may end: in order, killed, asked to before it listened, because a part died while the tree was
#: begun, and because the tree kept dying. What ends otherwise has crashed; a traceback is a crash in any case.
EXPECTED_ENDS = (0, -signal.SIGKILL, -signal.SIGTERM, 1, 70)


@dataclass(slots=True)
class Life:
    """From one start of run.py to its end. `name`: `c0.3` is the third life of the first controller."""

    name: str
    line: Line
    process: subprocess.Popen[bytes]
    log: Path

    def __str__(self) -> str:
        return self.name

    def owns_as(self, owner: bytes) -> bool:
        """Whether that is the name under which this life owns things in etcd."""
        return owner.startswith(f"{os.uname().nodename}:{self.process.pid}:".encode())

    @property
    def running(self) -> bool:
        """Whether run.py lives (it may stand still)."""
        return self.process.poll() is None

    def parts(self) -> dict[str, list[psutil.Process]]:
        """Its living processes by part."""
        found: dict[str, list[psutil.Process]] = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            me = psutil.Process(self.process.pid)
            found["run.py"] = [me]
            for child in me.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    found.setdefault(_PARTS.get(child.name(), "other"), []).append(child)
        return found

    def everyone(self) -> list[psutil.Process]:
        """All its living processes."""
        return [process for processes in self.parts().values() for process in processes]


class Controller:
    """One controller: a service manager's unit. `lives`: all so far, the present one last."""

    RESTART_S = 1.0

    def __init__(self, name: str, folder: Path, settings: Mapping[str, object], bug: str = "") -> None:
        self.name = name
        self._bug = bug
        self.lives: list[Life] = []
        self.restart_at = 0.0
        self._folder = folder
        self._settings = settings

    @property
    def life(self) -> Life | None:
        """The present one, if it lasts."""
        return self.lives[-1] if self.lives and self.lives[-1].running else None

    @property
    def state_dir(self) -> Path:
        """Where the commands of its terminal find it."""
        return self._folder / self.name

    def start(self, line: Line) -> Life:
        """A new life."""
        name = f"{self.name}.{len(self.lives) + 1}"
        log = self._folder / f"{name}.log"
        endpoints = json.dumps([f"http://127.0.0.1:{port}" for port in line.ports])
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603 - our own entry point
                command("--state-dir", self.state_dir, "controller", bug=self._bug),
                cwd=self._folder,
                env=environment(self._folder, {**self._settings, "ETCD__ENDPOINTS": endpoints}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.lives.append(Life(name, line, process, log))
        return self.lives[-1]

    def ended(self) -> int | None:
        """The exit code of a life that has ended since this was asked last."""
        if not self.lives or self.lives[-1].running or self.restart_at:
            return None
        self.restart_at = time.monotonic() + self.RESTART_S
        return self.lives[-1].process.returncode

    def due(self) -> bool:
        """Whether it is time for a new life."""
        if not self.restart_at or time.monotonic() < self.restart_at:
            return False
        self.restart_at = 0.0
        return True


def command(*arguments: object, bug: str = "") -> list[str]:
    """The command line of run.py, guarded, with a planted bug if one is named."""
    guard = [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid())]
    entry = ["-m", "sim.real.planted", bug] if bug else [str(ROOT / "run.py")]
    return [*guard, sys.executable, *entry, *map(str, arguments)]


def environment(folder: Path, settings: Mapping[str, object]) -> dict[str, str]:
    """A clean environment below `folder`, by which its processes can be told."""
    for name in ("home", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    given = {f"GATEWRIGHT_{name}": str(value) for name, value in settings.items()}
    return {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        **given,
    }


def left_behind(folder: Path) -> list[psutil.Process]:
    """Every living process that was started with that environment, however deep."""
    found, home = [], str(folder / "home")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("HOME") == home and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def send(processes: Sequence[psutil.Process], number: signal.Signals) -> list[psutil.Process]:
    """Signal each of them that is still itself; those that were reached."""
    reached = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
            reached.append(process)
    return reached
