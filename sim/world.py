"""One simulated world: controllers, etcd, Heat, devices, an API server, faults and promises, under one seed.

Guarantees: `run` plays the workload under faults, then calm, and checks every promise all along; the same seed,
size and profile give the same run, event for event (`Result.digest`). The actors are the product's own; all they
are given that is not the product's is a host and three ports. Takes no real time and starts no thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from zlib import crc32

from actors.core import keys
from actors.core.model import Json, Ref
from actors.core.monitor_types import MonitorType
from actors.core.options import Options
from actors.core.stackdrive import MARK
from actors.messages import Boot, Wiring
from actors.ports import Agent, Stacks, Store, WriteSet
from actors.supervisor import Supervisor
from config.monitor_types import load_monitor_types
from sim import catalog
from sim.api_server import TYPES, ApiServer
from sim.clients import HeatFaults, SimAgent, SimStore, Writer
from sim.dice import Dice, unit_of
from sim.fake_agent import FakeAgent
from sim.fake_etcd import FakeEtcd, FakeLease
from sim.fake_stacks import FakeStacks
from sim.faults import Injector, draw
from sim.heat.engine import Fate, Settings
from sim.heat.records import Record
from sim.host import SimHost
from sim.process import Cell, Process
from sim.sim_stacks import SimStacks
from sim.truth import Truth, ref_of
from sim.workload import Workload
from sim.workload import draw as draw_workload

#: The time that must pass without a write, and after which nothing may be left of what is deleted: longer than every
#: timer of the product in one seed of four, in the others long enough for whatever is due at once.
REST_S, SHORT_REST_S = 400.0, 100.0


#: What each profile adds to a workload.
ADDS = {"rough": ("rough",), "tangle": ("rough", "tangle"), "steered": ("rough", "steered")}
#: So often are two words repeated in a reason that is longer than etcd takes.
WORDS = 200_000


@dataclass(frozen=True, slots=True)
class Case:
    """What fixes a run. `only_faults`, `only_refs`: what is left after shrinking; None: everything."""

    seed: int
    resources: int = 20
    profile: str = "swarm"
    only_faults: frozenset[str] | None = None
    only_refs: frozenset[Ref] | None = None


@dataclass(slots=True)
class Controller:
    """One run.py with a restarting service manager. `root` None: it is down at the moment."""

    name: str
    boots: int = 0
    root: Cell | None = None


class World:
    """Everything there is in one run. `lagging`: faults have been on until a moment ago."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.lagging = True
        self.rest_s = REST_S if case.seed // 2 % 4 == 0 else SHORT_REST_S
        self.faults = Injector(case.seed, draw(case.seed, case.profile), case.only_faults)
        self.host = SimHost(case.seed, self.faults)
        self.host.events_max += 300 * case.resources
        self.host.root_gone = self._root_gone
        self.host.call_s = self._call_s
        self.workload = self._workload()
        self._dice = Dice(case.seed, "world")
        self._calls = Dice(case.seed, "calls")
        self._writer: Writer | None = None
        self.options = self._options()
        self.truth = Truth()
        self.etcd = SimEtcd(self.host)
        self.api = ApiServer(self.host, self.etcd, case.seed)
        self.etcd.listeners.append(self._revised)
        self._checked = self.etcd.revision
        self._actions: Counter[tuple[str, str]] = Counter()
        settings = Settings(resource_s=0.1, extra_s=self._action_s)
        self.heat = fault = HeatFaults(self.host, self._asked)
        self.stacks = SimStacks(lambda: self.host.now, settings, fault=fault, fate=self._fate)
        self.stacks.engine._changed = self._stack_changed
        self.tables = catalog.devices()
        self.agent = FakeAgent(_Clock(self.host), self.tables)
        for (device, _), tables in self.tables.items():
            for port in ("", *(one.name for one in tables.interfaces.values())):
                self.truth.seen[device, port].append((0.0, "UP"))
        self.stores: list[SimStore] = []
        self.controllers = [Controller(f"c{n}") for n in range(self._controllers())]
        self.finals = 0
        #: How often Heat was asked for something by a controller that did not own the resource any more.
        self.former_owners = 0
        self.phase = "faults"
        #: When all faults ended; None: they have not.
        self.calm_since: float | None = None
        self.invariants = [each(self) for each in _invariants()]
        #: Those that look at each revision.
        self.revising = [one for one in self.invariants if "revised" in vars(type(one))]

    def _workload(self) -> Workload:
        workload = draw_workload(self.case.seed, self.case.resources, ADDS.get(self.case.profile, ()))
        return workload if self.case.only_refs is None else workload.only(self.case.only_refs)

    def _controllers(self) -> int:
        return 1 if self.case.profile == "calm" or self._dice.chance(0.6) else 2

    def _options(self) -> Options:
        dice = self._dice
        return replace(
            Options(types=catalog.TYPES, monitor_types=_monitor_types()),
            shards=dice.one((1, 1, 2)),
            heat_actors=dice.one((1, 2)),
            snmp_actors=dice.one((1, 2)),
            live_resources_max=dice.one((4, 10_000, 10_000)),
            heat_stacks_per_tenant_max=dice.one((3, 1_000, 1_000)),
        )

    # --------------------------------------------------------------------------------------- controllers

    def boot(self, controller: Controller) -> None:
        """The service manager starts a controller."""
        controller.boots += 1
        name, faults, wall = f"{controller.name}.{controller.boots}", self.faults, 0.0
        if faults.hit("clock.drift", name):
            amount = faults.amount(faults.last)
            self.host.clocks[name] = (0.98 + 0.04 * amount, 1e6 * amount)
        if faults.hit("clock.wall", name):
            wall = 3600.0 * (2.0 * faults.amount(faults.last) - 1.0)
        controller.root = root = self.host.root(Supervisor, name)
        wiring = Wiring(self._store, self._stacks, self._agent)
        boot = Boot(self.options, wiring, f"{controller.name}/{controller.boots}", wall)
        self.host.deliver_at(self.host.now, root, boot, root)

    def _root_gone(self, process: Process) -> None:
        for controller in self.controllers:
            if controller.root is not None and controller.root.process is process:
                controller.root = None
                wait = 0.5 + 2 * unit_of(self.case.seed, controller.name, controller.boots)
                self.host.at(self.host.now + wait, lambda c=controller: self.boot(c))  # type: ignore[misc]

    def processes_of(self, controller: Controller) -> list[Process]:
        """Its processes that live, oldest first."""
        name = f"{controller.name}.{controller.boots}"
        return [process for process in self.host.processes if process.controller == name]

    def _store(self) -> Store:
        process = self.host.current
        assert process is not None, "ports are made in the process that uses them"
        store = SimStore(self.host, self.etcd, process, self._note, self._tried, self._refused)
        self.stores = [one for one in self.stores if not one.closed]
        self.stores.append(store)
        return store

    def _stacks(self) -> Stacks:
        return self.stacks

    def _agent(self) -> Agent:
        return SimAgent(self.host, self.agent, lambda device: None)

    def _note(self, writer: Writer | None) -> None:
        self._writer = writer

    def _tried(self, asked: WriteSet) -> None:
        for invariant in self.invariants:
            invariant.tried(asked)

    def _refused(self, refused: WriteSet, writer: Writer) -> None:
        for invariant in self.invariants:
            invariant.refused(refused, writer)

    def _call_s(self, cell: Cell) -> tuple[float, float]:
        """How long a request travels, and its answer: etcd is near, Heat is not."""
        there, back, late_s = self._calls.unit(), self._calls.unit(), 0.0
        if self.faults.hit("thread.late", cell.name):
            late_s = 5.0 * self.faults.amount(self.faults.last)
        if type(cell.actor).__name__ == "HeatActor":
            return 0.002 + 0.03 * there, 0.002 + 0.2 * back**4 + late_s
        return 0.0002 + 0.002 * there, 0.0002 + 0.01 * back**4 + late_s

    # ---------------------------------------------------------------------------------------------- Heat

    def _fate(self, action: str, name: str) -> Fate:
        if action == "DELETE":
            return Fate.FAIL if self.faults.hit("heat.delete_fails", name) else Fate.NATURAL
        if self.faults.hit("heat.fails", f"{action} {name}"):
            return Fate.FAIL
        return Fate.STUCK if self.faults.hit("heat.stuck", f"{action} {name}") else Fate.NATURAL

    def _action_s(self, action: str, name: str) -> float:
        """How long an action takes: mostly a second or two, now and then twenty, of a mesh rather more."""
        self._actions[action, name] += 1
        luck = unit_of(self.case.seed, f"{action} {name}", self._actions[action, name])
        if self.faults.hit("heat.long", f"{action} {name}"):
            return 30.0 + 270.0 * luck
        return 0.1 + 20.0 * luck ** (2 if name.startswith("mesh_") else 5)

    def _asked(self, action: str, name: str) -> None:
        owner, actor = self.truth.owner(ref_of(name)), self.host.current
        assert actor is not None, "Heat is asked by processes"
        if owner is None or owner.value.decode() != actor.controller.replace(".", "/"):
            # Heat knows no fences: what a former owner still does to a stack counts as done by a stranger
            self.former_owners += 1
            self.truth.stacks[name].meddled = True
            return
        spec = self.stacks.spec if action != "delete" else None
        for invariant in self.invariants:
            invariant.asked(action, name, spec)

    def _stack_changed(self, record: Record) -> None:
        if record.status == "FAILED" and self.faults.hit("heat.wordy", record.name):
            record.reason = "resources.it: " + WORDS * "lore ipsum "
        if record.status != "IN_PROGRESS":
            self.host.record(record.name, record.stack_status)
            self.truth.stack_changed(record)

    def stacks_named(self, name: str) -> list[Record]:
        """All living stacks of that name, whatever the tenant."""
        engine = self.stacks.engine
        engine.settle()
        return [one for tenant in engine._tenants for one in engine._names.get((tenant, name), ())]

    def stacks_of(self, ref: Ref) -> list[Record]:
        """Those of a resource."""
        return self.stacks_named(keys.stack_name(ref))

    def living_stacks(self) -> list[Record]:
        """All of them."""
        self.stacks.engine.settle()
        return list(self.stacks.engine._stacks.values())

    # ---------------------------------------------------------------------------------------------- etcd

    def _revised(self) -> None:
        """A new revision: take it over, then check every promise about it."""
        for revision, changes in self.etcd._history[-3:]:
            if revision <= self._checked:
                continue
            self._checked = revision
            writes = [self.truth.changed(change, revision, self.host.now) for change in changes]
            for change, write in zip(changes, writes, strict=True):
                self.host.record(revision, change.key, crc32(getattr(change, "value", b"")))
                self.api.changed(change)
                self.finals += write.root == keys.STATE and not write.deleted
            for invariant in self.revising:
                invariant.revised(writes, self._writer)

    def path(self, ref: Ref) -> str:
        """What follows each root in its keys."""
        return TYPES.path(ref)

    def accepted(self, ref: Ref) -> dict[str, Json] | None:
        """The declaration that the product works at."""
        value: dict[str, Json] | None = self.truth.values.get(keys.ACCEPTED + TYPES.path(ref))
        return value

    def hopeless_now(self) -> frozenset[Ref]:
        """Resources that cannot be built as they are declared now."""
        return self.api.hopeless(self.workload.hopeless)

    def heal_stacks(self) -> None:
        """An operator sees to what others did to our stacks, and to those that hang."""
        engine = self.stacks.engine
        for record in self.living_stacks():
            if MARK not in record.tags and record.status != "IN_PROGRESS":
                engine.delete(record)
            elif record.status == "IN_PROGRESS":
                record.outcome = ("FAILED", f"Engine went down during stack {record.action}")
                engine._finish(record, self.host.now)
                self._stack_changed(record)

    def whole(self) -> bool:
        """Whether every process that a Supervisor counts on lives."""
        supervisors = self.host.actors(Supervisor)
        return all(member.address.process.alive for one in supervisors for member in one._members)

    def look(self) -> None:
        """Check what is checked from time to time."""
        for invariant in self.invariants:
            invariant.looked()

    def checks(self) -> dict[str, int]:
        """Promise → how often it was checked."""
        return {type(one).__name__: one.checks for one in self.invariants}


def _invariants() -> Sequence[type]:
    from sim.invariants import ALL  # the promises know the world

    return ALL


@cache
def _monitor_types() -> Mapping[str, MonitorType]:
    return load_monitor_types()


class SimEtcd(FakeEtcd):
    """etcd, which ends leases by itself."""

    def __init__(self, host: SimHost) -> None:
        super().__init__(_Clock(host))
        self._host = host

    def keep(self, lease: FakeLease, *, kept: bool) -> None:
        """See FakeEtcd."""
        super().keep(lease, kept=kept)
        if not kept:
            self.expire_at(lease.deadline)

    def bytes_in_use(self) -> int:
        """About so many; the exact number would be most of the work of a run."""
        return 500 * len(self._history)

    def expire_at(self, deadline: float) -> None:
        """Look at the leases just after that time."""
        self._host.at(deadline + 0.001, self.expire)


class _Clock:
    def __init__(self, host: SimHost) -> None:
        self._host = host

    def now(self) -> float:
        return self._host.now


__all__ = ["Case", "Controller", "FakeStacks", "World"]
