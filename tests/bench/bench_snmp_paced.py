"""100,000 ports in earnest: DeviceActors in one process, one poller process, real UDP agents. Prints, asserts nothing.

python -m tests.bench.bench_snmp_paced [--devices 2000] [--ports 50] [--dead 200] [--seconds 60] [--codec fast]
    [--pollers 1]
`--codec v3`: SNMPv3 (SHA-256, AES) against one snmpd of net-snmp that answers on every address.
Every device has port names of its own, so that nothing can be worked out once for all of them. The beginning
(registration, walks, first polls) is shown apart; once every port was told and a whole interval has passed, the
interval of 30 s rules. CPU is that of the two processes whole, also per port status: a busy machine inflates both.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from actors.core.model import Ref
from actors.core.monitors import target
from actors.core.options import Options
from actors.core.world import World
from actors.desk import Desk
from actors.device import DeviceActor
from actors.messages import (
    Boot,
    DeviceBegin,
    Ping,
    Pong,
    SnmpAnswer,
    TargetStatus,
    Topology,
    WatchTarget,
    Wiring,
)
from actors.ports import Agent, AgentTimeouts
from actors.runtime.actor import BaseActor
from actors.runtime.host import Address
from actors.runtime.logs import LogConfig
from actors.runtime.system import System, start
from actors.snmp_pool import SnmpPollerActor
from config.monitor_types import load_monitor_types
from sim.snmp_agents import launch

LAG_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Go:
    """Begin: watch these ports of these hosts."""

    ports: dict[str, tuple[str, ...]]
    places: dict[str, str]
    codec: str
    interval_s: float
    pollers: int


@dataclass(frozen=True, slots=True)
class Count:
    """What was seen so far? And forget the lags."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Polls that were answered, those that failed or lack something, statuses told, lags of the timer in seconds."""

    answered: int
    failed: int
    lacking: int
    looks: int
    statuses: dict[str, int]
    lags: tuple[float, ...]
    pids: dict[str, int] = field(default_factory=dict)


def agent(codec: Any) -> Agent:
    """The real adapter."""
    from actors.adapters.pysnmp_agent import PysnmpAgent

    if codec == "v3":
        from actors.adapters.pysnmp_v3 import V3User
        from tests.bench.v3_agent import KEY, USER

        users = {USER: V3User(USER, KEY, "SHA256", KEY, "AES")}
        return PysnmpAgent({}, AgentTimeouts(1.0, 2), users=users, local_host="127.0.0.1")
    return PysnmpAgent({}, AgentTimeouts(1.0, 2), codec=codec, local_host="127.0.0.1")


class CountingDevice(DeviceActor):
    """A DeviceActor whose answers are counted, for the whole process."""

    answered = failed = lacking = looks = 0

    def receive(self, message: object, sender: Address) -> None:
        """As ever."""
        if isinstance(message, SnmpAnswer):
            CountingDevice.answered += 1
            CountingDevice.failed += not message.answer.reachable
            CountingDevice.lacking += message.answer.reachable and message.answer.reason != ""
            CountingDevice.looks += len(message.answer.found) if message.answer.reachable else 0
        super().receive(message, sender)


class BenchShard(BaseActor):
    """Owns the devices and counts."""

    def started(self) -> None:
        """Nothing is watched yet."""
        self.statuses: Counter[str] = Counter()
        self.lags: list[float] = []
        self.pids: dict[str, int] = {"shard": os.getpid()}

    def receive(self, message: object, sender: Address) -> None:
        """Begin, count, answer."""
        match message:
            case Go():
                self.begin(message)
                self.tell(sender, "begun")
            case Pong():
                self.pids[f"poller {message.seq}"] = message.pid
            case TargetStatus():
                self.statuses[message.status] += 1
            case float():
                self.lags.append(self.now() - message)
                self.after(LAG_EVERY_S, self.now() + LAG_EVERY_S)
            case Count():
                device = CountingDevice
                told = Counted(
                    device.answered,
                    device.failed,
                    device.lacking,
                    device.looks,
                    dict(self.statuses),
                    tuple(self.lags),
                    self.pids,
                )
                self.lags = []
                self.tell(sender, told)

    def begin(self, go: Go) -> None:
        """Register everything, a resource per port."""
        types = load_monitor_types()
        options = Options((), monitor_types=types, devices=go.places, snmp_interval_s=go.interval_s)
        nothing: Any = None
        wiring = Wiring(nothing, nothing, partial(agent, go.codec))
        pollers = tuple(self.spawn(SnmpPollerActor) for _ in range(go.pollers))
        for number, poller in enumerate(pollers, 1):
            self.tell(poller, Boot(options, wiring, "bench"))
            self.tell(poller, Ping(number))
        topology = Topology(1, None, (), pollers, (self.me,))
        desk = Desk(options, World(()), topology, self.me, 0)
        for host, ports in go.ports.items():
            device = self.spawn(CountingDevice)
            self.tell(device, DeviceBegin(f"{host}|bench", desk))
            for name in ports:
                one = target("port", "physical_port", {"device_ip": host, "name": name}, "bench", types)
                ref = Ref("ese_physical_port", f"{host}-{name}")
                self.tell(device, WatchTarget(ref, 1, one, self.me))
        self.after(LAG_EVERY_S, self.now() + LAG_EVERY_S)


