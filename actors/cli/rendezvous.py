"""How a command in another terminal finds a running system: a small file in its state folder.

Guarantees: readable by its owner only, since it may hold a token; written whole or not at all; a file whose
process is gone counts as none. Holds addresses, nothing that would have to survive.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "running.json"
PORT_NAME = "http.port"


@dataclass(frozen=True, slots=True)
class Running:
    """A system that runs on this machine. `http`: host:port of its API, "" if it has none (yet); `heat`: Heat's
    endpoint; `devices`: declared address → host:port of its agent."""

    pid: int
    etcd: tuple[str, ...] = ()
    http: str = ""
    token: str = ""
    heat: str = ""
    devices: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Running(pid={self.pid}, etcd={self.etcd}, http={self.http!r})"


def write(state_dir: Path, running: Running) -> None:
    """Say where this process's system can be found."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    fields = {"pid": running.pid, "etcd": running.etcd, "http": running.http, "token": running.token}
    fresh = state_dir / f".{NAME}.{running.pid}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({**fields, "heat": running.heat, "devices": dict(running.devices)}, file)
    fresh.replace(state_dir / NAME)


def read(state_dir: Path) -> Running | None:
    """The system that runs with this state folder, or None."""
    try:
        value: Any = json.loads((state_dir / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("pid"), int) or not _alive(value["pid"]):
        return None
    etcd = value.get("etcd")
    endpoints = tuple(str(e) for e in etcd) if isinstance(etcd, list) else ()
    texts = {name: str(value.get(name) or "") for name in ("http", "token", "heat")}
    devices = value.get("devices")
    places = {str(k): str(v) for k, v in devices.items()} if isinstance(devices, dict) else {}
    return Running(value["pid"], endpoints, devices=places, **texts)


def port_before(state_dir: Path) -> int:
    """The HTTP port that was open the last time, 0 if that is not known. It outlives `remove`."""
    try:
        return int((state_dir / PORT_NAME).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def remember_port(state_dir: Path, address: str) -> None:
    """For `port_before`. `address`: host:port."""
    (state_dir / PORT_NAME).write_text(address.rpartition(":")[2], encoding="ascii")


def remove(state_dir: Path) -> None:
    """This process's system has ended."""
    running = read(state_dir)
    if running is not None and running.pid == os.getpid():
        (state_dir / NAME).unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
