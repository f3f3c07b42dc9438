"""How simulated processes and actors end, stand still and go on: the part of the `SimHost` that is about death.

Guarantees: a process that dies takes its children and whatever was under way along, its threads' requests may have
left before; a process that stands still misses nothing and acts late. Schedules nothing but through the host.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from thespian.actors import ActorExitRequest, ChildActorExited

from actors.core.errors import PortError
from sim.dice import Dice
from sim.faults import Injector
from sim.process import Cell, Process

log = logging.getLogger("gatewright.sim")

WAKE = 3


class Mortals:
    """Base of the `SimHost`, which has the clock and the queue."""

    now: float
    faults: Injector
    processes: dict[Process, None]
    current: Process | None
    penalty_s: float
    root_gone: Callable[[Process], None]
    _dice: Dice

    def record(self, *what: object) -> None:
        """See SimHost."""
        raise NotImplementedError

    def deliver_at(self, due: float, to: Cell, message: object, sender: Cell) -> None:
        """See SimHost."""
        raise NotImplementedError

    def _network_s(self) -> float:
        raise NotImplementedError

    def _push(self, due: float, *event: object) -> None:
        raise NotImplementedError

    def crash(self, process: Process, why: str, *, told: bool | None = None) -> None:
        """The process and its children are gone at once. `told`: whether its parent hears; None: by chance."""
        if not process.alive:
            return
        self.record("crash", process.name, why)
        log.info("%s dies: %s", process.name, why)
        self._end(process)
        parent = process.parent
        if parent is None:
            self.root_gone(process)
            return
        head = next(iter(process.cells.values()))
        parent.children.pop(head.number, None)
        silent = self.faults.hit("crash.silent", process.name) if told is None else not told
        if not silent and not parent.gone:
            self.deliver_at(self.now + self._network_s(), parent, ChildActorExited(head), head)

    def crash_cell(self, cell: Cell) -> None:
        """One actor inside a process is gone; its parent in the same process is told."""
        self.record("gone", cell.name)
        self._forget(cell)
        if cell.parent is not None:
            cell.parent.children.pop(cell.number, None)
            self.deliver_at(self.now, cell.parent, ChildActorExited(cell), cell)

    def pause(self, process: Process, seconds: float) -> None:
        """The process stands still for that long, then goes on as if nothing had been."""
        if not process.alive or process.asleep_until > self.now:
            return
        self.record("pause", process.name)
        for client in process.clients:
            client.freeze()
        self._sleep(process, seconds)

    def wake(self, process: Process) -> None:
        """End a pause now."""
        self._wake(process)

    def _sleep(self, process: Process, seconds: float) -> None:
        process.asleep_until = self.now + seconds
        self._push(process.asleep_until, WAKE, process)

    def _wake(self, process: Process) -> None:
        if process.asleep_until > self.now:
            return
        for client in process.clients:
            client.thaw()
        held, process.held = process.held, []
        for event in held:
            self._push(self.now, *event[2:])

    def _left(self, cell: Cell) -> None:
        """An actor has ended in order."""
        if next(iter(cell.process.cells.values())) is cell:
            self.record("ended", cell.name)
            for child in tuple(cell.children.values()):
                if child.process.asleep_until <= self.now:
                    outer, self.current = self.current, child.process
                    child.actor.deliver(ActorExitRequest(), cell)
                    self.current = outer
            self.crash(cell.process, "ended", told=True)
            return
        self._forget(cell)
        if cell.parent is not None:
            cell.parent.children.pop(cell.number, None)
            self.deliver_at(self.now, cell.parent, ChildActorExited(cell), cell)

    def _forget(self, cell: Cell) -> None:
        cell.gone = True
        cell.process.cells.pop(cell.number, None)
        for child in tuple(cell.children.values()):
            self._forget(child)

    def _end(self, process: Process) -> None:
        """Everything of a process and its children is gone; a request may have left before."""
        outer, self.current = self.current, process
        for call in tuple(process.calls):
            if not call.done and call.lane is not None and self._dice.unit() < 0.5:
                self.penalty_s, call.done = 0.0, True
                try:
                    call.work()
                except PortError as error:  # nobody is left to hear of it
                    log.debug("the last request of %s: %s", process.name, error)
        self.current = outer
        process.alive = False
        self.processes.pop(process, None)
        for cell in process.cells.values():
            cell.gone = True
        for client in process.clients:
            client.kill()
        for cell in tuple(process.cells.values()):
            for child in tuple(cell.children.values()):
                if child.process is not process and child.process.alive:
                    self._end(child.process)
        process.held.clear()