def cpu(pids: dict[str, int]) -> dict[str, float]:
    """CPU seconds so far, by role."""
    return {role: sum(psutil.Process(pid).cpu_times()[:2]) for role, pid in pids.items()}


def report(system: System, seconds: float, title: str, pollers: int) -> None:
    """Measure for so long, and print."""
    before = system.ask(Count(), 30, Counted)
    while len(before.pids) <= pollers:
        time.sleep(0.2)
        before = system.ask(Count(), 30, Counted)
    used, began = cpu(before.pids), time.monotonic()
    time.sleep(seconds)
    after, took = system.ask(Count(), 30, Counted), time.monotonic() - began
    spent = {role: 100 * (now - used[role]) / took for role, now in cpu(after.pids).items()}
    lags = sorted(after.lags)
    memory = {role: psutil.Process(pid).memory_info().rss / 2**20 for role, pid in after.pids.items()}
    looks = after.looks - before.looks
    shares = ", ".join(f"{role} {share:.1f} %" for role, share in spent.items())
    sys.stdout.write(
        f"{title}: {looks / took:,.0f} port statuses/s in "
        f"{(after.answered - before.answered) / took:.1f} polls/s, {after.failed - before.failed} failed, "
        f"{after.lacking - before.lacking} incomplete; "
        f"CPU of a core: {shares}, together {sum(spent.values()):.1f} %, "
        f"{sum(spent.values()) / 100 * took / max(1, looks) * 1e6:.1f} µs per port status; timer lag p50 "
        f"{1000 * lags[len(lags) // 2]:.1f} ms, p99 {1000 * lags[len(lags) * 99 // 100]:.1f} ms; memory "
        + ", ".join(f"{role} {mib:.0f} MiB" for role, mib in memory.items())
        + f"; told so far {after.statuses}; load {os.getloadavg()[0]:.1f}\n"
    )
    sys.stdout.flush()


def embedded(directory: Path, ports: dict[str, tuple[str, ...]]) -> tuple[Any, dict[str, str]]:
    """An agent of ours (v2c) for each device, and where each listens."""
    devices = [
        {
            "name": name,
            "host": f"127.1.{i // 250}.{i % 250 + 1}",
            "community": "bench",
            "interfaces": list(names),
            "max_bytes": 1472,
        }
        for i, (name, names) in enumerate(ports.items())
    ]
    agents = launch.start({"devices": devices}, directory / "control", 60)
    return agents, {name: "{}:{}".format(*agents.addresses[name]) for name in ports}


def real(directory: Path, ports: dict[str, tuple[str, ...]]) -> tuple[Any, dict[str, str]]:
    """One snmpd that stands for all these v3 devices, with the same ports."""
    from tests.bench.v3_agent import snmpd_v3

    running = snmpd_v3(directory, next(iter(ports.values())))
    return running, {name: f"127.1.{i // 250}.{i % 250 + 1}:{running.port}" for i, name in enumerate(ports)}


def settle(system: System, wanted: int, interval_s: float) -> None:
    """Wait until every port was told, ten intervals at most, and then until all are back in their slots."""
    until = time.monotonic() + 10 * interval_s
    while time.monotonic() < until:
        if sum(system.ask(Count(), 30, Counted).statuses.values()) >= wanted:
            break
        time.sleep(1)
    time.sleep(interval_s)


def main() -> None:
    """Start agents and actors, measure the beginning and then the pace."""
    parser = argparse.ArgumentParser()
    for name, default in (
        ("devices", 2000),
        ("ports", 50),
        ("dead", 0),
        ("seconds", 60),
        ("interval", 30),
        ("pollers", 1),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--codec", choices=("fast", "pysnmp", "v3"), default="fast")
    asked = parser.parse_args()
    v3 = asked.codec == "v3"
    ports = {
        f"d{i}": tuple(f"xe-{0 if v3 else i}/0/{port}" for port in range(asked.ports))
        for i in range(asked.devices - asked.dead)
    }
    system = start(BenchShard, log_config=LogConfig(level="ERROR"))
    with tempfile.TemporaryDirectory(prefix="gatewright-bench-") as directory:
        agents, places = (real if v3 else embedded)(Path(directory), ports)
        try:
            dead = {f"dead{i}": f"127.2.{i // 250}.{i % 250 + 1}:1161" for i in range(asked.dead)}
            places |= dead
            ports |= dict.fromkeys(dead, next(iter(ports.values())))
            began = time.monotonic()
            system.ask(Go(ports, places, asked.codec, asked.interval, asked.pollers), 120, str)
            sys.stdout.write(
                f"registered {len(places) * asked.ports:,} ports in {time.monotonic() - began:.1f} s\n"
            )
            report(system, asked.interval, "beginning", asked.pollers)
            settle(system, len(places) * asked.ports, asked.interval)
            report(system, asked.seconds, "paced", asked.pollers)
        finally:
            agents.stop()
            system.stop()


if __name__ == "__main__":
    main()
