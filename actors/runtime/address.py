"""Addresses: loopback port of a process, life of that process, number of the actor inside it.

Guarantees: an address is valid in every process of the system, hashable, comparable, picklable in a few dozen
bytes, and never means a later actor by accident: `life` is random per process, so neither a port nor an actor
number that is used again makes an old address point at somebody new.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

LOOPBACK = "127.0.0.1"

if TYPE_CHECKING:

    class _ActorAddress:
        """Thespian is untyped: its ActorAddress is an empty class for the type checker."""

    class _TcpDetails:
        """Likewise its TCPv4ActorAddress."""

else:
    from thespian.actors import ActorAddress as _ActorAddress

    from actors.runtime.stock import TCPv4ActorAddress as _TcpDetails


class Address(_ActorAddress, _TcpDetails):
    """Where one actor is. `sub` 0 is the process itself; `life` 0 (the admin) matches whatever lives there.

    It is at once what Thespian calls an ActorAddress and its `addressDetails`.
    """

    __slots__ = ("life", "port", "sub")

    af = socket.AF_INET
    socktype = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def __init__(self, port: int, life: int = 0, sub: int = 0) -> None:
        self.port = port
        self.life = life
        self.sub = sub

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is Address
            and self.sub == other.sub
            and self.life == other.life
            and self.port == other.port
        )

    def __ne__(self, other: object) -> bool:
        return not self.__eq__(other)

    def __hash__(self) -> int:
        return hash((self.port, self.life, self.sub))

    def __reduce__(self) -> tuple[type[Address], tuple[int, int, int]]:
        return (Address, (self.port, self.life, self.sub))

    def __str__(self) -> str:
        return f"{self.port}.{self.life & 0xFFFF:04x}#{self.sub}"

    def __repr__(self) -> str:
        return f"<actor {self}>"

    @property
    def process(self) -> Address:
        """The address of the process in which this actor lives."""
        return self if self.sub == 0 else Address(self.port, self.life)

    def inside(self, sub: int) -> Address:
        """The address of actor number `sub` of this process."""
        return Address(self.port, self.life, sub)

    # ------------------------------------------------------------------ what Thespian's transport asks for

    @property
    def addressDetails(self) -> Address:  # noqa: N802 - Thespian's name
        """Thespian: the transport's part of the address."""
        return self

    @property
    def actorAddressString(self) -> str:  # noqa: N802 - Thespian's name
        """Thespian: a printable form."""
        return str(self)

    @property
    def sockname(self) -> tuple[str, int]:
        """Thespian: what to connect to."""
        return (LOOPBACK, self.port)

    @property
    def bindname(self) -> tuple[str, int]:
        """Thespian: what to bind; never anything but loopback."""
        return (LOOPBACK, self.port)

    @property
    def socketArgs(self) -> tuple[Any, Any, Any]:  # noqa: N802 - Thespian's name
        """Thespian: arguments of socket.socket()."""
        return (self.af, self.socktype, self.proto)

    @property
    def bindArgs(self) -> tuple[tuple[str, int]]:  # noqa: N802 - Thespian's name
        """Thespian: arguments of bind()."""
        return (self.bindname,)

    @property
    def connectArgs(self) -> tuple[tuple[str, int]]:  # noqa: N802 - Thespian's name
        """Thespian: arguments of connect()."""
        return (self.sockname,)

    def isLocalAddr(self) -> bool:  # noqa: N802 - Thespian's name
        """Thespian: nothing of ours is ever remote."""
        return True
