"""Ports: reserved by the parent before the fork, so that a child's address is valid before the child runs."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from actors.runtime.address import LOOPBACK, Address

if TYPE_CHECKING:

    class _InitBase:
        """Thespian is untyped: its TransportInit__Base is an empty class for the type checker."""

else:
    from thespian.system.transport import TransportInit__Base as _InitBase


def listen() -> socket.socket:
    """A listening socket on a free loopback port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind((LOOPBACK, 0))
    listener.listen(512)
    return listener


class Birth(_InitBase):
    """What a new process needs for its transport; made by the parent before the fork."""

    def __init__(
        self, listener: socket.socket, address: Address, admin: Address, parent: Address | None
    ) -> None:
        self.listener = listener
        self.address = address
        self.admin = admin
        self.parent = parent


def birth(admin: Address, parent: Address | None) -> Birth:
    """Reserve a port and a life for a process that is about to be forked."""
    listener = listen()
    life = int.from_bytes(os.urandom(8)) | 1
    return Birth(listener, Address(listener.getsockname()[1], life), admin, parent)
