"""How a command in another terminal finds a running system: a small file in its state folder.

Guarantees: readable by its owner only, since it may hold a token; written whole or not at all; a file whose
process is gone counts as none. A controller whose folder another one has says so and does not begin. Holds
addresses, nothing that would have to survive.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from config.settings import SettingsError

NAME = "running.json"
CLAIM_NAME = "controller.lock"
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


class TakenError(RuntimeError):
    """Another controller has this folder. One line for a person."""


def make_folder(state_dir: Path) -> None:
    """The state folder, readable by its owner only. Raises SettingsError."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"paths.state_dir: {state_dir} cannot be made: {error.strerror}; set another one (--state-dir)"
        ) from error
    if not os.access(state_dir, os.W_OK | os.X_OK):
        raise SettingsError(f"paths.state_dir: {state_dir} may not be written; set another one (--state-dir)")


def claim(state_dir: Path) -> IO[str]:
    """The folder for this process until the file is closed. Raises TakenError, SettingsError.

    The lock is one that forked processes do not have: what a dying controller leaves for a moment holds up nobody.
    """
    make_folder(state_dir)
    file = (state_dir / CLAIM_NAME).open("a+", encoding="utf-8")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        owner = file.read().strip() or "another controller"
        file.close()
        raise TakenError(f"{owner} runs in {state_dir} already: give each its own --state-dir") from error
    try:
        file.truncate(0)
        os.write(file.fileno(), f"pid {os.getpid()}".encode())
    except OSError as error:
        file.close()
        raise unwritten(state_dir, error) from error
    return file


def unwritten(state_dir: Path, error: OSError) -> SettingsError:
    """The folder can be made and not be written: its disk is full."""
    return SettingsError(
        f"paths.state_dir: {state_dir} cannot be written: {error.strerror}; make room, or set another one (--state-dir)"
    )


def write(state_dir: Path, running: Running) -> None:
    """Say where this process's system can be found. Raises SettingsError."""
    fields = {"pid": running.pid, "born": _born(running.pid), "etcd": running.etcd, "http": running.http}
    more = {"token": running.token, "heat": running.heat, "devices": dict(running.devices)}
    fresh = state_dir / f".{NAME}.{running.pid}"
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({**fields, **more}, file)
        fresh.replace(state_dir / NAME)
    except OSError as error:
        raise unwritten(state_dir, error) from error


def read(state_dir: Path) -> Running | None:
    """The system that runs with this state folder, or None."""
    try:
        value: Any = json.loads((state_dir / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("pid"), int):
        return None
    born = _born(value["pid"])
    if not born or value.get("born") != born:  # it was killed, and its number may be another's by now
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
    """For `port_before`, where it can be written. `address`: host:port."""
    with suppress(OSError):
        (state_dir / PORT_NAME).write_text(address.rpartition(":")[2], encoding="ascii")


def remove(state_dir: Path) -> None:
    """This process's system has ended."""
    running = read(state_dir)
    if running is not None and running.pid == os.getpid():
        (state_dir / NAME).unlink(missing_ok=True)


def _born(pid: int) -> str:
    """When a process began, in a form that no other process has ever had; "" if there is none of that number."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return ""
    return f"{boot} {fields[19]}"
