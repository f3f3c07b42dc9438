"""Thespian's TCP transport, hardened: loopback only, authenticated frames, nothing a stranger can wedge.

Guarantees: every listening socket is bound to 127.0.0.1; a connection that does not begin with an authentic
frame is closed unread and unanswered, at most STRANGERS of them are open at once; a damaged answer ends one
transmission with a failure, never silently; wakeups from threads and signal handlers cost one write to an
eventfd; sockets are polled at least once between two rounds of timers.
Thespian's loop makes a selector in every turn: here that costs one system call instead of one per descriptor.
Touches these internals of thespian==4.0.1: the constructor, `_acceptNewIncoming`, `_addedDataToIncoming`,
`_nextTransmitStep`, `_update_runtime`, `_realizeWakeups`, `interrupt_wait`, `set_watch`, and the module names
`ReceiveBuffer`, `serializer`, `selectors`, `ackMsg`, `ackDataErrMsg`, `MAX_PENDING_TRANSMITS`.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from thespian.system.timing import ExpirationTimer, currentTime
from thespian.system.transport import (
    ExternalInterfaceTransportInit,
    ReceiveEnvelope,
    SendStatus,
    TransmitIntent,
    asyncTransportBase,
)
from thespian.system.transport.streamBuffer import ackDataErrPacket, ackPacket, isControlMessage

from actors.runtime import safety
from actors.runtime.address import Address
from actors.runtime.endpoint import Birth, birth
from actors.runtime.outbox import Parcel
from actors.runtime.selecting import Selectors
from actors.runtime.stock import tcp as stock
from actors.runtime.wire import FrameBuffer, NoPickle, WireError, frame

if TYPE_CHECKING:

    class _TcpTransport:
        """Thespian is untyped: this is what we use of its transport."""

        run_time: Any
        run: Any
        scheduleTransmit: Any  # noqa: N815 - Thespian's name
        interrupt_wait: Any
        _update_runtime: Any
        _realizeWakeups: Any  # noqa: N815 - Thespian's name

        def __getattr__(self, name: str) -> Any: ...

else:
    _TcpTransport = stock.TCPTransport

log = logging.getLogger("gatewright.transport")

ACK = frame(pickle.dumps(ackPacket))
NAK = frame(pickle.dumps(ackDataErrPacket))

#: How many connections may be open that have not yet said anything authentic, and for how long.
STRANGERS = 128
STRANGER_S = 30

#: Descriptors that strangers may not use up: Thespian opens one in every turn of its loop.
RESERVE = 16

#: No round of timers starts sooner than this (seconds) after the last, so that sockets get their turn.
TIMER_FLOOR_S = 0.0002

#: Frames under way at once, one per destination. Thespian's 20 would let 20 stuck processes block all others.
MAX_UNDER_WAY = 1000

#: Delivered to the process when a timer may be due.
TICK = object()


def patch_stock_transport() -> None:
    """Replace what Thespian's transport module uses to read and write raw pickles, and its narrow bound."""
    stock.ReceiveBuffer = FrameBuffer
    stock.serializer = NoPickle
    stock.selectors = Selectors
    stock.ackMsg = ACK
    stock.ackDataErrMsg = NAK
    asyncTransportBase.MAX_PENDING_TRANSMITS = MAX_UNDER_WAY


