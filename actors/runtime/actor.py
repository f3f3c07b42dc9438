"""The base class of every actor of the product.

Guarantees: a handler that raises is logged once with its traceback, its sender is told (`poisoned`), and the
actor lives on; no handler is run twice for one message; the exit of a child is told once.
An actor is a genuine Thespian Actor; what Thespian calls `receiveMessage` is taken apart here and reaches the
subclass as `receive` and the hooks. Everything goes to the runtime through `host.Host`.

Rules for subclasses: `__init__` takes no arguments and may not use `me`, `tell`, `spawn` or `after` (use
`started`); messages are immutable and picklable; handlers never block; `time` and `random` are not used.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

from thespian.actors import ActorExitRequest, ChildActorExited, DeadEnvelope, PoisonMessage

from actors.runtime.host import Address, Finished, Host, Posted, Started, Timer, TimerFired

if TYPE_CHECKING:

    class _ThespianActor:
        """Thespian is untyped: for the type checker its Actor is an empty class."""

else:
    from thespian.actors import Actor as _ThespianActor

#: Longest text that is sent back to the sender of a message that failed.
MAX_DETAIL = 2000
#: What the runtime itself makes; everything else is the subclass's. Nothing derives from these.
OF_THE_RUNTIME = frozenset(
    {
        PoisonMessage,
        DeadEnvelope,
        ChildActorExited,
        ActorExitRequest,
        TimerFired,
        Started,
        Posted,
        Finished,
    }
)


class BaseActor(_ThespianActor):
    """Subclass this, implement `receive`, and create it with `spawn` of another actor (or `system.start`)."""

    #: True: lives inside the process of its creator. False: has an operating system process of its own.
    in_process: ClassVar[bool] = False

    _host: Host

    @property
    def _myRef(self) -> Host:  # noqa: N802 - Thespian's name
        """Where the methods of Thespian's Actor look for their system."""
        return self._host

    # ------------------------------------------------------------------ what a subclass implements

    def started(self) -> None:
        """Called once, before the first message; `me`, `tell`, `spawn` and `after` work from here on."""

    def receive(self, message: object, sender: Address) -> None:
        """Handle one message. Timers arrive here too, with their payload and `sender == self.me`."""
        raise NotImplementedError(f"{type(self).__name__} has no receive()")

    def child_exited(self, address: Address) -> None:
        """A child is gone, whether it was stopped, killed or could not start. Called once per child."""

    def poisoned(self, message: object, detail: str) -> None:
        """A message that this actor sent could not be handled, read or sent.

        `message` is None if it could not be read by its receiver. The default logs.
        """
        self.log.warning("message %s came back: %s", type(message).__name__, detail)

    def dead_letter(self, to: Address, message: object) -> None:
        """A message of anybody to an actor that is gone; only after `collect_dead_letters`. May be lossy."""

    def stopping(self) -> None:
        """Called once when the actor is asked to end; messages sent here are still delivered."""

    # ------------------------------------------------------------------ what a subclass uses

    @property
    def me(self) -> Address:
        """The actor's own address."""
        return self._host.address

    @property
    def log(self) -> logging.Logger:
        """The logger of this class; levels and format are set by the process (`logs.LogConfig`)."""
        return logging.getLogger(f"gatewright.{type(self).__name__}")

    def now(self) -> float:
        """Seconds of the runtime's clock, which never goes back (the simulator has one of its own)."""
        return self._host.now()

    def tell(self, to: Address, message: object) -> None:
        """Send, at most once, in order per pair of actors. Never blocks, never raises for a dead target."""
        self._host.send(to, message)

    def spawn(self, cls: type[BaseActor]) -> Address:
        """Create a child; its address is valid at once. A failure to start arrives as `child_exited`."""
        return self._host.create(cls)

    def after(self, delay_s: float, payload: object) -> Timer:
        """Deliver `payload` to `receive` after `delay_s` seconds, unless cancelled. Needs no pickling."""
        return self._host.after(delay_s, payload)

    def stop_child(self, address: Address) -> None:
        """Ask a child (and its children) to end; `child_exited` follows."""
        self._host.stop(address)

    def kill_child(self, address: Address) -> None:
        """End a child that does not answer, at once (SIGKILL for a process); `child_exited` follows."""
        self._host.kill(address)

    def stop_self(self) -> None:
        """End this actor after the messages that are already waiting."""
        self._host.stop(self._host.address)

    def collect_dead_letters(self) -> None:
        """Have `dead_letter` called for messages to actors that are gone, whoever sent them."""
        self._host.collect_dead_letters()

    def counters(self) -> dict[str, int]:
        """Counters of the runtime in this process, for metrics: dead_letters, unreadable, actors, ..."""
        return self._host.counters()

    # ------------------------------------------------------------------ what a host calls

    def deliver(self, message: object, sender: Address) -> None:
        """Hand one message to the right method; an exception ends here."""
        try:
            self.dispatch(message, sender)
        except Exception as error:
            self.log.exception("failed on a message of type %s", type(message).__name__)
            if reportable(message):
                detail = f"{type(error).__name__}: {error}"[:MAX_DETAIL]
                self._host.send(sender, PoisonMessage(message, detail))

    def dispatch(self, message: object, sender: Address) -> None:
        """The table of what calls what."""
        if type(message) not in OF_THE_RUNTIME:
            self.receive(message, sender)
            return
        match message:
            case TimerFired():
                timer = message.timer
                if timer.pending:
                    timer.pending = False
                    self.receive(timer.payload, self._host.address)
            case ChildActorExited():
                self.child_exited(message.childAddress)
            case ActorExitRequest():
                self.stopping()
            case PoisonMessage():
                self.poisoned(message.poisonMessage, str(message.details or ""))
            case DeadEnvelope():
                self.dead_letter(message.deadAddress, message.deadMessage)
            case Started():
                self.started()

    def receiveMessage(self, msg: object, sender: Address) -> None:  # noqa: N802 - Thespian's name
        """Thespian's entry point. No ThespianWatch is ever needed: the host owns its descriptors."""
        self.deliver(msg, sender)


def reportable(message: object) -> bool:
    """Whether the sender of `message` is told that it failed (never for what the runtime itself made)."""
    return type(message) not in OF_THE_RUNTIME
