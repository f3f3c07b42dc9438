"""The seam between an actor and whatever runs it.

Guarantees: `BaseActor` and `IoActor` reach the outside through the `Host` protocol of this file and nothing
else, so the very same actor classes run on Thespian processes (`manager.Cell`), on one thread with a manual
clock (`inline.InlineHost`) and in the simulator. Nothing here imports Thespian.
Does not guarantee delivery: transport is at most once. A requester owns its deadline and its resend.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from actors.runtime.actor import BaseActor

#: Where an actor can be reached, from any process of the system. Picklable, hashable, compares by value.
Address = Any

T = TypeVar("T")


class Busy(RuntimeError):
    """A bounded queue of work is full; nothing was accepted. Try again later."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A pool of threads: at most `threads` pieces of work at once, at most `queue` waiting (then `Busy`)."""

    threads: int
    queue: int


class Timer:
    """The handle of `BaseActor.after`. After `cancel()` returned, the payload is never delivered."""

    __slots__ = ("due", "payload", "pending")

    def __init__(self, due: float, payload: object) -> None:
        self.due = due
        self.payload = payload
        self.pending = True

    def cancel(self) -> None:
        """Forget it; no error if it has fired or was cancelled before."""
        self.pending = False
        self.payload = None


class TimerFired:
    """Internal: a host delivers this to say that `timer` is due."""

    __slots__ = ("timer",)

    def __init__(self, timer: Timer) -> None:
        self.timer = timer


class Posted:
    """Internal: a host delivers this to an `IoActor`, with all items posted since the last time."""

    __slots__ = ("items",)

    def __init__(self, items: list[object]) -> None:
        self.items = items


class Finished:
    """Internal: a host delivers this to an `IoActor` when submitted work has ended."""

    __slots__ = ("outcome", "then")

    def __init__(self, then: Callable[[Any], None], outcome: object) -> None:
        self.then = then
        self.outcome = outcome


class Started:
    """Internal: the first thing a host delivers to an actor."""

    __slots__ = ()


class Host(Protocol):
    """What an actor may ask of the runtime. All but `post` are called on the actor's own thread only."""

    __slots__ = ()

    @property
    def address(self) -> Address:
        """The actor's own address."""

    def send(self, to: Address, message: object) -> None:
        """Queue `message` for `to`, in order per pair of actors; never blocks."""

    def create(self, cls: type[BaseActor]) -> Address:
        """Make a child. Failure arrives as the exit of that child, never as an exception."""

    def after(self, delay_s: float, payload: object) -> Timer:
        """Deliver TimerFired to the actor `delay_s` seconds from now."""

    def now(self) -> float:
        """Seconds of a clock that never goes back."""

    def stop(self, address: Address) -> None:
        """Ask the actor at `address` to end, after what was sent to it before."""

    def kill(self, address: Address) -> None:
        """End a child at once, without asking it."""

    def collect_dead_letters(self) -> None:
        """From now on deliver DeadEnvelopes of the whole system to this actor."""

    def counters(self) -> dict[str, int]:
        """What happened in this process so far (dead_letters, unreadable, ...), and what it holds now."""

    def submit(self, work: Callable[[], T], then: Callable[[T | BaseException], None], lane: str) -> None:
        """Run `work` on another thread and deliver Finished. Raises Busy."""

    def submit_async(
        self, work: Callable[[], Coroutine[Any, Any, T]], then: Callable[[T | BaseException], None]
    ) -> None:
        """Run the coroutine on the actor's asyncio loop and deliver Finished. Raises Busy."""

    def post(self, item: object) -> None:
        """Deliver Posted soon. The one method that any thread may call."""

    def start_loop(self) -> asyncio.AbstractEventLoop:
        """The actor's asyncio loop, running on a thread of its own."""
