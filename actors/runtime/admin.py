"""The admin: the process that owns the root actor, forwards dead letters and ends the system.

Guarantees: it ends when its starter (run.py) has ended, however that happened, and when the root actor has;
with it ends everything. Thespian's conventions, global names and loadable sources are left out.
"""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING, Any

from thespian.actors import ActorExitRequest, WakeupMessage, WatchMessage
from thespian.system.messages.multiproc import EndpointConnected
from thespian.system.transport import ReceiveEnvelope, Thespian__UpdateWork
from thespian.system.utilis import actualActorClass

from actors.runtime import logs, safety
from actors.runtime.address import Address
from actors.runtime.children import Child
from actors.runtime.endpoint import Birth
from actors.runtime.mailroom import Mailroom
from actors.runtime.manager import run_actor
from actors.runtime.outbox import Parcel
from actors.runtime.settings import Settings
from actors.runtime.transport import Transport, intent

if TYPE_CHECKING:

    class _AdminCore:
        """Thespian is untyped: its admin is opaque to the type checker."""

        def __init__(self, *_arguments: object) -> None: ...
        def handleIncoming(self, _envelope: Any) -> bool: ...  # noqa: N802 - Thespian's name

else:
    from thespian.system.admin.adminCore import AdminCore as _AdminCore

log = logging.getLogger("gatewright.admin")


def run_admin(born: Birth, starter: Address, lifeline: int, capabilities: dict[str, Any]) -> None:
    """The life of the admin process. `lifeline` is a pidfd of the starter."""
    settings: Settings = capabilities[Settings.KEY]
    os.setsid()  # the terminal's signals are run.py's business
    safety.no_core_dumps()
    safety.many_descriptors()
    logging.getLogger().setLevel(logging.CRITICAL)  # Thespian greets on the root logger
    admin = Admin(Transport(born), born, lifeline, capabilities)
    logs.install(settings.log, "admin")
    signal.signal(signal.SIGCHLD, admin.signalChildDied)
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda *_: admin.transport.interrupt_wait(signal_shutdown=True))
    safety.unblock_signals()
    admin.transport.scheduleTransmit(None, intent(starter, EndpointConnected(0)))
    admin.run()


class Admin(Mailroom, _AdminCore):
    """Thespian's AdminCore with our processes and mail."""

    def __init__(
        self, transport: Transport, born: Birth, lifeline: int, capabilities: dict[str, Any]
    ) -> None:
        _AdminCore.__init__(self, transport, born.address, capabilities, None, None)
        settings: Settings = capabilities[Settings.KEY]
        self.open_mailroom(settings.limits)
        self._lifeline = lifeline
        transport.watch_permanently(lifeline)
        transport.enableRXPauseFlowControl(False)

    def run(self) -> None:
        """For ever; the process ends in `end`."""
        while True:
            result = self.transport.run(self.handleIncoming)
            if not isinstance(result, Thespian__UpdateWork):
                raise RuntimeError(f"the transport ended: {result!r}")  # noqa: TRY004 - not about types

    def handleIncoming(self, envelope: Any) -> bool:  # noqa: N802 - Thespian's name
        """Thespian: what has arrived."""
        message = envelope.message
        if type(message) is Parcel:
            for _, sender, content in self.unpack(envelope.sender, message):
                super().handleIncoming(ReceiveEnvelope(sender, content))
        elif isinstance(message, WatchMessage):
            self._look_around(message.ready)
        elif isinstance(message, WakeupMessage):
            message.payload()
        elif isinstance(message, ActorExitRequest):
            self.end()
        else:
            super().handleIncoming(envelope)
        self.outbox.flush()
        return True

    def _look_around(self, ready: list[int]) -> None:
        if self._lifeline in ready and not self.isShuttingDown():
            log.warning("the starter is gone: ending")
            self.end()
        if self.transport.wake_fd in ready:
            self.transport.drain_wake()
            self.transport._check_indicators()

    def end(self) -> None:
        """End all actors, then this process; by force if they take longer than the grace time."""
        if self.isShuttingDown():
            return
        self._exiting = self.myAddress
        self.transport.unwatch(self._lifeline)
        if not self.family:
            safety.leave(0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 1.0 + 1.5 * self.limits.exit_grace_s)
        for child in self.family.values():
            self.put(child.address, 0, ActorExitRequest())
        self.later(1.25 * self.limits.exit_grace_s, self.kill_children)

    def lost_child(self, child: Child) -> bool:
        """See Family. Without a root actor there is no system."""
        if not self.isShuttingDown():
            log.critical("the root actor %s is gone: the system ends", child.name)
            safety.leave(70)
        if not self.family:
            safety.leave(0)
        return True

    # ------------------------------------------------------------------ Thespian's messages to the admin

    def h_SystemShutdown(self, _envelope: Any) -> bool:  # noqa: N802 - Thespian's name
        """Somebody asked for the end."""
        self.end()
        return True

    def h_DeadEnvelope(self, envelope: Any) -> bool:  # noqa: N802 - Thespian's name
        """Forward a dead letter to the actor that collects them."""
        self.counters["dead_letters"] += 1
        if self._deadLetterHandler is not None:
            self.put(self._deadLetterHandler, 0, envelope.message)
        return True

    def h_LogRecord(self, _envelope: Any) -> bool:  # noqa: N802 - Thespian's name
        """Nobody logs through us."""
        return True

    def _startChildActor(  # noqa: N802 - Thespian's name
        self,
        address: Any,
        class_name: str,
        *_rest: object,
        **_more: object,
    ) -> None:
        """Thespian: start the root actor. Its address is valid at once, so it is announced at once."""
        cls = actualActorClass(class_name)
        child = self.fork_child(cls.__name__, lambda born: run_actor(born, cls, self.capabilities))
        self._pendingActorReady(address.addressDetails.addressInstanceNum, child.address)
