"""A host that runs actors on one thread with a manual clock: no processes, no Thespian system, no sockets.

Guarantees: the same calls give the same order of events, always (first in, first out; then by time); messages
between actors of different processes pass through pickle, as they would in earnest; a crash takes the
descendants along and tells the parent. `submit` runs its work at once and delivers the result as an event.
Does not model loss, delay or reordering of messages: that is the simulator's business.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import pickle
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from thespian.actors import ActorExitRequest, ChildActorExited, DeadEnvelope, PoisonMessage

from actors.runtime.actor import BaseActor, reportable
from actors.runtime.host import Address, Finished, Host, Posted, Started, Timer, TimerFired

A = TypeVar("A", bound=BaseActor)
T = TypeVar("T")

log = logging.getLogger("gatewright.inline")

#: More events than this in one `run` mean that actors keep each other busy for ever.
MAX_EVENTS = 5_000_000


@dataclass(frozen=True, slots=True, order=True)
class InlineAddress:
    """An address of an InlineHost: `number` tells actors apart, `name` is for people."""

    number: int
    name: str = field(compare=False, default="")

    def __str__(self) -> str:
        return f"{self.name}#{self.number}"


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that left for an external address."""

    to: Address
    sender: Address
    message: object


class _Cell(Host):
    """One actor in an InlineHost, and what that actor sees as its host."""

    def __init__(
        self, inline: InlineHost, address: InlineAddress, parent: _Cell | None, actor: BaseActor
    ) -> None:
        self.inline = inline
        self.actor = actor
        self.parent = parent
        self.children: dict[InlineAddress, None] = {}
        self.inbox: list[object] = []
        self._address = address
        in_parent = parent is not None and actor.in_process
        self.process: int = parent.process if in_parent and parent is not None else address.number

    @property
    def address(self) -> Address:
        return self._address

    def send(self, to: Address, message: object) -> None:
        self.inline.route(self, to, message)

    def create(self, cls: type[BaseActor]) -> Address:
        return self.inline.spawn(cls, parent=self)

    def after(self, delay_s: float, payload: object) -> Timer:
        timer = Timer(self.inline.now + max(0.0, delay_s), payload)
        self.inline.schedule(timer.due, self._address, TimerFired(timer), self._address)
        return timer

    def now(self) -> float:
        return self.inline.now

    def stop(self, address: Address) -> None:
        self.inline.schedule(self.inline.now, address, ActorExitRequest(), self._address)

    def kill(self, address: Address) -> None:
        self.inline.crash(address)

    def collect_dead_letters(self) -> None:
        self.inline.collectors.append(self._address)

    def counters(self) -> dict[str, int]:
        return {"dead_letters": len(self.inline.dead_letters)}

    def submit(self, work: Callable[[], T], then: Callable[[T | BaseException], None], lane: str) -> None:
        lanes = getattr(self.actor, "lanes", {})
        if lane not in lanes:
            raise KeyError(lane)
        self._finish(work, then)

    def submit_async(
        self, work: Callable[[], Coroutine[Any, Any, T]], then: Callable[[T | BaseException], None]
    ) -> None:
        self._finish(lambda: self.inline.loop().run_until_complete(work()), then)

    def post(self, item: object) -> None:
        self.inbox.append(item)
        if len(self.inbox) == 1:
            self.inline.schedule(self.inline.now, self._address, Posted(self.inbox), self._address)

    def start_loop(self) -> asyncio.AbstractEventLoop:
        raise RuntimeError("the inline host has no threads: use submit_async")

    def _finish(self, work: Callable[[], T], then: Callable[[T | BaseException], None]) -> None:
        outcome: T | BaseException
        try:
            outcome = work()
        except Exception as error:  # noqa: BLE001 - the outcome of the work, whatever it is
            outcome = error
        self.inline.schedule(self.inline.now, self._address, Finished(then, outcome), self._address)


