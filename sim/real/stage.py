"""What runs in the second tier: etcd, Heat, agents and controllers, all real, and their service managers.

Guarantees: belongs to the main thread and never waits for etcd, so what stands still is always set going again in
time; what dies is started again where it was; `close` ends everything whatever its state, and tells what was left.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import yaml

from sim import catalog
from sim.dice import Dice
from sim.etcd_cluster import RunningCluster, start_cluster
from sim.etcd_server import EtcdBinary, EtcdStartError
from sim.heat_server import launch as heat_launch
from sim.real import heat_history
from sim.real.lives import EXPECTED_ENDS, Controller, left_behind, send
from sim.real.tap import Tap
from sim.snmp_agents import launch as agents_launch

_END_S = 15.0
#: All history is kept: the checker wants it whole; compaction is a fault of its own.
_NO_COMPACTION = ("--auto-compaction-retention=0",)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to put on the stage. `bug`: one of `sim.mutants.BUGS`, to be planted in every controller."""

    seed: int
    members: int = 1
    controllers: int = 2
    bug: str = ""


@dataclass(slots=True)
class Seen:
    """What a device shows from a time on. `port` "": the device itself."""

    at: float
    device: str
    port: str
    status: str


@dataclass(slots=True)
class Stage:
    """Everything that runs. `crashed`: controllers that ended as they must not."""

    plan: Plan
    binary: EtcdBinary
    folder: Path
    say: Callable[[str], None]
    tap: Tap = field(default_factory=Tap)
    etcd: RunningCluster = field(init=False)
    heat: heat_launch.RunningHeat | None = None
    agents: agents_launch.RunningAgents | None = None
    controllers: list[Controller] = field(default_factory=list)
    devices: list[Seen] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    _heat_port: int = 0
    _agents_config: dict[str, Any] = field(default_factory=dict)
    _later: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: Any = field(default_factory=count)

    def open(self) -> None:
        """Start everything."""
        self.etcd = start_cluster(self.binary, self.folder / "etcd", self.plan.members, extra=_NO_COMPACTION)
        self._heat_port = _free_port()
        heat_history.prepare(self.heat_folder)
        self.heat = self._start_heat()
        self._start_agents()
        settings = self._settings()
        for number in range(self.plan.controllers):
            controller = Controller(f"c{number}", self.folder, settings, self.plan.bug)
            self.controllers.append(controller)
            self._start(controller)

    @property
    def heat_folder(self) -> Path:
        """Where Heat keeps its stacks."""
        return self.folder / "heat"

    def _settings(self) -> dict[str, object]:
        types = self.folder / "types.yaml"
        types.write_text(yaml.safe_dump(_types()), "utf-8")
        assert self.heat is not None and self.agents is not None, "they are started first"
        places = {name: "{}:{}".format(*place) for name, place in self.agents.addresses.items()}
        dice = Dice(self.plan.seed, "real settings")
        return {
            "TYPES__FILE": types,
            "ETCD__OWNER_TTL_S": 4,
            "ETCD__HISTORY_S": 0,
            "HEAT__ENDPOINT": self.heat.url + "/v1",
            "HEAT__TICK_S": 0.3,
            "HEAT__TIMEOUT_S": 5,
            "SNMP__DEVICES": json.dumps(places),
            "SNMP__TIMEOUT_S": 2,
            "SNMP__INTERVAL_ACTIVE_S": 1,
            "SNMP__INTERVAL_S": 2,
            "WORKERS__SHARDS": dice.one((1, 1, 2)),
            "WORKERS__HEAT_ACTORS": dice.one((1, 2)),
            "WORKERS__SNMP_ACTORS": dice.one((1, 2)),
            "LIMITS__MISSING_RESOURCE_WAIT_S": 15,
            "LIMITS__REQUEST_TIMEOUT_S": 3,
            "LIMITS__RETRY_CAP_S": 10,
            # four missed ones: shorter than many a pause; yet what needs longer to start is replaced for ever
            "SUPERVISION__HEARTBEAT_S": dice.one((2, 4)),
            "LOG__FORMAT": "json",
        }

    # ------------------------------------------------------------------------------------------- running

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Have that done then, or at the next `end_of_faults`."""
        heappush(self._later, (time.monotonic() + seconds, next(self._order), call))

    def step(self) -> None:
        """What is due."""
        while self._later and self._later[0][0] <= time.monotonic():
            heappop(self._later)[2]()
        self._mend()
        for controller in self.controllers:
            code = controller.ended()
            if code is not None:
                life = controller.lives[-1]
                self.tap.hang_up(life.line)
                if code not in EXPECTED_ENDS:
                    self.crashed.append(f"{life} ended with {code}: see {life.log.name}")
            if controller.due():
                self._start(controller)

    def end_of_faults(self) -> None:
        """Whatever stands still goes on, now."""
        while self._later:
            heappop(self._later)[2]()

    def _start(self, controller: Controller) -> None:
        targets = [("127.0.0.1", member.ports[0]) for member in self.etcd.members]
        controller.start(self.tap.line(targets))

    def _mend(self) -> None:
        for number, member in enumerate(self.etcd.members):
            if not member.running:
                with contextlib.suppress(EtcdStartError):  # its lock may be held for a moment: next time
                    self.etcd.members[number] = self.etcd.launch(number)
        if self.heat is not None and self.heat.process.poll() is not None:
            self.heat.stop()
            with contextlib.suppress(RuntimeError):
                self.heat = self._start_heat()
        if self.agents is not None and not self.agents.running:
            self.agents.stop()
            with contextlib.suppress(agents_launch.AgentsError):
                self.agents = agents_launch.start(self._agents_config, self.folder / "agents.sock")
                for device in self.agents.addresses:
                    self.all_well(device)

    def _start_heat(self) -> heat_launch.RunningHeat:
        seconds = Dice(self.plan.seed, "real Heat").one((0.2, 0.5, 1.5))
        return heat_launch.start(self.heat_folder, seconds, port=self._heat_port)

    def _start_agents(self) -> None:
        rows = [
            {
                "name": tables.name,
                "host": "127.0.0.1",
                "port": 0,
                "community": catalog.COMMUNITY,
                "interfaces": [one.name for one in tables.interfaces.values()],
            }
            for tables in catalog.devices().values()
        ]
        self.agents = agents_launch.start({"devices": rows}, self.folder / "agents.sock")
        places = self.agents.addresses
        # a restart must come back at the same ports
        self._agents_config = {"devices": [{**row, "port": places[str(row["name"])][1]} for row in rows]}
        for device in places:
            self.all_well(device)

    # ------------------------------------------------------------------------------------------- devices

    def control(self, line: str) -> bool:
        """One command to the agents; whether it was done."""
        if self.agents is None:
            return False
        with contextlib.suppress(agents_launch.AgentsError):
            return bool(self.agents.control(line, 1.0).get("ok"))
        return False

    def heal(self) -> bool:
        """Undo whatever was done to Heat and devices; whether all of them took it."""
        done = self.heat_rule()
        for device in self.agents.addresses if self.agents is not None else ():
            done &= self.control(f"quiet {device} off")
            for number in range(catalog.PORTS_PER_DEVICE):
                done &= self.control(f"port up {catalog.port_name(number)} {device}")
            self.all_well(device)
        return done

    def all_well(self, device: str) -> None:
        """A device and all its ports are up from now on."""
        for port in ("", *(catalog.port_name(number) for number in range(catalog.PORTS_PER_DEVICE))):
            self.devices.append(Seen(time.time(), device, port, "UP"))

    def heat_rule(self, **rule: object) -> bool:
        """A rule for the next requests to Heat, or (none given) all rules away; whether Heat took it."""
        if self.heat is None:
            return False
        request = urllib.request.Request(  # noqa: S310 - our own server
            self.heat.url + "/_faults",
            json.dumps(rule).encode() if rule else None,
            method="POST" if rule else "DELETE",
        )
        try:
            with urllib.request.urlopen(request, timeout=2.0) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    # ---------------------------------------------------------------------------------------------- end

    def close(self) -> list[str]:
        """End everything; what did not end in order, in words. Safe to call at any time, once."""
        self._later.clear()
        wrong = self._end_controllers()
        self.tap.close()
        for service in (self.agents, self.heat):
            if service is not None:
                _thaw(service.pid)
                service.stop()
        for member in getattr(getattr(self, "etcd", None), "members", ()):
            member.stop()
        return wrong

    def _end_controllers(self) -> list[str]:
        wrong: list[str] = []
        lives = [controller.life for controller in self.controllers if controller.life is not None]
        for life in lives:
            send(life.everyone(), signal.SIGCONT)
            life.process.terminate()
        end = time.monotonic() + _END_S
        for life in lives:
            try:
                life.process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                wrong.append(f"{life} did not end within {_END_S:g} s of SIGTERM")
        while (left := left_behind(self.folder)) and time.monotonic() < end:
            time.sleep(0.1)
        for process in left:
            with contextlib.suppress(psutil.Error):
                wrong.append(f"process {process.pid} ({process.name()}) is left behind")
        send(left, signal.SIGKILL)
        for life in lives:
            life.process.wait()
        temporary = self.folder / "tmp"
        if not left and temporary.exists():
            wrong += [f"{one.name} is left in the temporary folder" for one in temporary.iterdir()]
        return wrong


def _thaw(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).send_signal(signal.SIGCONT)


def _types() -> dict[str, Any]:
    """The catalogue's types in the form of `config/types.yaml`."""
    return {
        each.name: {
            "plural": each.plural,
            "prefix": each.prefix,
            "relations": dict(each.relations),
            "template_path": {str(handler.value): path for handler, path in each.template_path.items()},
        }
        for each in catalog.TYPES
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
