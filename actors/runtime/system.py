"""Starting, asking and stopping the actor system, from run.py.

Guarantees: `start` returns when the root actor runs, or raises and leaves nothing; `ask` returns the answer
to this very question or raises; after `stop` no process of the system exists; if this process dies, however
that happens, the system ends within seconds.
Call `start` on the main thread before there are others and before sockets are opened: all processes are
forked from here and inherit what is open.
"""

from __future__ import annotations

import logging
import os
import pickle
import select
import signal
import threading
import time
from contextlib import closing
from datetime import timedelta
from typing import Any, TypeVar

import psutil
from thespian.actors import ActorSystem, ActorSystemException, PoisonMessage
from thespian.system import systemBase
from thespian.system.messages.admin import SystemShutdown
from thespian.system.transport import ReceiveEnvelope

from actors.runtime import base, safety
from actors.runtime.actor import BaseActor
from actors.runtime.address import Address
from actors.runtime.limits import Limits
from actors.runtime.logs import LogConfig, silence_thespian
from actors.runtime.manager import Hello, Welcome
from actors.runtime.outbox import Parcel, unpack
from actors.runtime.settings import Settings
from actors.runtime.transport import Transport, intent

T = TypeVar("T")

#: The longest that the creation of the root actor takes, unless the admin process has died.
CREATE_S = 5.0

log = logging.getLogger("gatewright.system")


class SystemGoneError(RuntimeError):
    """The actor system has ended, or never came up."""


class NoAnswerError(TimeoutError):
    """Nobody answered in time."""


class RefusedError(RuntimeError):
    """The message could not be read or handled; the text says why."""


