"""How messages enter and leave a process; a part of both the admin and the process actors.

Guarantees: see `outbox`; what is lost becomes a dead letter at the admin, best effort and bounded like all.
"""

from __future__ import annotations

import logging
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from thespian.actors import DeadEnvelope, PoisonMessage
from thespian.system.transport import SendStatus

from actors.runtime.actor import MAX_DETAIL, reportable
from actors.runtime.address import Address
from actors.runtime.children import Family
from actors.runtime.limits import Limits
from actors.runtime.outbox import Outbox, Parcel, Repetitions, unpack
from actors.runtime.transport import intent

log = logging.getLogger("gatewright.runtime")


class Mailroom(Family):
    """A process of the system, as far as its mail goes."""

    def open_mailroom(self, limits: Limits) -> None:
        """Called once, when the transport is there."""
        self.limits = limits
        self.counters: Counter[str] = Counter()
        self.outbox = Outbox(limits, self._transmit, self.later, self._lost, self.counters)
        self._repetitions = Repetitions()

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Run `call` after `delay_s` seconds, on the main thread; for rare needs of the runtime itself."""
        self.transport.addWakeup(timedelta(seconds=delay_s), call)

    def unpack(self, sender: Address, parcel: Parcel) -> Iterator[tuple[int, Address, Any]]:
        """(receiver's number, sender, message) of each readable message; of the others the sender is told."""
        if self._repetitions.is_repeated(sender, parcel):
            self.counters["frames_repeated"] += 1
            return
        for to, origin, message, error in unpack(parcel):
            address = sender.inside(origin)
            if error is None:
                yield to, address, message
                continue
            self.counters["unreadable"] += 1
            detail = f"unreadable: {type(error).__name__}: {error}"[:MAX_DETAIL]
            log.error("a message of %s to #%d is %s", address, to, detail)
            self.put(address, to, PoisonMessage(None, detail))

    def put(self, to: Address, sender: int, message: object) -> None:
        """Send a message of the runtime's own; one that cannot be sent is only counted."""
        try:
            self.outbox.put(to, sender, message)
        except Exception as error:  # noqa: BLE001 - pickling runs the code of the message's class
            self.counters["unpicklable"] += 1
            log.warning("cannot send a %s: %s: %s", type(message).__name__, type(error).__name__, error)

    def dead_letter(self, to: Address, message: object) -> None:
        """Somebody's message to `to` can never be delivered."""
        if not reportable(message):
            return
        self.counters["dead_letters"] += 1
        if to.process != self._adminAddr:
            self.put(self._adminAddr, 0, DeadEnvelope(to, message))

    def _lost(self, to: Address, data: bytes) -> None:
        try:
            message = pickle.loads(data)  # noqa: S301 - pickled by this very process
        except Exception:  # noqa: BLE001 - unpickling runs the code of the message's class
            self.counters["dead_letters"] += 1
            return
        self.dead_letter(to, message)

    def _transmit(self, to: Address, parcel: Parcel, ended: Callable[[str], None]) -> None:
        def failed(result: Any, _intent: Any) -> None:
            dead = result in (SendStatus.DeadTarget, SendStatus.BadPacket)
            ended("dead" if dead else "failed")

        transmission = intent(to, parcel, on_success=lambda _r, _i: ended("sent"), on_error=failed)
        try:
            self.transport.scheduleTransmit(self._addrManager, transmission)
        except Exception:
            log.exception("cannot send to %s", to)
            ended("failed")