class Transport(_TcpTransport):
    """The transport of one process (`init` is a Birth) or of one conversation from outside."""

    def __init__(self, init: object, *args: Any) -> None:
        super(_TcpTransport, self).__init__()
        self.txOnly = False
        self._parentAddr = None
        self.wake_fd = -1
        self._next_due: float | None = None
        if isinstance(init, Birth):
            self.socket: Any = init.listener
            self.myAddress = init.address
            self._adminAddr, self._parentAddr = init.admin, init.parent
            self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self._adminAddr = (
                self.getAdminAddr(args[0]) if isinstance(init, ExternalInterfaceTransportInit) else args[0]
            )
            own = birth(self._adminAddr, None)
            self.socket, self.myAddress = own.listener, own.address
        self._transmitIntents: dict[int, Any] = {}
        self._waitingTransmits: list[Any] = []
        self._incomingSockets: dict[int, Any] = {}
        self._incomingEnvelopes: list[Any] = []
        self._finished_intents: list[Any] = []
        self._openSockets: dict[Any, Any] = {}
        self._permanent = [self.wake_fd] if self.wake_fd >= 0 else []
        self._watches = list(self._permanent)
        self._checkChildren = False
        self._shutdownSignalled = False

    # ------------------------------------------------------------------ life and death

    @staticmethod
    def getAdminAddr(capabilities: dict[str, Any]) -> Address:  # noqa: N802 - Thespian's name
        """Where the admin of this system listens; the port was reserved by `system.start`."""
        return Address(capabilities["Admin Port"])

    @staticmethod
    def probeAdmin(_address: Address) -> bool:  # noqa: N802 - Thespian's name
        """Never use an admin that is there already: ours is always new, on a port reserved for it."""
        return False

    def external_transport_clone(self) -> Transport:
        """Another endpoint of the same process, for one conversation."""
        return Transport(stock.ExternalTransportCopy(), self._adminAddr)

    def descriptors(self) -> Iterator[int]:
        """All descriptors that a forked child has to close."""
        yield from (each.fileno() for each in self._sockets() if each.fileno() >= 0)
        yield from self._permanent

    def close(self) -> None:
        """Close all sockets. Transmissions under way are lost."""
        if self.__dict__.get("socket") is None:
            return
        for each in self._sockets():
            each.close()
        self.socket = None
        self._openSockets, self._incomingSockets = {}, {}
        self._transmitIntents, self._waitingTransmits = {}, []
        if self.wake_fd >= 0:
            os.close(self.wake_fd)
            self.wake_fd = -1

    def _sockets(self) -> list[socket.socket]:
        holders = [*self._openSockets.values(), *self._incomingSockets.values()]
        holders += [*self._transmitIntents.values(), *self._waitingTransmits]
        held = [getattr(each, "socket", None) for each in holders]
        return [self.socket, *(each for each in held if each is not None)]

    def __del__(self) -> None:
        self.close()

    # ------------------------------------------------------------------ waking up

    def wake(self) -> None:
        """From any thread or signal handler: have the process look around soon."""
        os.eventfd_write(self.wake_fd, 1)

    def drain_wake(self) -> None:
        """Forget the wakeups so far; what they stood for has to be looked at after this."""
        try:
            os.eventfd_read(self.wake_fd)
        except BlockingIOError:
            return

    def watch_permanently(self, fd: int) -> None:
        """Deliver a WatchMessage whenever `fd` is readable."""
        self._permanent.append(fd)
        self._watches = list(self._permanent)

    def unwatch(self, fd: int) -> None:
        """No longer."""
        self._permanent.remove(fd)
        self._watches = list(self._permanent)

    def set_watch(self, _watchlist: list[int]) -> None:
        """Actors have no descriptors of their own to watch: the bridges of `threads` do that."""
        self._watches = list(self._permanent)

    def interrupt_wait(self, signal_shutdown: bool = False, check_children: bool = False) -> None:
        """Thespian: leave select() now. The original connects to itself, which can fail in a handler."""
        self._shutdownSignalled |= signal_shutdown
        self._checkChildren |= check_children
        if self.wake_fd >= 0:
            self.wake()
        else:
            super().interrupt_wait(signal_shutdown, check_children)

    # ------------------------------------------------------------------ timers

    def wake_at(self, due: float | None) -> None:
        """Deliver TICK at the time `due` of Thespian's clock (None: never)."""
        self._next_due = due
        if due is not None and hasattr(self, "run_time"):
            timer = ExpirationTimer(max(due - currentTime(), TIMER_FLOOR_S))
            self.run_time = min(self.run_time, timer)

    def _update_runtime(self, max_runtime: Any) -> None:
        super()._update_runtime(max_runtime)
        if self._pendingWakeups:
            floor = ExpirationTimer(TIMER_FLOOR_S)
            self.run_time = max(self.run_time, floor, key=_until)
        self.wake_at(self._next_due)

    def _realizeWakeups(self) -> bool:  # noqa: N802 - Thespian's name
        if self._next_due is not None and self._next_due <= currentTime():
            self._next_due = None
            self._activeWakeups.append(ReceiveEnvelope(self.myAddress, TICK))
        return bool(super()._realizeWakeups())

    # ------------------------------------------------------------------ sending

    def serializer(self, intent: Any) -> bytes:
        """Thespian: the bytes of one message."""
        return frame(pickle.dumps((self.myAddress, intent.message), protocol=5), intent.targetAddr.life)

    def scheduleTransmit(  # noqa: N802 - Thespian's name
        self,
        manager: Any,
        intent: Any,
        has_exclusive_flag: bool = False,
    ) -> None:
        """Thespian: send. What is meant for an actor inside a process goes to the process in a Parcel."""
        target = intent.targetAddr
        if isinstance(target, Address) and target.sub:
            data = pickle.dumps(intent.message, protocol=5)
            intent.changeMessage(Parcel(0, ((target.sub, 0, data),)))
            intent.changeTargetAddr(target.process)
        super().scheduleTransmit(manager, intent, has_exclusive_flag)

    def _nextTransmitStep(self, intent: Any) -> bool:  # noqa: N802 - Thespian's name
        """As the original, but an unexpected error ends the transmission with a failure, not silently."""
        try:
            return bool(getattr(self, f"_next_XMIT_{intent.stage}")(intent))
        except Exception as error:  # noqa: BLE001 - whatever a peer or a port thief answered
            log.warning("sending to %s failed: %s: %s", intent.targetAddr, type(error).__name__, error)
            if hasattr(intent, "socket"):
                intent.socket.close()
                delattr(intent, "socket")
            self._finished_intents.append((intent, SendStatus.Failed))
            return False

    # ------------------------------------------------------------------ receiving

    def _acceptNewIncoming(self) -> None:  # noqa: N802 - Thespian's name
        """Accept one connection; it is a stranger until its first authentic frame."""
        try:
            accepted, _ = self.new_socket(self.socket.accept)
        except OSError as error:
            log.warning("cannot accept a connection: %s", error)
            self._drop_strangers(1)
            return
        scarce = accepted.fileno() >= safety.descriptor_limit() - RESERVE
        self._drop_strangers(RESERVE // 2 if scarce else self._strangers() - STRANGERS + 1)
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        incoming = stock.TCPIncomingPersistent(_NOBODY, accepted)
        incoming._expires = ExpirationTimer(timedelta(seconds=STRANGER_S))
        self._incomingSockets[accepted.fileno()] = incoming

    def _strangers(self) -> int:
        return sum(map(_is_stranger, self._incomingSockets.values()))

    def _drop_strangers(self, how_many: int) -> None:
        """Close connections that have not said anything authentic, the oldest first."""
        if how_many > 0:
            strangers = [number for number, each in self._incomingSockets.items() if _is_stranger(each)]
            for number in strangers[:how_many]:
                self._incomingSockets.pop(number).close()

    def _addedDataToIncoming(  # noqa: N802 - Thespian's name
        self,
        inc: Any,
        skip_finish: bool = False,
        has_exclusive_flag: bool = False,
    ) -> Any:
        """Acknowledge and queue a complete frame; refuse one that was meant for an earlier life."""
        if not inc.receivedAllData():
            return inc
        try:
            sender, message = self._content(inc)
        except Exception as error:  # noqa: BLE001 - system messages of another release can raise anything
            log.warning("refused a frame: %s: %s", type(error).__name__, error)
            _send_and_close(inc)
            return None
        try:
            inc.socket.send(ACK)
        except OSError:
            log.debug("the sender was gone before its frame was acknowledged")
        inc.fromAddress = sender
        self._processReceivedEnvelope(ReceiveEnvelope(sender, message), has_exclusive_flag)
        if not skip_finish:
            self._finishIncoming(inc, sender)
        return None

    def _content(self, inc: Any) -> Any:
        if inc._rData.life not in (0, self.myAddress.life):
            raise WireError("meant for a process that is gone")
        content, _ = inc.data
        if isControlMessage(content):
            raise WireError("an acknowledgement of nothing")
        return content


class _Nobody:
    """The sender of a connection that has not said anything yet."""

    addressDetails = None  # noqa: N815 - Thespian's name

    def __bool__(self) -> bool:
        return False


_NOBODY = _Nobody()


def _is_stranger(incoming: Any) -> bool:
    return incoming.fromAddress is _NOBODY


def _send_and_close(incoming: Any) -> None:
    try:
        incoming.socket.send(NAK)
    except OSError:
        log.debug("the sender was gone before its frame was refused")
    incoming.close()


def _until(timer: Any) -> float:
    remaining = timer.view().remainingSeconds()
    return float("inf") if remaining is None else float(remaining)


def intent(to: Address, message: object, on_success: Any = None, on_error: Any = None) -> Any:
    """A transmission for Thespian's transport; the callbacks get (result, intent)."""
    return TransmitIntent(to, message, onSuccess=on_success, onError=on_error)