class System:
    """A running actor system. All methods may be called from any thread, `stop` from one."""

    def __init__(self, actor_system: Any, admin_pid: int) -> None:
        self._system = actor_system
        self._transport: Transport = actor_system._systemBase.transport
        self._admin: Address = actor_system._systemBase.adminAddr
        self._admin_pid = admin_pid
        self._pidfd = os.pidfd_open(admin_pid)
        self._stopped = False
        self.root = self._admin

    # ------------------------------------------------------------------ talking to it

    def tell(self, message: object, to: Address | None = None) -> None:
        """Send to the root actor (or `to`). Raises SystemGoneError, or NoAnswerError if it did not arrive."""
        with closing(self._endpoint()) as endpoint:
            sent: list[bool] = []
            self._send(endpoint, to or self.root, message, sent)
            self._run(endpoint, 10.0, lambda _message: bool(sent) or None)

    def ask(self, message: object, timeout_s: float, expect: type[T], to: Address | None = None) -> T:
        """Send to the root actor (or `to`) and wait for an answer of type `expect`; others are ignored.

        Raises NoAnswerError after `timeout_s` seconds, RefusedError, SystemGoneError.
        """

        def check(answer: object) -> T | None:
            if isinstance(answer, PoisonMessage):
                raise RefusedError(str(answer.details))
            return answer if isinstance(answer, expect) else None

        with closing(self._endpoint()) as endpoint:
            self._send(endpoint, to or self.root, message, [])
            answer: T = self._run(endpoint, timeout_s, check)
            return answer

    def answers(self, timeout_s: float) -> bool:
        """Whether the process of the root actor answers in time, whatever its actor is at. Raises SystemGoneError."""
        try:
            self.ask(Hello(), timeout_s, Welcome)
        except NoAnswerError:
            return False
        return True

    # ------------------------------------------------------------------ its life

    def alive(self) -> bool:
        """Whether the system runs. Never blocks."""
        return not self._stopped and not select.select([self._pidfd], [], [], 0)[0]

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the system has ended by itself; False if it has not within `timeout_s` seconds."""
        return self._stopped or bool(select.select([self._pidfd], [], [], timeout_s)[0])

    def pids(self) -> list[int]:
        """All processes of the system, the admin first."""
        return [process.pid for process in self._processes()]

    def stop(self, timeout_s: float = 5.0) -> None:
        """End all actors in order, kill what does not end; at most `timeout_s` seconds, usually far less."""
        if self._stopped:
            return
        deadline = time.monotonic() + timeout_s
        processes = self._processes()
        try:
            if self.alive():
                self._ask_for_the_end(deadline - 0.5)
        finally:
            self._kill([*processes, *self._processes()], deadline)
            self._stopped = True
            os.waitpid(self._admin_pid, 0)
            os.close(self._pidfd)
            self._transport.close()

    # ------------------------------------------------------------------ inside

    def _ask_for_the_end(self, deadline: float) -> None:
        with closing(self._endpoint()) as endpoint:
            endpoint.scheduleTransmit(None, intent(self._admin, SystemShutdown()))
            while self.alive() and time.monotonic() < deadline:
                endpoint.run(None, timedelta(seconds=0.02))

    def _endpoint(self) -> Transport:
        if not self.alive():
            raise SystemGoneError("the actor system has ended")
        return self._transport.external_transport_clone()

    def _send(self, endpoint: Transport, to: Address, message: object, sent: list[bool]) -> None:
        parcel = Parcel(0, ((to.sub, 0, pickle.dumps(message, protocol=5)),))

        def succeeded(_result: object, _intent: object) -> None:
            sent.append(True)
            endpoint.abort_run()

        def failed(_result: object, _intent: object) -> None:
            log.debug("a message from outside could not be delivered to %s", to)

        endpoint.scheduleTransmit(None, intent(to.process, parcel, on_success=succeeded, on_error=failed))

    def _run(self, endpoint: Transport, timeout_s: float, check: Any) -> Any:
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise NoAnswerError(f"no answer within {timeout_s} s")
            if not self.alive():
                raise SystemGoneError("the actor system has ended")
            arrived = endpoint.run(None, timedelta(seconds=min(left, 0.2)))
            for message in _messages(arrived):
                answer = check(message)
                if answer is not None:
                    return answer

    def _processes(self) -> list[psutil.Process]:
        try:
            admin = psutil.Process(self._admin_pid)
            return [admin, *admin.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _kill(self, processes: list[psutil.Process], deadline: float) -> None:
        left = [process for process in set(processes) if not safety.gone(process.pid)]
        if left and self.alive():
            log.error("processes that do not end are killed: %s", sorted(process.pid for process in left))
        patience = deadline - 0.4 if not self.alive() else 0.0
        while left:
            if time.monotonic() > patience:
                for process in left:
                    _signal(process)
            time.sleep(0.005)
            left = [process for process in left if not safety.gone(process.pid)]
            if time.monotonic() > deadline + 5.0:
                raise SystemGoneError(f"processes survived SIGKILL: {left}")


def _signal(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)  # psutil: not if the pid belongs to another process by now
    except psutil.NoSuchProcess:
        return


def _messages(arrived: object) -> list[object]:
    if not isinstance(arrived, ReceiveEnvelope):
        return [None]
    if isinstance(arrived.message, Parcel):
        return [message for _, _, message, error in unpack(arrived.message) if error is None]
    return [arrived.message]


def start(
    root: type[BaseActor],
    *,
    log_config: LogConfig | None = None,
    limits: Limits | None = None,
    timeout_s: float = 10.0,
) -> System:
    """Start the system with an actor of class `root` (importable by name) at its top.

    Raises SystemGoneError if the root actor cannot be created or does not start within `timeout_s` seconds.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("start() belongs to the main thread")
    silence_thespian()
    boot = base.Boot.prepare()
    settings = Settings(log_config or LogConfig(), limits or Limits())
    capabilities = {"Admin Port": boot.port, base.Boot.KEY: boot, Settings.KEY: settings}
    zone = os.environ.get("TZ")
    # Thespian waits 50 s for its admin to create the root, even when the admin has died
    systemBase.MAX_CHILD_ACTOR_CREATE_DELAY = timedelta(seconds=min(timeout_s, CREATE_S))
    try:
        actor_system = ActorSystem(base.NAME, capabilities, transientUnique=True)
    except ActorSystemException as error:
        raise SystemGoneError(f"the admin process did not start: {error}") from error
    if zone is None:
        os.environ.pop("TZ", None)  # Thespian sets it
    system = System(actor_system, actor_system._systemBase.admin_pid)
    try:
        system.root = actor_system.createActor(root)
        system.ask(Hello(), timeout_s, Welcome)
    except Exception as error:
        system.stop()
        raise SystemGoneError(f"the root actor {root.__name__} did not start: {error}") from error
    return system
