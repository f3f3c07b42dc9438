"""The simulator's host: actors, processes and a virtual clock under one seeded scheduler.

Guarantees: the same seed gives the same order of events, told by `digest`; messages between two actors keep
their order, messages of different senders do not; a process that dies takes its children and whatever was
under way along, its threads' requests may have left before; a process that stands still misses nothing and
acts late (a zombie). An exception in a handler is a finding, never swallowed.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Coroutine
from hashlib import blake2b
from typing import Any, TypeVar

from thespian.actors import ActorExitRequest, PoisonMessage

from actors.core.errors import PortError
from actors.runtime.actor import BaseActor
from actors.runtime.host import Finished, Posted, Started, Timer, TimerFired
from sim.dice import Dice
from sim.faults import Injector
from sim.mortals import WAKE, Mortals
from sim.process import Call, Cell, Process, Sleep

A = TypeVar("A", bound=BaseActor)

#: Seconds a process takes to start, and a message between processes to arrive, at least and at most.
START_S = (0.02, 0.2)
NETWORK_S = (0.0002, 0.002)
#: No timer is exact: it fires at least this much late, so that time goes on.
TIMER_S = 1e-5

#: So many lines may wait to be hashed.
LINES_MAX = 5_000
#: Events within one look at a small world, at most.
EVENTS_MAX = 10_000

_DELIVER, _EFFECT, _ANSWER, _WAKE, _RESUME, _CALL = 0, 1, 2, WAKE, 4, 5

#: What may happen to a message between processes.
_ON_THE_WAY = frozenset({"message.lost", "message.returned", "message.late", "message.twice"})

log = logging.getLogger("gatewright.sim")


class Busied(BaseException):
    """Actors keep each other busy without an end."""


class Accident(BaseException):
    """Something raised that is no PortError: a fault of the product or of the simulator, never of the world."""


class SimHost(Mortals):
    """Runs actors deterministically. Times are virtual seconds since the start of the run."""

    def __init__(self, seed: int, faults: Injector) -> None:
        self.now = 0.0
        self.faults = faults
        self.events = 0
        #: More events than this within one look at the world mean that it never ends.
        self.events_max = EVENTS_MAX
        #: The process whose code runs at this moment; None for the world outside.
        self.current: Process | None = None
        #: Seconds that a fault adds to the call under way.
        self.penalty_s = 0.0
        self.processes: dict[Process, None] = {}
        #: controller → (seconds of its clock per second, what it shows at the start); absent: (1, 0)
        self.clocks: dict[str, tuple[float, float]] = {}
        #: Called with a root process when it is gone.
        self.root_gone: Callable[[Process], None] = lambda process: None
        #: Called with every message that is handled (cell, message); for stories.
        self.listener: Callable[[Cell, object], None] | None = None
        #: Seconds (there, back) of a call that an actor makes on a thread.
        self.call_s: Callable[[Cell], tuple[float, float]] = lambda cell: (0.001, 0.001)
        self._crashing, self._timers_late = "crash.message" in faults.rates, "timer.late" in faults.rates
        self._lossy = not faults.rates.keys().isdisjoint(_ON_THE_WAY)
        self._dice = Dice(seed, "network")
        self._heap: list[tuple[Any, ...]] = []
        self._sequence = 0
        self._cells = 0
        self._hash = blake2b(digest_size=16)
        #: Lines that are not part of the hash yet.
        self._lines: list[str] = []
        #: The time at which each of them begins, which most share with the one before.
        self._stamped, self._stamp = 0.0, f"{0.0:.9f}"

    # ------------------------------------------------------------------------------------ what a world calls

    @property
    def digest(self) -> str:
        """Hash of everything that has happened so far."""
        self._hash.update("".join(self._lines).encode())
        self._lines.clear()
        return self._hash.hexdigest()

    def record(self, *what: object) -> None:
        """Make something part of the digest."""
        if self.now != self._stamped:
            self._stamped, self._stamp = self.now, f"{self.now:.9f}"
        self._lines.append(f"{self._stamp} {what}\n")

    def root(self, cls: type[BaseActor], controller: str) -> Cell:
        """Start a process that nobody in the simulation supervises."""
        return self._start(cls, Process(controller, controller, None), None, cls.__name__)

    def at(self, due: float, call: Callable[[], None], process: Process | None = None) -> None:
        """Run `call` at that time; with a process: on a thread of it, so not while it is dead or still."""
        self._push(max(due, self.now), _CALL, process, call)

    def run(self, until: float) -> None:
        """Handle all events up to that time."""
        heap, limit = self._heap, self.events + self.events_max
        if len(self._lines) > LINES_MAX:
            self._hash.update("".join(self._lines).encode())
            self._lines.clear()
        step, pop = self._step, heapq.heappop
        while heap and heap[0][0] <= until:
            step(pop(heap))
            if self.events > limit:
                raise Busied(
                    f"more than {self.events_max} events until {self.now:.3f}: actors keep each other busy"
                )
        self.now = max(self.now, until)

    def ask_to_end(self, cell: Cell, address: Cell) -> None:
        """An orderly end, after what was sent before."""
        self.route(cell, address, ActorExitRequest())

    def actors(self, cls: type[A]) -> list[A]:
        """All living actors of a class that have begun, oldest first."""
        return [
            cell.actor
            for process in self.processes
            for cell in process.cells.values()
            if cell.begun and isinstance(cell.actor, cls)
        ]

    def waiting(self) -> int:
        """How many events lie ahead."""
        return len(self._heap)

    # ------------------------------------------------------------------------------------- what a Cell calls

    def spawn(self, cls: type[BaseActor], parent: Cell) -> Cell:
        """A child, in the process of its creator or in one of its own."""
        parent.spawned += 1
        name = f"{parent.name}/{cls.__name__}{parent.spawned}"
        if cls.in_process:
            return self._place(cls, parent.process, parent, name)
        name = f"{parent.process.controller}/{cls.__name__}{parent.spawned}"
        return self._start(cls, Process(name, parent.process.controller, parent), parent, name)

    def route(self, origin: Cell, to: Cell, message: object) -> None:
        """Send: at once within a process; else in order, late, lost or twice."""
        process = to.process
        if process is origin.process:
            self._sequence += 1
            heapq.heappush(self._heap, (self.now, self._sequence, _DELIVER, process, to, message, origin))
            return
        due, faults = self.now + self._network_s(), self.faults
        if self._lossy and faults.active and not isinstance(message, ActorExitRequest):
            place = f"{origin.name}>{to.name}"
            if faults.hit("message.lost", place):
                return
            if faults.hit("message.returned", place):
                self.deliver_at(due, origin, PoisonMessage(message, "cannot be read"), to)
                return
            if faults.hit("message.late", place):
                due += 5.0 * faults.amount(faults.last)
            if faults.hit("message.twice", place):
                due = max(due, to.heard.get(origin.number, 0.0))
                self.deliver_at(due, to, message, origin)
        before = to.heard.get(origin.number, 0.0)
        due = max(due, before)
        to.heard[origin.number] = due
        self.deliver_at(due, to, message, origin)

    def deliver_at(self, due: float, to: Cell, message: object, sender: Cell) -> None:
        """Have `message` handled at that time."""
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, _DELIVER, to.process, to, message, sender))

    def set_timer(self, cell: Cell, timer: Timer) -> None:
        """Have the timer fire, never early."""
        due = max(timer.due, self.now) + TIMER_S
        if self._timers_late and self.faults.hit("timer.late", cell.name):
            due += 3.0 * self.faults.amount(self.faults.last)
        self._push(due, _DELIVER, cell.process, cell, TimerFired(timer), cell)

    def begin(self, call: Call) -> None:
        """A thread takes up a call."""
        there, call.back_s = self.call_s(call.cell)
        if call.lane is not None:
            call.lane.active += 1
        call.cell.process.calls[call] = None
        self._push(self.now + there, _EFFECT, call.cell.process, call)

    def drive(self, call: Call, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Go on with a coroutine until it waits or ends."""
        try:
            slept = coroutine.send(None)
        except StopIteration as stop:
            call.outcome = stop.value
            self._push(self.now, _ANSWER, call.cell.process, call)
        except Exception as error:  # noqa: BLE001 - the outcome of the work, whatever it is
            call.outcome = error
            self._push(self.now, _ANSWER, call.cell.process, call)
        else:
            seconds = slept.seconds if isinstance(slept, Sleep) else 0.0
            self._push(self.now + seconds, _RESUME, call.cell.process, call, coroutine)

    # ------------------------------------------------------------------------------------------------ inside

    def _network_s(self) -> float:
        low, high = NETWORK_S
        return low + (high - low) * self._dice.unit()

    def _push(self, due: float, *event: object) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, *event))

    def _step(self, event: tuple[Any, ...]) -> None:
        due, kind, process = event[0], event[2], event[3]
        self.now = max(self.now, due)
        if process is not None:
            if not process.alive:
                if kind == _RESUME:
                    event[5].close()
                return
            if process.asleep_until > due and kind != _WAKE:
                process.held.append(event)
                return
        self.events += 1
        self.current = process
        if kind == _DELIVER:
            self._deliver(event[4], event[5], event[6])
        elif kind == _EFFECT:
            self._effect(event[4])
        elif kind == _ANSWER:
            self._answer(event[4])
        elif kind == _RESUME:
            self.drive(event[4], event[5])
        elif kind == _WAKE:
            self._wake(process)
        else:
            event[4]()
        self.current = None

    def _deliver(self, to: Cell, message: object, sender: Cell) -> None:
        kind = type(message)
        if to.gone or (kind is TimerFired and not message.timer.pending):  # type: ignore[attr-defined]
            return
        if self.now != self._stamped:
            self._stamped, self._stamp = self.now, f"{self.now:.9f}"
        self._lines.append(f"{self._stamp} {to.name} {kind.__name__}\n")
        if kind is Posted:
            message = Posted(to.inbox)
            to.inbox = []
        process, after = to.process, False
        if sender.process is not process and self._crashing and self.faults.hit("crash.message", to.name):
            after = self.faults.amount(self.faults.last) < 0.5
            if not after:
                self.crash(process, f"before {kind.__name__}")
                return
        if self.listener is not None:
            self.listener(to, message)
        to.actor.deliver(message, sender)
        to.begun = True
        if kind is ActorExitRequest and not to.gone:
            self._left(to)
        if after:
            self.crash(process, f"after {kind.__name__}")

    def _effect(self, call: Call) -> None:
        self.penalty_s = 0.0
        try:
            call.outcome = call.work()
        except PortError as error:
            call.outcome = error
        except Exception as error:
            raise Accident(f"a call of {call.cell.name}") from error
        call.done = True
        self._push(self.now + call.back_s + self.penalty_s, _ANSWER, call.cell.process, call)

    def _answer(self, call: Call) -> None:
        cell = call.cell
        cell.process.calls.pop(call, None)
        if call.lane is not None:
            call.lane.active -= 1
            if call.lane.waiting:
                self.begin(call.lane.waiting.popleft())
        self._deliver(cell, Finished(call.then, call.outcome), cell)

    def _start(self, cls: type[BaseActor], process: Process, parent: Cell | None, name: str) -> Cell:
        self.processes[process] = None
        process.clock = self.clocks.get(process.controller, process.clock)
        self._sleep(process, START_S[0] + (START_S[1] - START_S[0]) * self._dice.unit())
        cell = self._place(cls, process, parent, name)
        if self.faults.hit("crash.restart", process.name):
            self.at(
                self.now + 0.3 * self.faults.amount(self.faults.last), lambda: self.crash(process, "young")
            )
        return cell

    def _place(self, cls: type[BaseActor], process: Process, parent: Cell | None, name: str) -> Cell:
        self._cells += 1
        actor = cls()
        cell = Cell(self, self._cells, name, actor, process, parent)
        actor._host = cell
        process.cells[cell.number] = cell
        if parent is not None:
            parent.children[cell.number] = cell
        self.deliver_at(self.now, cell, Started(), cell)
        return cell
