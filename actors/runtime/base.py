"""The system base, registered with Thespian as `gatewrightBase`.

Guarantees: the admin is always a new process of ours on a port reserved for it; a running admin of somebody
else is never found, asked or used; no logger process exists.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from thespian.actors import ActorSystemStartupFailure
from thespian.system.messages.multiproc import EndpointConnected
from thespian.system.transport import ReceiveEnvelope

from actors.runtime.address import Address
from actors.runtime.admin import run_admin
from actors.runtime.children import fork
from actors.runtime.endpoint import Birth, listen
from actors.runtime.transport import Transport, patch_stock_transport

if TYPE_CHECKING:

    class _Common:
        """Thespian is untyped: its base is opaque to the type checker."""

        transport: Transport

        def __init__(self, *_arguments: object) -> None: ...

else:
    from thespian.system.multiprocCommon import multiprocessCommon as _Common

#: What `ActorSystem(...)` is called with.
NAME = "gatewrightBase"

START_S = 10.0


@dataclass(slots=True)
class Boot:
    """What is prepared before the admin exists."""

    KEY: ClassVar[str] = "gatewright boot"

    listener: socket.socket
    lifeline: int

    @staticmethod
    def prepare() -> Boot:
        """Reserve the admin's port; open a pidfd of this process for the admin to watch."""
        return Boot(listen(), os.pidfd_open(os.getpid()))

    @property
    def port(self) -> int:
        """The admin's port."""
        return int(self.listener.getsockname()[1])

    def close(self) -> None:
        """The starter needs neither once the admin runs."""
        self.listener.close()
        os.close(self.lifeline)


class ActorSystemBase(_Common):
    """Thespian's handle of a system, in the process that started it."""

    transportType = Transport  # noqa: N815 - Thespian's name
    admin_pid: int = 0

    def __init__(self, system: Any, logDefs: object = None) -> None:  # noqa: N803 - Thespian's name
        system.capabilities["Thespian ActorSystem Name"] = NAME
        system.capabilities["Thespian ActorSystem Version"] = 1
        super().__init__(system, logDefs)

    def _startAdmin(  # noqa: N802 - Thespian's name
        self, address: Address, starter: Address, capabilities: dict[str, Any], _log: object
    ) -> None:
        if self.admin_pid:
            raise ActorSystemStartupFailure("the admin does not answer")
        boot: Boot = capabilities.pop(Boot.KEY)
        try:
            born = Birth(boot.listener, address, address, None)
            self.admin_pid = fork(
                "admin",
                list(self.transport.descriptors()),
                lambda: run_admin(born, starter, boot.lifeline, capabilities),
                dies_with_us=False,  # it watches us by pidfd instead, and ends everything in order
            )
        finally:
            boot.close()
        answer = self.transport.run(None, timedelta(seconds=START_S))
        if not isinstance(answer, ReceiveEnvelope) or not isinstance(answer.message, EndpointConnected):
            raise ActorSystemStartupFailure("the admin did not start")


def register() -> None:
    """Make `ActorSystem(NAME)` find this base, and harden Thespian's transport in this process."""
    patch_stock_transport()
    sys.modules[f"thespian.system.{NAME}"] = sys.modules[__name__]


register()
