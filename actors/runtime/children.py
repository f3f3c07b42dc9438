"""Starting and losing processes; a part of both the admin and the process actors.

Guarantees: the address of a child is valid before the child runs; every death of a child is noticed and told
exactly once, also when many die together; no child outlives its parent. Children are forked (the key of this
boot and all imports come along); fork on the main thread, before the process has others.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thespian.system.messages.multiproc import ChildMayHaveDied

from actors.runtime import safety
from actors.runtime.address import Address
from actors.runtime.endpoint import Birth, birth
from actors.runtime.transport import Transport

if TYPE_CHECKING:

    class _Replicator:
        """Thespian is untyped: its replicator is opaque to the type checker."""

        def __getattr__(self, name: str) -> Any: ...

else:
    from thespian.system.multiprocCommon import MultiProcReplicator as _Replicator

log = logging.getLogger("gatewright.children")


@dataclass(frozen=True, slots=True)
class Child:
    """A process we forked: who it is and which actor of ours (by number) is its parent."""

    address: Address
    pid: int
    name: str
    parent: int


def fork(name: str, to_close: list[int], body: Callable[[], None], *, dies_with_us: bool = True) -> int:
    """Fork a process that runs `body` and ends; returns its pid. `to_close`: our descriptors, not for it.

    The child starts with all signals blocked; `body` unblocks them when its handlers are in place.
    """
    me = os.getpid()
    with safety.signals_blocked():
        pid = os.fork()
        if pid == 0:
            _be_child(name, me if dies_with_us else None, to_close, body)
    return pid


def _be_child(name: str, parent: int | None, to_close: list[int], body: Callable[[], None]) -> None:
    try:
        if parent is not None:
            safety.die_with_parent(parent)
        gc.freeze()  # sockets in the parent's garbage must not be closed here: their numbers are reused
        safety.name_process(f"gw:{name}")
        safety.close_inherited(to_close)
        safety.default_signals()
        body()
    except BaseException:  # noqa: BLE001 - nothing may return into the parent's stack
        os.write(2, traceback.format_exc().encode(errors="replace"))
        safety.leave(70)
    safety.leave(0)


class Family(_Replicator):
    """What Thespian calls a replicator: forks children and reaps them."""

    transport: Transport

    def init_replicator(self, transport: Transport, concurrency_context: object) -> None:
        """Thespian: called by the constructors."""
        self.mpcontext = concurrency_context
        self.family: dict[Address, Child] = {}
        self.asLogger = transport.myAddress  # no logger process: every process logs for itself

    def fork_child(self, name: str, body: Callable[[Birth], None], parent: int = 0) -> Child:
        """Fork a process that runs `body` and then ends. Raises OSError if there can be no more processes."""
        new = birth(self._adminAddr, self.transport.myAddress)
        try:
            pid = fork(name, list(self.transport.descriptors()), lambda: body(new))
        finally:
            new.listener.close()
        child = Child(new.address, pid, name, parent)
        self.family[new.address] = child
        return child

    def signalChildDied(self, _signum: int, _frame: object) -> None:  # noqa: N802 - Thespian's name
        """The handler of SIGCHLD."""
        self.transport.interrupt_wait(check_children=True)

    def childDied(self) -> bool:  # noqa: N802 - Thespian's name
        """Reap all children that have ended; returns whether this process goes on."""
        alive = True
        for child in list(self.family.values()):
            try:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = child.pid, 0
            if pid:
                level = logging.INFO if status == 0 else logging.WARNING
                log.log(level, "process %s[%d] ended (%s)", child.name, child.pid, _how(status))
                del self.family[child.address]
                alive = self.lost_child(child) and alive
        return alive

    def lost_child(self, child: Child) -> bool:
        """What the subclass does about it; returns whether this process goes on."""
        raise NotImplementedError

    def kill_children(self) -> None:
        """End all children at once; their exits are told as usual."""
        for child in self.family.values():
            log.warning("process %s[%d] does not end: killed", child.name, child.pid)
            os.kill(child.pid, signal.SIGKILL)

    def _sayGoodbye(self) -> None:  # noqa: N802 - Thespian's name
        """Thespian's notice to the parent, before the end. Ours is the kernel's: after the end, and once."""

    def _childExited(self, _address: Address) -> None:  # noqa: N802 - Thespian's name
        """Thespian forgets other dead children here; `family` is the only list, so there is nothing to do."""

    def _handleReplicatorMessages(self, envelope: Any) -> tuple[bool, bool]:  # noqa: N802 - Thespian's name
        if isinstance(envelope.message, ChildMayHaveDied):
            return True, self.childDied()
        return False, True


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit code {os.waitstatus_to_exitcode(status)}"
