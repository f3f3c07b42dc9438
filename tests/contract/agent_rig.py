"""The two worlds in which the Agent port is tested: in memory, and pysnmp against the embedded UDP agents."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from actors.adapters.pysnmp_agent import PysnmpAgent
from actors.core.asking import Indexes, Plan, Query
from actors.core.monitors import queries_of, target
from actors.core.polling import PollAnswer, PollRequest
from actors.ports import Agent, AgentTimeouts, DeviceAddress
from actors.snmp_poll import poll
from config.monitor_types import load_monitor_types
from sim.fake_agent import FakeAgent
from sim.snmp_agents.config import devices_of
from sim.snmp_agents.control import execute
from sim.snmp_agents.launch import RunningAgents, start

T = TypeVar("T")
NAME, SECRET = "EDGE_COMMUNITY", "not-the-name"
COMMUNITIES = {NAME: SECRET}
PORTS = ["xe-0/0/3", "xe-0/0/3.1025", "ae0", "ae0.1025"]
_PLAIN = {
    "community": SECRET,
    "interfaces": [*PORTS[:3], {"name": PORTS[3], "status": "down"}],
    "vrrp": [{"interface": "ae0.1025", "vrid": 7, "state": "MASTER"}],
    "bgp": [{"peer": "10.1.2.3", "state": "ESTABLISHED"}],
}
_SPARES = 30
CONFIG: dict[str, Any] = {
    "devices": [
        *({"name": f"plain{i}", "host": f"127.0.2.{i + 1}", **_PLAIN} for i in range(_SPARES)),
        {"name": "large", "community": SECRET, "interfaces": [f"ge-0/0/{i}" for i in range(130)]},
        {
            "name": "huge",
            "community": SECRET,
            "interfaces": [f"xe-{i // 500}/0/{i % 500}" for i in range(5000)],
        },
        {"name": "literal", "community": "literal-community", "interfaces": ["ge0"]},
        {
            "name": "twins",
            "community": SECRET,
            "interfaces": [
                {"name": "vtun2", "index": 5, "status": "down"},
                {"name": "vtun2", "index": 9},
                {"name": "vtun2", "index": 12, "status": "down"},
            ],
        },
    ]
}


class ManualClock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.at = 50.0

    def now(self) -> float:
        """See `ports.Clock`."""
        return self.at


class Rig(Protocol):
    """One world: agents of the port, addresses of the devices, and the control commands."""

    def agent(self, *, hasty: bool) -> Agent:
        """A new agent of the port; the test closes it. `hasty`: for tests that expect silence."""

    def where(self, name: str) -> DeviceAddress:
        """A device of CONFIG by name."""

    def control(self, line: str) -> dict[str, Any]:
        """Carry out a control command."""

    def spare(self) -> str:
        """The name of a plain device that no other test touches."""


class MemoryRig:
    """FakeAgent over the device tables."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self._tables = {placed.tables.name: placed.tables for placed in devices_of(CONFIG, 0.0)}
        self._where = {name: (f"10.0.0.{i}", 161) for i, name in enumerate(self._tables)}
        self._spares = itertools.count()

    def agent(self, *, hasty: bool) -> Agent:
        """See Rig. Silence takes no time here."""
        return FakeAgent(
            self.clock, {self._where[n]: tables for n, tables in self._tables.items()}, COMMUNITIES
        )

    def where(self, name: str) -> DeviceAddress:
        """See Rig."""
        return DeviceAddress(*self._where[name], NAME)

    def control(self, line: str) -> dict[str, Any]:
        """See Rig. Every command takes a second."""
        self.clock.at += 1
        return execute(self._tables, line, self.clock.at)

    def spare(self) -> str:
        """See Rig."""
        return f"plain{next(self._spares)}"


class UdpRig:
    """PysnmpAgent against the embedded agents in their own process."""

    def __init__(self, directory: Path) -> None:
        self.running: RunningAgents = start(CONFIG, directory / "control")
        self._spares = itertools.count()

    def agent(self, *, hasty: bool) -> Agent:
        """See Rig."""
        timeouts = AgentTimeouts(0.2, 1) if hasty else AgentTimeouts(0.5, 3)
        return PysnmpAgent(COMMUNITIES, timeouts, local_host="127.0.0.1")

    def where(self, name: str) -> DeviceAddress:
        """See Rig."""
        return DeviceAddress(*self.running.addresses[name], NAME)

    def control(self, line: str) -> dict[str, Any]:
        """See Rig."""
        return self.running.control(line)

    def spare(self) -> str:
        """See Rig."""
        return f"plain{next(self._spares)}"


def rigs(kind: str, directory: Path) -> Iterator[Rig]:
    """The body of a fixture: one world, taken down at the end."""
    if kind == "memory":
        yield MemoryRig()
        return
    rig = UdpRig(directory)
    try:
        yield rig
    finally:
        rig.running.stop()


def using(rig: Rig, work: Callable[[Agent], Coroutine[Any, Any, T]], *, hasty: bool = False) -> T:
    """Run `work` with a new agent, closed afterwards."""

    async def run() -> T:
        agent = rig.agent(hasty=hasty)
        try:
            return await work(agent)
        finally:
            agent.close()

    return asyncio.run(asyncio.wait_for(run(), 60))


TYPES = load_monitor_types()


def query(type_name: str, **properties: Any) -> Query:
    """How the status of a monitor of that type is read."""
    row = TYPES[type_name]
    return queries_of(target("m", type_name, {row.host: "h", **properties}, "", TYPES), row)[0]


def port(name: str) -> Query:
    """The status of a port."""
    return query("physical_port", name=name)


def request_for(
    where: DeviceAddress, *queries: Query, indexes: Indexes | None = None, **more: Any
) -> PollRequest:
    """The first request: nothing is known yet but `indexes`."""
    names: Indexes = {q.interface: () for q in queries if q.interface}
    plan = Plan(queries, names if indexes is None else indexes)
    return PollRequest(where.host, where.port, where.community_name, plan, **more)


class Poller:
    """Polls one device again and again, carrying over what the answers teach, as the DeviceActor does."""

    def __init__(
        self, rig: Rig, device: str, *ports: str, more: tuple[Query, ...] = (), **fields: Any
    ) -> None:
        self.rig = rig
        self.names = ports
        self.request = request_for(rig.where(device), *map(port, ports), *more, **fields)

    def poll(self, *, hasty: bool = False, **changes: Any) -> PollAnswer:
        """One poll."""
        request = replace(self.request, **changes)
        answer = using(self.rig, lambda agent: poll(agent, request), hasty=hasty)
        self.request = self.request.after(answer)
        return answer

    def ports(self, answer: PollAnswer) -> dict[str, Any]:
        """What the answer says of the ports, by name."""
        return dict(zip(self.names, answer.found, strict=False))
