"""Carrying out the faults of the second tier with real signals, sockets and requests.

Guarantees: what is broken for a time is mended by itself (`Stage.later`) and at the end of the faults at the latest.
A fault that finds nobody to strike is not counted. Belongs to the main thread.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

import psutil

from sim import catalog
from sim.etcd_http import Etcd
from sim.etcd_server import RunningEtcd
from sim.real.faults import PARTS, Strike
from sim.real.gateway import AWAY
from sim.real.lives import Life, send
from sim.real.stage import Seen, Stage

T = TypeVar("T")

_KILL, _STOP, _CONT, _TERM = signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, signal.SIGTERM
_METHODS = ("POST", "PUT", "DELETE", "")


class Striker:
    """Strikes. `hits`: how often each kind found somebody; `told`: when, what and whom, for a story."""

    def __init__(self, stage: Stage, recorded: Callable[[], int]) -> None:
        self._stage = stage
        self._members = [Etcd(endpoint, 1.0) for endpoint in stage.etcd.endpoints]
        self._recorded = recorded
        self.hits: Counter[str] = Counter()
        self.told: list[tuple[float, str]] = []

    def strike(self, one: Strike) -> bool:
        """Carry it out now; whether it found somebody."""
        verb, _, what = one.kind.partition(" ")
        if one.kind == "stop process":
            victim = self._part("stop", PARTS[1 + int(one.luck * len(PARTS[1:]))], one)
        elif what in PARTS:
            victim = self._part(verb, what, one)
        else:
            victim = getattr(self, "_" + one.kind.replace(" ", "_"))(one)
        if victim:
            self.hits[one.kind] += 1
            self.told.append((time.time(), f"{one.kind}: {victim}"))
        return bool(victim)

    def _life(self, one: Strike) -> Life | None:
        return _pick([c.life for c in self._stage.controllers if c.life is not None], one.luck)

    # --------------------------------------------------------------------------------------- controllers

    def _part(self, verb: str, part: str, one: Strike) -> str:
        life = self._life(one)
        if life is None:
            return ""
        process = _pick(life.parts().get(part, []), one.amount)
        if process is None:
            return ""
        if verb == "pause":
            return self._pause([process], 0.2 + 18 * one.amount**2, f"{part} of {life}")
        send([process], _KILL if verb == "kill" else _TERM)
        return f"{part} of {life} ({process.pid})"

    def _pause(self, processes: Sequence[psutil.Process], seconds: float, who: str) -> str:
        reached = send(processes, _STOP)
        self._stage.later(seconds, lambda: _go_on(reached))
        return f"{who} for {seconds:.1f} s" if reached else ""

    def _kill_controller(self, one: Strike) -> str:
        life = self._life(one)
        return str(life) if life is not None and send(life.everyone(), _KILL) else ""

    def _pause_controller(self, one: Strike) -> str:
        life = self._life(one)
        return self._pause(life.everyone(), 1.0 + 11 * one.amount, str(life)) if life is not None else ""

    def _reload_controller(self, one: Strike) -> str:
        life = self._life(one)
        # before run.py has said what SIGHUP means it would die of it, as any program
        if life is None or "admin" not in life.parts():
            return ""
        return str(life) if send(life.parts()["run.py"], signal.SIGHUP) else ""

    def _cut(self, one: Strike) -> str:
        life = self._life(one)
        if life is None:
            return ""
        self._stage.tap.cut(life.line)
        return str(life)

    def _stall(self, one: Strike) -> str:
        life = self._life(one)
        if life is None:
            return ""
        self._stage.tap.stall(life.line, on=True)
        seconds = 0.3 + 10 * one.amount**2
        self._stage.later(seconds, lambda: self._stage.tap.stall(life.line, on=False))
        return f"{life} for {seconds:.1f} s"

    # --------------------------------------------------------------------------------------------- etcd

    def _member(self, one: Strike) -> RunningEtcd | None:
        return _pick([member for member in self._stage.etcd.members if member.running], one.luck)

    def _leader(self) -> RunningEtcd | None:
        for client, member in zip(self._members, self._stage.etcd.members, strict=True):
            try:
                if member.running and client.leads():
                    return member
            except AWAY:
                continue
        return None

    def _kill_etcd(self, one: Strike) -> str:
        return _kill(self._member(one))

    def _kill_leader(self, _one: Strike) -> str:
        return _kill(self._leader())

    def _stop_etcd(self, one: Strike) -> str:
        member = self._member(one)
        return f"member {member.pid}" if member is not None and _signal(member.pid, _TERM) else ""

    def _pause_etcd(self, one: Strike) -> str:
        return self._freeze([self._member(one)], 0.2 + 8 * one.amount**2)

    def _pause_leader(self, one: Strike) -> str:
        return self._freeze([self._leader()], 0.5 + 6 * one.amount)

    def _pause_majority(self, one: Strike) -> str:
        first = int(one.luck * 3)
        members = [self._stage.etcd.members[(first + n) % 3] for n in range(2)]
        return self._freeze([member for member in members if member.running], 0.5 + 6 * one.amount**2)

    def _freeze(self, members: Sequence[RunningEtcd | None], seconds: float) -> str:
        processes = [psutil.Process(one.pid) for one in members if one is not None and one.running]
        return self._pause(processes, seconds, f"members {[one.pid for one in processes]}")

    def _compaction(self, one: Strike) -> str:
        """A bridge stands still meanwhile, so that its watch finds its history gone. Only what was recorded goes."""
        life = self._life(one)
        bridges = life.parts().get("bridge", []) if life is not None else []
        self._pause(bridges, 2.0, "bridge")

        def compact() -> None:
            revision = self._recorded()
            for client in self._members:
                try:
                    client.compact(revision)
                except AWAY:
                    continue
                return

        self._stage.later(1.5, compact)
        return f"in 1.5 s, the bridge of {life} stands still until then" if bridges else ""

    # --------------------------------------------------------------------------------------------- Heat

    def _kill_heat(self, _one: Strike) -> str:
        return self._service(self._stage.heat, _KILL)

    def _stop_heat(self, _one: Strike) -> str:
        return self._service(self._stage.heat, _TERM)

    def _kill_agents(self, _one: Strike) -> str:
        return self._service(self._stage.agents, _KILL)

    def _service(self, service: object, number: signal.Signals) -> str:
        pid = getattr(service, "pid", 0)
        return f"{pid}" if pid and _signal(pid, number) else ""

    def _pause_heat(self, one: Strike) -> str:
        return self._pause_service(self._stage.heat, 0.5 + 9 * one.amount**2)

    def _pause_agents(self, one: Strike) -> str:
        return self._pause_service(self._stage.agents, 0.5 + 9 * one.amount**2)

    def _pause_service(self, service: object, seconds: float) -> str:
        pid = getattr(service, "pid", 0)
        if not pid or not psutil.pid_exists(pid):
            return ""
        return self._pause([psutil.Process(pid)], seconds, f"{pid}")

    def _rule(self, one: Strike, action: str, most: int, **more: object) -> str:
        times = 1 + int(one.amount * most)
        method = _METHODS[int(one.luck * len(_METHODS))]
        done = self._stage.heat_rule(action=action, path="/stacks", method=method, count=times, **more)
        return f"{times} of {method or 'any request'}" if done else ""

    def _heat_lost_reply(self, one: Strike) -> str:
        return self._rule(one, "drop_reply", 3)

    def _heat_late_reply(self, one: Strike) -> str:
        return self._rule(one, "late", 3, seconds=1.0 + 3 * one.luck)

    def _heat_error(self, one: Strike) -> str:
        return self._rule(one, "status", 8, status=503, type="ServiceUnavailable")

    def _heat_page(self, one: Strike) -> str:
        return self._rule(one, "html", 3)

    def _heat_failure(self, one: Strike) -> str:
        method = ("POST", "PUT", "PUT", "DELETE")[int(one.luck * 4)]
        done = self._stage.heat_rule(action="fail", path="/stacks", method=method)
        return method if done else ""

    # ------------------------------------------------------------------------------------------- devices

    def _device(self, one: Strike) -> str:
        return catalog.device_name(int(one.luck * catalog.DEVICES))

    def _told(self, line: str) -> str:
        return line if self._stage.control(line) else ""

    def _device_reboot(self, one: Strike) -> str:
        return self._told(f"reboot {self._device(one)}")

    def _device_renumber(self, one: Strike) -> str:
        return self._told(f"renumber {self._device(one)}")

    def _device_silent(self, one: Strike) -> str:
        device = self._device(one)
        self._stage.later(1.0 + 12 * one.amount, lambda: self._talk(device))
        return self._told(f"quiet {device} on")

    def _talk(self, device: str) -> None:
        self._told(f"quiet {device} off")

    def _port_down(self, one: Strike) -> str:
        device, port = self._device(one), catalog.port_name(int(one.amount * catalog.PORTS_PER_DEVICE))

        def up() -> None:
            self._stage.devices.append(Seen(time.time(), device, port, "UP"))
            self._told(f"port up {port} {device}")

        self._stage.devices.append(Seen(time.time(), device, port, "DOWN"))
        self._stage.later(1.0 + 12 * one.luck, up)
        return self._told(f"port down {port} {device}")


def _pick(things: Sequence[T], luck: float) -> T | None:
    return things[int(luck * len(things))] if things else None


def _go_on(processes: Sequence[psutil.Process]) -> None:
    send(processes, _CONT)


def _kill(member: RunningEtcd | None) -> str:
    return f"member {member.pid}" if member is not None and _signal(member.pid, _KILL) else ""


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        return bool(send([psutil.Process(pid)], number))
    except psutil.NoSuchProcess:
        return False
