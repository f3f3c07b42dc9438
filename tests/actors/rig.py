"""The product's actors in one thread over the fakes: the gateway of the seed, or anything else, on a manual clock."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from actors.core.options import Options
from actors.messages import Apply, Boot, StatusQuery, StatusReply, Wiring
from actors.ports import Put, WriteSet
from actors.runtime.inline import InlineAddress, InlineHost
from actors.supervisor import Supervisor
from config.examples import load_agents, load_declarations, load_templates
from config.monitor_types import load_monitor_types
from config.types import load_types
from sim.fake_agent import FakeAgent
from sim.fake_etcd import FakeEtcd
from sim.fake_stacks import FakeStacks
from sim.fake_store import FakeStore
from sim.heat.engine import Settings
from sim.snmp_agents.config import devices_of

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "gateway.yaml"
TYPES = load_types()


@dataclass
class Rig:
    """One controller over fakes. `etcd`, `stacks`, `agent` are open to tests."""

    options: Options = field(
        default_factory=lambda: Options(tuple(TYPES), monitor_types=load_monitor_types())
    )
    host: InlineHost = field(default_factory=lambda: InlineHost(pickling=False))
    heat: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        clock = _Clock(self.host)
        self.etcd = FakeEtcd(clock)
        self.stacks = FakeStacks(clock.now, self.heat)
        agents = load_agents()
        placed = devices_of(agents.config, 0.0)
        devices, names = {}, {}
        for port, one in enumerate(placed, 1000):
            devices[("127.0.0.1", port)] = one.tables
            names[one.tables.name] = f"127.0.0.1:{port}"
        self.agent = FakeAgent(clock, devices)
        self.tables = {one.tables.name: one.tables for one in placed}
        places = {declared: names[name] for declared, name in agents.names.items()}
        self.options = replace(self.options, devices=places)
        self.client = FakeStore(self.etcd)
        self.start()

    def start(self, owner: str = "rig") -> None:
        """A new controller on the same etcd, Heat and devices."""
        self.root = self.host.spawn(Supervisor)
        wiring = Wiring(self.store, lambda: self.stacks, lambda: self.agent)
        self.host.tell(self.root, Boot(self.options, wiring, owner))

    def store(self) -> FakeStore:
        """The store of a new bridge."""
        return FakeStore(self.etcd)

    def crash(self) -> None:
        """The whole controller is gone at once."""
        self.host.crash(self.root)

    def apply(self, documents: list[tuple[str, bytes]]) -> None:
        """Declare, as an API server does."""
        self.host.tell(self.root, Apply("apply", tuple(documents)))

    def apply_example(self) -> None:
        """The templates and the gateway of the seed."""
        self.apply(load_templates() + load_declarations(EXAMPLE, TYPES))

    def put(self, key: str, value: object) -> None:
        """Write a key from outside."""
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.client.commit([WriteSet((Put(key, raw),))])

    def get(self, key: str) -> Any:
        """A value, decoded; None if absent."""
        entry = self.etcd.get(key)
        return json.loads(entry.value) if entry is not None else None

    def keys(self, prefix: str) -> list[str]:
        """All keys under a prefix."""
        return [e.key for e in self.client.page(prefix, limit=100_000).entries]

    def status(self) -> StatusReply:
        """What a person would see."""
        me: InlineAddress = self.host.external("person")
        self.host.tell(self.root, StatusQuery("q"), sender=me)
        self.host.run()
        self.host.advance(0.01)
        replies = [m for m in self.host.take(me) if isinstance(m, StatusReply)]
        assert replies, "the supervisor answers every status query"
        return replies[-1]

    def settle(self, limit_s: float = 60.0) -> float:
        """Run until nothing is in flight; returns the seconds that took."""
        began = self.host.now
        while self.host.now - began < limit_s:
            self.host.advance(0.5)
            rows = self.status().rows
            if rows and all(row.stage in ("settled", "failed") for row in rows):
                return self.host.now - began
        raise AssertionError(
            {str(r.ref): (r.stage, r.reason) for r in self.status().rows if r.stage != "settled"}
        )


class _Clock:
    def __init__(self, host: InlineHost) -> None:
        self._host = host

    def now(self) -> float:
        return self._host.now
