"""What runs in every process that has actors: Thespian's ActorManager, with actors inside the process.

Guarantees: actors of one process reach each other without a socket and without a copy (messages are
immutable); an endless exchange between them starves neither sockets nor timers; a message that cannot be
pickled, read or handled is told to its sender and costs nobody else; what is addressed to an actor that is
gone becomes a dead letter; on exit every actor's `stopping` runs and what it sent leaves the process first.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from thespian.actors import (
    ActorExitRequest,
    ActorSystemMessage,
    ChildActorExited,
    DeadEnvelope,
    PoisonMessage,
    WakeupMessage,
    WatchMessage,
)
from thespian.system.messages.multiproc import ChildMayHaveDied
from thespian.system.timing import ExpirationTimer, currentTime
from thespian.system.transport import Thespian__UpdateWork, TransmitOnly

from actors.runtime import logs, safety
from actors.runtime.actor import MAX_DETAIL, BaseActor, reportable
from actors.runtime.address import Address
from actors.runtime.cell import Cell
from actors.runtime.children import Child
from actors.runtime.endpoint import Birth
from actors.runtime.host import Posted, Started, Timer, TimerFired
from actors.runtime.io import IoActor
from actors.runtime.mailroom import Mailroom
from actors.runtime.outbox import Parcel
from actors.runtime.settings import Settings
from actors.runtime.threads import Bridge, Workers
from actors.runtime.timers import TimerQueue
from actors.runtime.transport import TICK, Transport

if TYPE_CHECKING:

    class _ActorManager:
        """Thespian is untyped: its manager is opaque to the type checker."""

        def __init__(self, *_arguments: object) -> None: ...

else:
    from thespian.system.actorManager import ActorManager as _ActorManager

log = logging.getLogger("gatewright.runtime")

#: What a process sends before its end must have left within this time.
DRAIN_S = 1.5

_STARTED = Started()
_EXIT = ActorExitRequest()


class Hello(ActorSystemMessage):  # type: ignore[misc]  # Thespian is untyped
    """From outside to a process: answer with a Welcome once your actor has started."""


class Welcome(ActorSystemMessage):  # type: ignore[misc]  # Thespian is untyped
    """The answer to Hello."""

    def __init__(self, pid: int) -> None:
        self.pid = pid


def run_actor(born: Birth, cls: type[BaseActor], capabilities: dict[str, Any]) -> None:
    """The life of a process actor, from the fork to the end of the process."""
    settings: Settings = capabilities[Settings.KEY]
    logs.install(settings.log, cls.__name__)
    manager = Manager(Transport(born), born, cls, capabilities)
    signal.signal(signal.SIGCHLD, manager.signalChildDied)
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda *_: manager.transport.interrupt_wait(signal_shutdown=True))
    safety.unblock_signals()
    manager.run()


class Manager(Mailroom, _ActorManager):
    """One process with actors. Its methods run on the main thread."""

    def __init__(
        self, transport: Transport, born: Birth, cls: type[BaseActor], capabilities: dict[str, Any]
    ) -> None:
        self.process_address: Address = transport.myAddress
        _ActorManager.__init__(
            self, cls, None, transport, None, None, born.parent, born.admin, None, capabilities, None, None
        )
        settings: Settings = capabilities[Settings.KEY]
        self.open_mailroom(settings.limits)
        self.bridge = Bridge(transport.wake)
        self._cells: dict[int, Cell] = {}
        self._next_sub = 0
        self._local: deque[tuple[int, Address, Any]] = deque()
        self._timers = TimerQueue()
        self._workers: Workers | None = None
        self._exiting_since: float | None = None
        self._finished = False

    # ------------------------------------------------------------------ the life of the process

    def run(self) -> None:
        """Until the actor is asked to end."""
        try:
            actor = self._actorClass()
        except Exception:
            log.exception("cannot create %s", self._actorClass.__name__)
            safety.leave(70)
        self.actorInst = actor
        self._install(Cell(self, 0, None, actor))
        self.transport.wake()
        while not self._finished:
            result = self.transport.run(self.handleMessages)
            if not self._finished and not isinstance(result, Thespian__UpdateWork):
                raise RuntimeError(f"the transport ended: {result!r}")
        self._drain()

    def handleMessages(self, envelope: Any) -> bool:  # noqa: N802 - Thespian's name
        """Thespian: what has arrived. False ends the process."""
        message, sender = envelope.message, envelope.sender
        if type(message) is Parcel:
            self._local.extend(self.unpack(sender, message))
        elif message is TICK:
            for sub, timer in self._timers.due(currentTime()):
                self._local.append((sub, self.process_address.inside(sub), TimerFired(timer)))
        elif isinstance(message, WatchMessage):
            self._look_around()
        elif isinstance(message, WakeupMessage):
            message.payload()
        elif isinstance(message, ChildMayHaveDied):
            self.childDied()
        elif isinstance(message, _FOR_THE_ACTOR) or not isinstance(message, ActorSystemMessage):
            self._local.append((0, sender, message))
        else:
            self._handleOneMessage(envelope)
        return self._turn()

    def _look_around(self) -> None:
        self.transport.drain_wake()
        self.transport._check_indicators()
        items, finished = self.bridge.take()
        if items:
            self._local.append((0, self.process_address, Posted(items)))
        self._local.extend((0, self.process_address, each) for each in finished)

    def _turn(self) -> bool:
        """Handle some of what waits inside the process, then send what came of it."""
        for _ in range(self.limits.turn_items):
            if not self._local or self._finished:
                break
            sub, sender, message = self._local.popleft()
            self._dispatch(sub, sender, message)
        self.outbox.flush()
        self.transport.wake_at(self._timers.next_due())
        if self._local:
            self.transport.wake()
        return not self._finished

    def _dispatch(self, sub: int, sender: Address, message: Any) -> None:
        cell = self._cells.get(sub)
        if cell is None:
            self.dead_letter(self.process_address.inside(sub), message)
        elif isinstance(message, ActorExitRequest):
            if sub:
                self._end_inside(cell)
            else:
                self._end_process()
        elif isinstance(message, Hello):
            self.put(sender, sub, Welcome(os.getpid()))
        else:
            cell.actor.deliver(message, sender)

    def _drain(self) -> None:
        limit = ExpirationTimer(timedelta(seconds=DRAIN_S))
        self.outbox.flush()
        while not self.outbox.idle() and not limit.view().expired():
            if not self.transport.run(TransmitOnly, limit.view().remaining()):
                break

    # ------------------------------------------------------------------ what a cell asks for

    def send(self, cell: Cell, to: Address, message: object) -> None:
        """See Host.send. Raises TypeError for what is no address, RuntimeError on a foreign thread."""
        if type(to) is not Address:
            raise TypeError(f"not an address: {to!r}")
        if threading.get_ident() != threading.main_thread().ident:
            raise RuntimeError("tell() belongs to the actor's own thread: use post()")
        if to.life == self.process_address.life:
            if len(self._local) >= self.limits.local_items:
                self.counters["overflowed"] += 1
                self.dead_letter(to, message)
                return
            self._local.append((to.sub, cell.address, message))
            return
        try:
            self.outbox.put(to, cell.sub, message)
        except Exception as error:  # noqa: BLE001 - pickling runs the code of the message's class
            self.counters["unpicklable"] += 1
            detail = f"cannot be sent: {type(error).__name__}: {error}"[:MAX_DETAIL]
            log.warning("a %s of %s to %s %s", type(message).__name__, cell.address, to, detail)
            if reportable(message):
                self._local.append((cell.sub, to, PoisonMessage(message, detail)))

    def create(self, cell: Cell, cls: type[BaseActor]) -> Address:
        """See Host.create."""
        self._next_sub += 1
        address = self.process_address.inside(self._next_sub)
        if self._exiting_since is not None:
            return address
        try:
            if not cls.in_process:
                return self.fork_child(
                    cls.__name__, lambda born: run_actor(born, cls, self.capabilities), cell.sub
                ).address
            self._install(Cell(self, self._next_sub, cell.sub, cls()))
            if cell.children is None:
                cell.children = set()
            cell.children.add(self._next_sub)
        except Exception:
            log.exception("cannot create %s", cls.__name__)
            self._local.append((cell.sub, address, ChildActorExited(address)))
        return address

    def after(self, cell: Cell, delay_s: float, payload: object) -> Timer:
        """See Host.after."""
        timer = Timer(currentTime() + max(0.0, delay_s), payload)
        self._timers.add(cell.sub, timer)
        return timer

    def now(self) -> float:
        """See Host.now."""
        return float(currentTime())

    def kill(self, cell: Cell, address: Address) -> None:
        """See Host.kill. Nothing happens if `address` is no living child of the cell."""
        child = self.family.get(address)
        if child is not None and child.parent == cell.sub:
            os.kill(child.pid, signal.SIGKILL)
        elif address.life == self.process_address.life and address.sub in (cell.children or ()):
            self._vanish(self._cells[address.sub])
            self._tell_parent(cell.sub, address)

    def workers_of(self, cell: Cell) -> Workers:
        """The threads of the process's own actor."""
        actor = cell.actor
        if cell.sub or not isinstance(actor, IoActor):
            raise RuntimeError(f"{type(actor).__name__} is no IoActor with a process of its own")
        if self._workers is None:
            self._workers = Workers(actor.lanes, actor.max_coroutines, self.bridge)
        return self._workers

    def counts(self) -> dict[str, int]:
        """What happened in this process so far, and what it holds now."""
        return {
            **self.counters,
            "actors": len(self._cells),
            "timers": len(self._timers),
            "waiting_inside": len(self._local),
            "waiting_to_leave": self.outbox.waiting(),
        }

    # ------------------------------------------------------------------ beginnings and ends of actors

    def _install(self, cell: Cell) -> None:
        cell.actor._host = cell
        self._cells[cell.sub] = cell
        self._local.append((cell.sub, cell.address, _STARTED))

    def _end_inside(self, cell: Cell) -> None:
        """An in-process actor was asked to end: so are its children."""
        cell.actor.deliver(_EXIT, cell.address)
        del self._cells[cell.sub]
        for sub in cell.children or ():
            self._local.append((sub, cell.address, _EXIT))
        for child in self._processes_of(cell.sub):
            self.put(child.address, 0, _EXIT)
        self._tell_parent(cell.parent, cell.address)

    def _vanish(self, cell: Cell) -> None:
        """An in-process actor is gone without being asked, and with it all that it made."""
        del self._cells[cell.sub]
        for child in self._processes_of(cell.sub):
            os.kill(child.pid, signal.SIGKILL)
        for sub in cell.children or ():
            if sub in self._cells:
                self._vanish(self._cells[sub])

    def _tell_parent(self, parent: int | None, address: Address) -> None:
        cell = self._cells.get(parent or 0)
        if cell is not None:
            if cell.children is not None:
                cell.children.discard(address.sub)
            self._local.append((cell.sub, address, ChildActorExited(address)))

    def _processes_of(self, sub: int) -> list[Child]:
        return [child for child in self.family.values() if child.parent == sub]

    def _end_process(self) -> None:
        """The process was asked to end: all its actors, then its children, then itself."""
        if self._exiting_since is not None:
            return
        self._exiting_since = self.now()
        for cell in list(self._cells.values()):
            cell.actor.deliver(_EXIT, cell.address)
        self._cells.clear()
        self._local.clear()
        for child in self.family.values():
            self.put(child.address, 0, _EXIT)
        if self.family:
            self.later(self.limits.exit_grace_s, self.kill_children)
        self._finished = not self.family

    def lost_child(self, child: Child) -> bool:
        """See Family."""
        self.transport.deadAddress(self._addrManager, child.address)
        if self._exiting_since is not None:
            self._finished = not self.family
        elif child.parent in self._cells:
            self._local.append((child.parent, child.address, ChildActorExited(child.address)))
        return not self._finished


_FOR_THE_ACTOR = (ActorExitRequest, PoisonMessage, DeadEnvelope, Hello)
