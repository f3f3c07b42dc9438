"""The faults that strike at a time rather than at an opportunity: what each does to a world.

Guarantees: whom a fault strikes follows from its name and the world at that moment; whatever it breaks for a time
it also mends, at the latest when the faults end (`end_all`).
"""

from __future__ import annotations

from typing import TypeVar

from actors.device import DeviceActor
from actors.etcd_bridge import EtcdBridge
from actors.heat_pool import HeatActor
from actors.resource import ResourceActor
from actors.runtime.actor import BaseActor
from actors.shard import Shard
from actors.snmp_pool import SnmpPollerActor
from sim import catalog
from sim.clients import SimStore
from sim.heat.engine import Request
from sim.process import Process
from sim.snmp_agents.mib import DOWN, UP, DeviceTables, Interface
from sim.world import Controller, World

T = TypeVar("T")

_PROCESSES: dict[str, type[BaseActor]] = {
    "crash.bridge": EtcdBridge,
    "crash.heat": HeatActor,
    "crash.snmp": SnmpPollerActor,
    "crash.shard": Shard,
}


class Disasters:
    """Carries out the scheduled faults of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._host = world.host
        self._faults = world.faults
        #: Interfaces that have another name for a time, and their own.
        self._renamed: list[tuple[Interface, str]] = []

    def schedule(self, duration_s: float) -> None:
        """Put all of them in their places."""
        for at, name in self._faults.scheduled(duration_s):
            self._host.at(at, lambda name=name: self._strike(name))  # type: ignore[misc]

    def end_all(self) -> None:
        """The faults are over: what is broken for a time is whole again."""
        host = self._host
        for store in self._stores():
            store.stalled_until = store.leaderless_until = store.full_until = 0.0
            store.reconnect()
        self._world.heat.down_until = 0.0
        for process in list(host.processes):
            process.asleep_until = min(process.asleep_until, host.now)
            host.wake(process)
        for interface, _ in list(self._renamed):
            self._call_again(interface)
        for (device, _), tables in self._world.tables.items():
            tables.quiet = False
            self._see(device, "", "UP")
            for port in dict.fromkeys(one.name for one in tables.interfaces.values()):
                self._port(device, tables, port, UP)

    def unplug(self, device: str, port: str) -> None:
        """A port is re-indexed behind our back, then goes down."""
        tables = self._world.tables[device, 161]
        names = [catalog.port_name(n) for n in range(catalog.PORTS_PER_DEVICE)]
        tables.swap(port, names[(names.index(port) + 1) % len(names)])
        self._port(device, tables, port, DOWN)

    def plug(self, device: str, port: str) -> None:
        """It comes back."""
        self._port(device, self._world.tables[device, 161], port, UP)

    def _strike(self, name: str) -> None:
        if not self._faults.active:
            return
        kind = name.partition("@")[0]
        cls = _PROCESSES.get(kind)
        method = self._crash if cls is not None else getattr(self, "_" + kind.replace(".", "_"))
        method(name)

    def _pick(self, name: str, things: list[T]) -> T | None:
        """One of them, if the fault is to happen at all."""
        if not things or not self._faults.timed(name):
            return None
        return things[int(self._faults.amount(f"{name} who") * len(things))]

    # ---------------------------------------------------------------------------------------- processes

    def _crash(self, name: str) -> None:
        actors = self._host.actors(_PROCESSES[name.partition("@")[0]])
        process = self._pick(name, [actor._host.process for actor in actors])  # type: ignore[attr-defined]
        if process is not None:
            self._host.crash(process, name)

    def _crash_actor(self, name: str) -> None:
        actors: list[BaseActor] = [*self._host.actors(ResourceActor), *self._host.actors(DeviceActor)]
        cell = self._pick(name, [actor._host for actor in actors])
        if cell is not None:
            self._host.crash_cell(cell)  # type: ignore[arg-type]

    def _crash_controller(self, name: str) -> None:
        controller = self._pick(name, self._up())
        if controller is not None and controller.root is not None:
            self._host.crash(controller.root.process, name)

    def _stop_controller(self, name: str) -> None:
        controller = self._pick(name, self._up())
        if controller is not None and controller.root is not None:
            self._host.ask_to_end(controller.root, controller.root)

    def _pause_process(self, name: str) -> None:
        process = self._pick(name, list(self._host.processes))
        if process is not None:
            self._host.pause(process, 40 * self._faults.amount(name) ** 2)

    def _pause_controller(self, name: str) -> None:
        controller = self._pick(name, self._up())
        if controller is not None:
            for process in self._world.processes_of(controller):
                self._host.pause(process, 60 * self._faults.amount(name))

    def _up(self) -> list[Controller]:
        return [one for one in self._world.controllers if one.root is not None]

    # --------------------------------------------------------------------------------------------- etcd

    def _stores(self) -> list[SimStore]:
        return [store for store in self._world.stores if not store.closed]

    def _etcd_election(self, name: str) -> None:
        if self._faults.timed(name):
            for store in self._stores():
                store.leaderless_until = self._host.now + 4 * self._faults.amount(name)

    def _etcd_no_space(self, name: str) -> None:
        if self._faults.timed(name):
            for store in self._stores():
                store.full_until = self._host.now + 10 * self._faults.amount(name)

    def _etcd_partition(self, name: str) -> None:
        store = self._pick(name, self._stores())
        if store is not None:
            store.disconnect("connection reset")
            self._later(30 * self._faults.amount(name), store.reconnect)

    def _etcd_watch_cut(self, name: str) -> None:
        store = self._pick(name, self._stores())
        if store is not None:
            store.cut()
            self._later(5 * self._faults.amount(name) ** 2, store.resume)

    def _etcd_watch_stall(self, name: str) -> None:
        store = self._pick(name, self._stores())
        if store is not None:
            store.stalled_until = self._host.now + 20 * self._faults.amount(name)

    def _etcd_compaction(self, name: str) -> None:
        store = self._pick(name, self._stores())
        if store is not None:
            store.cut()
            self._later(3 * self._faults.amount(name), lambda: self._compact(store))

    def _compact(self, store: SimStore) -> None:
        self._world.etcd.compact(self._world.etcd.revision)
        store.resume()

    def _etcd_lease_early(self, name: str) -> None:
        etcd = self._world.etcd
        lease = self._pick(name, [one for one in etcd._leases.values() if one.keys])
        if lease is not None:
            etcd.revoke(lease)

    def _later(self, seconds: float, call: object) -> None:
        self._host.at(self._host.now + seconds, call)  # type: ignore[arg-type]

    # --------------------------------------------------------------------------------------------- Heat

    def _heat_outage(self, name: str) -> None:
        if self._faults.timed(name):
            self._world.heat.down_until = self._host.now + 30 * self._faults.amount(name)

    def _heat_engine(self, name: str) -> None:
        engine = self._world.stacks.engine
        busy = [one for one in self._world.living_stacks() if one.status == "IN_PROGRESS"]
        if busy and self._faults.timed(name):
            for record in busy:
                record.outcome = ("FAILED", f"Engine went down during stack {record.action}")
                engine._finish(record, self._host.now)
                self._world._stack_changed(record)

    def _heat_foreign_delete(self, name: str) -> None:
        record = self._pick(name, self._world.living_stacks())
        if record is not None:
            self._world.truth.stacks[record.name].meddled = True
            self._world.stacks.engine.delete(record)

    def _heat_foreign_update(self, name: str) -> None:
        ended = [one for one in self._world.living_stacks() if one.stack_status.endswith("E_COMPLETE")]
        record = self._pick(name, ended)
        if record is not None:
            self._world.truth.stacks[record.name].meddled = True
            kept = record.tags if self._faults.amount(name) < 0.5 else None
            self._world.stacks.engine.update(record, Request(None, {"note": "foreign"}, tags=kept))

    def _heat_twin(self, name: str) -> None:
        record = self._pick(name, self._world.living_stacks())
        if record is not None:
            self._world.truth.stacks[record.name].meddled = True
            request = Request(record.template.document, dict(record.given), 1, True, record.tags)
            self._world.stacks.engine.create(record.tenant, record.name, request, twin=True)

    # ------------------------------------------------------------------------------------------ devices

    def _device(self, name: str) -> tuple[str, DeviceTables] | None:
        found = self._pick(name, list(self._world.tables.items()))
        return (found[0][0], found[1]) if found is not None else None

    def _see(self, device: str, port: str, status: str) -> None:
        self._world.truth.seen[device, port].append((self._host.now, status))

    def _port(self, device: str, tables: DeviceTables, port: str, oper: int) -> None:
        if any(one.name == port for one in tables.interfaces.values()):
            tables.set_port(port, oper, self._host.now)
            self._see(device, port, "UP" if oper == UP else "DOWN")

    def _snmp_quiet(self, name: str) -> None:
        found = self._device(name)
        if found is not None:
            device, tables = found
            tables.quiet = True
            self._see(device, "", "SILENT")
            self._later(60 * self._faults.amount(name), lambda: self._speak(device, tables))

    def _speak(self, device: str, tables: DeviceTables) -> None:
        tables.quiet = False
        self._see(device, "", "UP")

    def _snmp_reboot(self, name: str) -> None:
        found = self._device(name)
        if found is not None:
            found[1].reboot(self._host.now)

    def _snmp_renumber(self, name: str) -> None:
        found = self._device(name)
        if found is not None:
            found[1].renumber(self._host.now, by=100)

    def _snmp_swap(self, name: str) -> None:
        found = self._device(name)
        if found is not None:
            names = sorted(one.name for one in found[1].interfaces.values())
            first = int(self._faults.amount(name) * len(names))
            found[1].swap(names[first], names[first - 1])

    def _snmp_nameless(self, name: str) -> None:
        found = self._device(name)
        if found is not None:
            interfaces = list(found[1].interfaces.values())
            one = interfaces[int(self._faults.amount(f"{name} port") * len(interfaces))]
            self._call_otherwise(one, "", name)

    def _snmp_moved(self, name: str) -> None:
        found = self._device(name)
        if found is not None:
            for number, one in enumerate(found[1].interfaces.values()):
                self._call_otherwise(one, f"other{number}", name)

    def _call_otherwise(self, interface: Interface, other: str, fault: str) -> None:
        if any(known is interface for known, _ in self._renamed):
            return
        self._renamed.append((interface, interface.name))
        interface.name = other
        self._later(60 * self._faults.amount(fault), lambda: self._call_again(interface))

    def _call_again(self, interface: Interface) -> None:
        # by identity: the same port of two devices compares equal
        own = [name for known, name in self._renamed if known is interface]
        self._renamed = [one for one in self._renamed if one[0] is not interface]
        interface.name = own[0] if own else interface.name

    def _snmp_flap(self, name: str) -> None:
        found = self._device(name)
        if found is not None:
            device, tables = found
            port = catalog.port_name(int(self._faults.amount(f"{name} port") * catalog.PORTS_PER_DEVICE))
            self._port(device, tables, port, DOWN)
            self._later(60 * self._faults.amount(name), lambda: self._port(device, tables, port, UP))


__all__ = ["Disasters", "Process"]
