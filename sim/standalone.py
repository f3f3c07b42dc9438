"""What standalone mode starts in place of what is not configured: etcd, a Heat API server, SNMP agents.

Guarantees: each speaks the real protocol over a socket on loopback, keeps its data in the state folder, and is
killed by the kernel when the starting process dies; one that dies is started again at the same place. Only one
process uses a state folder at a time. Nothing that is configured is started.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from actors.cli.rendezvous import make_folder, unwritten
from config.examples import load_agents
from config.sections import Snapshot
from config.snmp_section import SnmpSection
from sim.etcd_binary import EtcdBinary, EtcdNotFoundError, Grade, default_cache_dir, find_etcd
from sim.etcd_server import EtcdStartError, RunningEtcd, start_etcd
from sim.heat_server import launch as heat_launch
from sim.real_heat import launch as real_heat_launch
from sim.snmp_agents import launch as agents_launch

Say = Callable[[str], None]

DEFAULT_INTERVAL_S = SnmpSection().interval_s
#: How often the embedded devices are polled, unless configured: changes shall be seen as they happen.
LIVELY_S = 1.0


#: What starting a service may raise.
FAILURES = (OSError, RuntimeError, ValueError, EtcdNotFoundError, EtcdStartError)


class ServiceError(RuntimeError):
    """A service cannot be started. The text is one line for a person."""


class Services:
    """The services of one standalone run. Use `start`, then `mend` now and then, then `stop`."""

    def __init__(self, settings: Snapshot, say: Say) -> None:
        self.settings = settings
        self._say = say
        self._state = settings.paths.state_dir
        self._lock: IO[str] | None = None
        self._etcd: RunningEtcd | None = None
        self._binary: EtcdBinary | None = None
        self._heat: heat_launch.RunningHeat | None = None
        self._heat_port = 0
        self._agents: agents_launch.RunningAgents | None = None
        self._agents_config: dict[str, Any] = {}

    def start(self) -> Snapshot:
        """Start what is not configured; the settings with the addresses filled in.

        Raises ServiceError, and SettingsError for a state folder that cannot be.
        """
        make_folder(self._state)
        self._take_lock()
        try:
            if not self.settings.etcd.endpoints:
                self._start_etcd()
            if self.settings.heat.source == "embedded":
                self._start_heat()
            if not self.settings.snmp.devices:
                self._start_agents()
        except FAILURES as error:
            self.stop()
            raise ServiceError(str(error)) from error
        return self.settings

    def mend(self) -> None:
        """Start again whatever has died, where it was, on the data that it had. Raises ServiceError."""
        try:
            self._mend()
        except FAILURES as error:
            raise ServiceError(str(error)) from error

    def _mend(self) -> None:
        if self._etcd is not None and not self._etcd.running and self._binary is not None:
            self._say(f"etcd (pid {self._etcd.pid}) died; starting it again on its data")
            self._etcd = start_etcd(
                self._binary, self._state / "etcd", ports=self._etcd.ports, allow_unsafe=True
            )
        if self._heat is not None and self._heat.process.poll() is not None:
            self._say(f"the Heat API server (pid {self._heat.pid}) died; starting it again on its data")
            self._heat = self._launch_heat()
        if self._agents is not None and not self._agents.running:
            self._say(f"the SNMP agents (pid {self._agents.pid}) died; starting them again")
            self._agents = agents_launch.start(self._agents_config, self.control_path(self._state))

    def stop(self) -> None:
        """End everything that was started here. Data stays."""
        for service in (self._agents, self._heat, self._etcd):
            if service is not None:
                service.stop()
        self._agents = self._heat = self._etcd = None
        if self._lock is not None:  # else the folder, and the socket in it, is somebody else's
            self.control_path(self._state).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def pids(self) -> dict[str, int]:
        """Process ids by service."""
        services = {"etcd": self._etcd, "heat": self._heat, "agents": self._agents}
        return {name: service.pid for name, service in services.items() if service is not None}

    def control(self, line: str) -> dict[str, Any]:
        """One command for the agents of the standalone system that runs in the state folder."""
        path = self.control_path(self._state)
        if not path.exists():
            return {"ok": False, "error": f"no standalone system runs in {self._state}"}
        try:
            return agents_launch.control(path, line)
        except agents_launch.AgentsError as error:
            return {"ok": False, "error": str(error)}

    @staticmethod
    def control_path(state_dir: Path) -> Path:
        """The socket that takes commands for the agents of a running standalone system."""
        return state_dir / "agents.sock"

    def _take_lock(self) -> None:
        path = self._state / "lock"
        self._lock = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.seek(0)
            owner = self._lock.read().strip() or "another process"
            self._lock.close()
            self._lock = None
            raise ServiceError(f"{owner} runs in {self._state} already") from error
        try:
            self._lock.truncate(0)
            os.write(self._lock.fileno(), f"pid {os.getpid()}".encode())
        except OSError as error:
            raise unwritten(self._state, error) from error

    def _start_etcd(self) -> None:
        self._binary = find_etcd(default_cache_dir())
        self._etcd = start_etcd(self._binary, self._state / "etcd", allow_unsafe=True)
        loud = "" if self._binary.grade is Grade.OK else f"  !! {self._binary.remark}"
        self._say(f"etcd {self._binary.version} at {self._etcd.endpoint} (pid {self._etcd.pid}){loud}")
        etcd = replace(self.settings.etcd, endpoints=(f"http://{self._etcd.endpoint}",))
        self.settings = replace(self.settings, etcd=etcd)

    def _start_heat(self) -> None:
        self._heat_port = _free_port()
        self._heat = self._launch_heat()
        kind = "OpenStack Heat" if self.settings.standalone.heat == "real" else "embedded"
        self._say(f"Heat API at {self._heat.url} (pid {self._heat.pid}), {kind}")
        self.settings = replace(
            self.settings, heat=replace(self.settings.heat, endpoint=self._heat.url + "/v1")
        )

    def _launch_heat(self) -> heat_launch.RunningHeat:
        seconds = self.settings.standalone.resource_seconds
        if self.settings.standalone.heat == "real":
            options = ("--resource-seconds", str(seconds))
            folder = self._state / "real-heat"
            return real_heat_launch.start(folder, port=self._heat_port, options=options, say=self._say)
        return heat_launch.start(self._state / "heat", seconds, port=self._heat_port)

    def _start_agents(self) -> None:
        wanted = load_agents(community=lambda name: self.settings.snmp.community(name).reveal())
        self._agents = agents_launch.start(wanted.config, self.control_path(self._state))
        devices = {
            declared: "{}:{}".format(*self._agents.addresses[name]) for declared, name in wanted.names.items()
        }
        # a restart must come back at the same ports
        rows = [{**row, "port": self._agents.addresses[row["name"]][1]} for row in wanted.config["devices"]]
        self._agents_config = {**wanted.config, "devices": rows}
        places = ", ".join(f"{declared} at {place}" for declared, place in devices.items())
        self._say(f"SNMP agents (pid {self._agents.pid}): {places}")
        snmp = replace(self.settings.snmp, devices=devices)
        if snmp.interval_s == DEFAULT_INTERVAL_S:  # toys may be asked more often than switches
            snmp = replace(snmp, interval_s=LIVELY_S, interval_active_s=LIVELY_S)
        self.settings = replace(self.settings, snmp=snmp)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