class InlineHost:
    """Runs actors deterministically (see above). Times are seconds since the host was made."""

    def __init__(self, *, pickling: bool = True) -> None:
        self.now = 0.0
        self.pickling = pickling
        self.outbox: list[Sent] = []
        self.dead_letters: list[Sent] = []
        self.collectors: list[InlineAddress] = []
        self._cells: dict[InlineAddress, _Cell] = {}
        self._external: set[InlineAddress] = set()
        self._events: list[tuple[float, int, InlineAddress, object, Address]] = []
        self._sequence = 0
        self._addresses = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outside = self.external("outside")

    # ------------------------------------------------------------------ what a test calls

    def external(self, name: str) -> InlineAddress:
        """An address of nobody: what is told to it is collected in `outbox`."""
        address = self._new_address(name)
        self._external.add(address)
        return address

    def spawn(self, cls: type[BaseActor], parent: _Cell | None = None) -> InlineAddress:
        """Create an actor (a top-level one unless `parent` is given); `started` runs in the next `run`."""
        address = self._new_address(cls.__name__)
        if parent is not None:
            parent.children[address] = None
        try:
            actor = cls()
        except Exception:
            log.exception("cannot create %s", cls.__name__)
            if parent is not None:
                self._tell_exit(parent, address)
            return address
        cell = _Cell(self, address, parent, actor)
        actor._host = cell
        self._cells[address] = cell
        self.schedule(self.now, address, Started(), address)
        return address

    def tell(self, to: Address, message: object, sender: Address | None = None) -> None:
        """Send from outside, or in the name of `sender`."""
        self.schedule(self.now, to, message, self._outside if sender is None else sender)

    def run(self, until_s: float | None = None) -> int:
        """Handle all events up to the time `until_s` (None: those that are due now); returns their number.

        Afterwards `now == until_s`. Raises RuntimeError if it never ends.
        """
        until = self.now if until_s is None else until_s
        handled = 0
        while self._events and self._events[0][0] <= until:
            due, _, to, message, sender = heapq.heappop(self._events)
            self.now = max(self.now, due)
            self._deliver(to, message, sender)
            handled += 1
            if handled > MAX_EVENTS:
                raise RuntimeError("actors keep each other busy for ever")
        self.now = max(self.now, until)
        return handled

    def advance(self, seconds: float) -> int:
        """`run` for that much longer."""
        return self.run(self.now + seconds)

    def crash(self, address: Address) -> None:
        """The actor and its descendants are gone without a word; the parent is told."""
        cell = self._cells.get(address)
        if cell is None:
            return
        self._remove(cell)
        if cell.parent is not None:
            self._tell_exit(cell.parent, address)

    def actor(self, address: Address, cls: type[A]) -> A:
        """The living actor behind an address, to look at its state. Raises KeyError if it is gone."""
        actor = self._cells[address].actor
        assert isinstance(actor, cls)
        return actor

    def alive(self, address: Address) -> bool:
        """Whether an actor lives at that address."""
        return address in self._cells

    def children(self, address: Address) -> tuple[InlineAddress, ...]:
        """The living children of an actor, oldest first."""
        return tuple(self._cells[address].children)

    def take(self, to: Address | None = None) -> list[object]:
        """Messages that were sent outside (to `to`, or to anyone), which are then forgotten."""
        taken = [sent for sent in self.outbox if to is None or sent.to == to]
        self.outbox = [sent for sent in self.outbox if not (to is None or sent.to == to)]
        return [sent.message for sent in taken]

    def close(self) -> None:
        """Free the asyncio loop, if one was used."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    # ------------------------------------------------------------------ what a _Cell calls

    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop on which coroutines are run to their end."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop

    def schedule(self, due: float, to: Address, message: object, sender: Address) -> None:
        """Put an event in its place."""
        self._sequence += 1
        heapq.heappush(self._events, (due, self._sequence, to, message, sender))

    def route(self, origin: _Cell, to: Address, message: object) -> None:
        """Send from an actor: through pickle if it leaves the process."""
        target = self._cells.get(to)
        crosses = target is None or target.process != origin.process
        if self.pickling and crosses:
            try:
                message = pickle.loads(pickle.dumps(message, protocol=5))  # noqa: S301 - made one line before
            except Exception as error:  # noqa: BLE001 - pickle runs arbitrary code of the message
                log.warning("cannot pickle a message of type %s: %s", type(message).__name__, error)
                if reportable(message):
                    poison = PoisonMessage(message, f"{type(error).__name__}: {error}")
                    self.schedule(self.now, origin.address, poison, to)
                return
        self.schedule(self.now, to, message, origin.address)

    # ------------------------------------------------------------------ inside

    def _new_address(self, name: str) -> InlineAddress:
        self._addresses += 1
        return InlineAddress(self._addresses, name)

    def _deliver(self, to: Address, message: object, sender: Address) -> None:
        cell = self._cells.get(to)
        if cell is None:
            self._undeliverable(to, message, sender)
            return
        if isinstance(message, Posted):
            message = Posted(cell.inbox)
            cell.inbox = []
        cell.actor.deliver(message, sender)
        if isinstance(message, ActorExitRequest) and to in self._cells:
            for child in tuple(cell.children):
                self.schedule(self.now, child, ActorExitRequest(), to)
            del self._cells[to]
            if cell.parent is not None:
                self._tell_exit(cell.parent, to)

    def _undeliverable(self, to: Address, message: object, sender: Address) -> None:
        if to in self._external:
            self.outbox.append(Sent(to, sender, message))
        elif reportable(message):
            self.dead_letters.append(Sent(to, sender, message))
            for collector in self.collectors:
                if collector in self._cells:
                    self.schedule(self.now, collector, DeadEnvelope(to, message), to)

    def _tell_exit(self, parent: _Cell, child: InlineAddress) -> None:
        parent.children.pop(child, None)
        self.schedule(self.now, parent.address, ChildActorExited(child), child)

    def _remove(self, cell: _Cell) -> None:
        for child in tuple(cell.children):
            if child in self._cells:
                self._remove(self._cells[child])
        self._cells.pop(cell.address, None)
