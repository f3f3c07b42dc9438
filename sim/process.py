# ruff: noqa: D102 - the methods of Cell are described by the Host protocol
"""A simulated process and the actors in it: what an actor sees as its host.

Guarantees: `Cell` keeps the promises of `actors.runtime.host.Host`: in order per pair of actors, lanes with
their numbers of threads and bounded queues, timers that never fire early. What goes wrong is the business of
`sim.host`. Does not model CPU time: a handler takes none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from actors.runtime.actor import BaseActor
from actors.runtime.host import Address, Busy, Host, Lane, Posted, Timer

if TYPE_CHECKING:
    from sim.host import SimHost

T = TypeVar("T")

#: The lanes of an actor that names none.
DEFAULT_LANES = {"io": Lane(threads=8, queue=10_000)}


class Client(Protocol):
    """A connection that lives and stands still with its process."""

    def kill(self) -> None:
        """The process died."""

    def freeze(self) -> None:
        """The process stands still."""

    def thaw(self) -> None:
        """It goes on."""


@dataclass(slots=True)
class LaneState:
    """Threads of one lane that are at work, and what waits for them."""

    active: int = 0
    waiting: deque[Call] = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class Call:
    """Work on a thread. Its effect comes first, then its answer travels back."""

    cell: Cell
    work: Callable[[], Any]
    then: Callable[[Any], None]
    lane: LaneState | None
    back_s: float = 0.0
    outcome: Any = None
    done: bool = False


class Sleep:
    """What a simulated coroutine waits for: `await Sleep(seconds)`."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __await__(self) -> Any:
        """Hand itself to whoever drives the coroutine."""
        yield self


class Process:
    """An operating system process. `held`: what has come for it while it stands still."""

    __slots__ = (
        "alive", "asleep_until", "calls", "cells", "clients", "clock", "controller", "held", "lanes", "name", "parent",
    )  # fmt: skip

    def __init__(self, name: str, controller: str, parent: Cell | None) -> None:
        self.name = name
        self.controller = controller
        self.parent = parent
        self.alive = True
        self.asleep_until = 0.0
        self.clock = (1.0, 0.0)
        self.cells: dict[int, Cell] = {}
        self.clients: list[Client] = []
        self.lanes: dict[str, LaneState] = {}
        self.calls: dict[Call, None] = {}
        self.held: list[tuple[Any, ...]] = []

    def __str__(self) -> str:
        return self.name


class Cell(Host):
    """One actor, and what it may ask of the runtime."""

    __slots__ = (
        "actor", "begun", "children", "gone", "heard", "host", "inbox", "name", "number", "parent", "process",
        "spawned",
    )  # fmt: skip

    def __init__(
        self, host: SimHost, number: int, name: str, actor: BaseActor, process: Process, parent: Cell | None
    ) -> None:
        self.host = host
        self.number = number
        self.name = name
        self.actor = actor
        self.process = process
        self.parent = parent
        self.children: dict[int, Cell] = {}
        self.gone = False
        self.begun = False
        self.spawned = 0
        self.inbox: list[object] = []
        #: sender → when the last of its messages arrives: the next one does not overtake it.
        self.heard: dict[int, float] = {}

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> Address:
        return self

    def send(self, to: Address, message: object) -> None:
        self.host.route(self, to, message)

    def create(self, cls: type[BaseActor]) -> Address:
        return self.host.spawn(cls, self)

    def after(self, delay_s: float, payload: object) -> Timer:
        timer = Timer(self.host.now + max(0.0, delay_s) / self.process.clock[0], payload)
        self.host.set_timer(self, timer)
        return timer

    def now(self) -> float:
        rate, start = self.process.clock
        return start + rate * self.host.now

    def stop(self, address: Address) -> None:
        self.host.ask_to_end(self, address)

    def kill(self, address: Address) -> None:
        self.host.crash(address.process, "killed by its parent", told=True)

    def collect_dead_letters(self) -> None:
        """Dead letters are not simulated: no actor decides anything by them."""

    def counters(self) -> dict[str, int]:
        return {}

    def submit(self, work: Callable[[], T], then: Callable[[T | BaseException], None], lane: str) -> None:
        limits: Lane = getattr(self.actor, "lanes", DEFAULT_LANES)[lane]
        lanes, place = self.process.lanes, f"{self.number}{lane}"
        state = lanes.get(place) or lanes.setdefault(place, LaneState())
        if state.active < limits.threads:
            self.host.begin(Call(self, work, then, state))
        elif len(state.waiting) < limits.queue:
            state.waiting.append(Call(self, work, then, state))
        else:
            raise Busy(f"lane {lane} of {self.name} is full")

    def submit_async(
        self, work: Callable[[], Coroutine[Any, Any, T]], then: Callable[[T | BaseException], None]
    ) -> None:
        if len(self.process.calls) >= getattr(self.actor, "max_coroutines", 20_000):
            raise Busy(f"too many coroutines in {self.name}")
        call = Call(self, work, then, None)
        self.process.calls[call] = None
        self.host.drive(call, work())

    def post(self, item: object) -> None:
        self.inbox.append(item)
        if len(self.inbox) == 1:
            self.host.deliver_at(self.host.now, self, Posted(self.inbox), self)

    def start_loop(self) -> asyncio.AbstractEventLoop:
        raise RuntimeError("the simulator has no threads: use submit_async")
