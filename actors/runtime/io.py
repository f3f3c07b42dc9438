"""Actors that do I/O: bridges from threads and asyncio to the actor's own thread.

Guarantees: `posted` and every `then` run on the actor's thread, where `tell` is allowed; items posted by one
thread keep their order; queues are bounded (`Busy`). Does not guarantee that work is ended when the actor
stops: threads are daemons and die with the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar, TypeVar

from actors.runtime.actor import BaseActor
from actors.runtime.host import Address, Finished, Lane, Posted

T = TypeVar("T")


class IoActor(BaseActor):
    """A process actor with threads. It creates no process children (fork and threads do not mix)."""

    #: The thread pools of this actor, by name. Threads are started on first use.
    lanes: ClassVar[Mapping[str, Lane]] = {"io": Lane(threads=8, queue=10_000)}

    #: How many coroutines of `submit_async` may be under way at once.
    max_coroutines: ClassVar[int] = 20_000

    def posted(self, items: list[object]) -> None:
        """Handle what threads have `post`ed since the last call, in order."""
        raise NotImplementedError(f"{type(self).__name__} has no posted()")

    def submit(
        self, work: Callable[[], T], then: Callable[[T | BaseException], None], lane: str = "io"
    ) -> None:
        """Run `work()` on a thread of `lane`, then `then(result or exception)` on the actor's thread.

        Raises Busy if the lane's queue is full, KeyError if there is no such lane.
        """
        self._host.submit(work, then, lane)

    def submit_async(
        self, work: Callable[[], Coroutine[Any, Any, T]], then: Callable[[T | BaseException], None]
    ) -> None:
        """Run the coroutine `work()` on the actor's loop, then `then(result or exception)` on its thread.

        Prefer this to `start_loop`: it also runs in the inline host and in the simulator. Raises Busy.
        """
        self._host.submit_async(work, then)

    def post(self, item: object) -> None:
        """From any thread: have `item` delivered to `posted` on the actor's thread."""
        self._host.post(item)

    def start_loop(self) -> asyncio.AbstractEventLoop:
        """The actor's asyncio loop, in a daemon thread; results come back by `post`."""
        return self._host.start_loop()

    def dispatch(self, message: object, sender: Address) -> None:
        """As BaseActor, and what threads hand over."""
        if isinstance(message, Finished):
            message.then(message.outcome)
        elif isinstance(message, Posted):
            self.posted(message.items)
        else:
            super().dispatch(message, sender)
