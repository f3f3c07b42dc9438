"""One actor on a Thespian process, and what that actor sees as its host.

A process has one cell for its own actor (number 0) and one for every in-process actor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from thespian.actors import ActorExitRequest
from thespian.system.timing import timePeriodSeconds

from actors.runtime.actor import BaseActor
from actors.runtime.address import Address
from actors.runtime.host import Host, Timer

if TYPE_CHECKING:
    from actors.runtime.manager import Manager

T = TypeVar("T")


class Cell(Host):
    """Implements `Host` for the actor, and `_myRef` for the genuine Thespian methods of it."""

    globalName = ""  # noqa: N815 - Thespian's name

    __slots__ = ("_address", "actor", "children", "manager", "parent", "sub")

    def __init__(self, manager: Manager, sub: int, parent: int | None, actor: BaseActor) -> None:
        self.manager = manager
        self.sub = sub
        self.parent = parent
        self.actor = actor
        self.children: set[int] | None = None
        self._address = manager.process_address.inside(sub)

    # ------------------------------------------------------------------ Host

    @property
    def address(self) -> Address:
        """See Host; also Thespian's myAddress."""
        return self._address

    def send(self, to: Address, message: object) -> None:
        """See Host."""
        self.manager.send(self, to, message)

    def create(self, cls: type[BaseActor]) -> Address:
        """See Host."""
        return self.manager.create(self, cls)

    def after(self, delay_s: float, payload: object) -> Timer:
        """See Host."""
        return self.manager.after(self, delay_s, payload)

    def now(self) -> float:
        """See Host."""
        return self.manager.now()

    def stop(self, address: Address) -> None:
        """See Host."""
        self.manager.send(self, address, ActorExitRequest())

    def kill(self, address: Address) -> None:
        """See Host."""
        self.manager.kill(self, address)

    def collect_dead_letters(self) -> None:
        """See Host."""
        self.manager.handleDeadLetters(self._address, True)

    def counters(self) -> dict[str, int]:
        """See Host."""
        return self.manager.counts()

    def submit(self, work: Callable[[], T], then: Callable[[T | BaseException], None], lane: str) -> None:
        """See Host."""
        self.manager.workers_of(self).submit(work, then, lane)

    def submit_async(
        self, work: Callable[[], Coroutine[Any, Any, T]], then: Callable[[T | BaseException], None]
    ) -> None:
        """See Host."""
        self.manager.workers_of(self).submit_async(work, then)

    def post(self, item: object) -> None:
        """See Host."""
        self.manager.bridge.post(item)

    def start_loop(self) -> asyncio.AbstractEventLoop:
        """See Host."""
        return self.manager.workers_of(self).start_loop()

    # ------------------------------------------------------------------ Thespian's own methods of an Actor

    def actor_send(self, to: Address, message: object) -> None:
        """Thespian: Actor.send."""
        self.manager.send(self, to, message)

    def createActor(  # noqa: N802 - Thespian's name
        self, cls: type[BaseActor], _requirements: object, _name: object, _source: object = None
    ) -> Address:
        """Thespian: Actor.createActor; requirements, global names and loaded sources are not supported."""
        return self.manager.create(self, cls)

    def wakeupAfter(self, period: Any, payload: object = None) -> None:  # noqa: N802 - Thespian's name
        """Thespian: Actor.wakeupAfter; the payload arrives at `receive`."""
        self.manager.after(self, float(timePeriodSeconds(period)), payload)

    def handleDeadLetters(self, address: Address, enable: bool) -> None:  # noqa: N802 - Thespian's name
        """Thespian: Actor.handleDeadLetters."""
        self.manager.handleDeadLetters(address, enable)

    def actorSystemShutdown(self) -> None:  # noqa: N802 - Thespian's name
        """Thespian: end the whole system."""
        self.manager.actorSystemShutdown()
