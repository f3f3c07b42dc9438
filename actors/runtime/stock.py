"""Thespian's own TCP transport and addresses, imported without a question to the resolver.

When imported, Thespian asks for the names and addresses of this machine: where the name is not known that is four
warnings on stderr and a handler on the root logger, and where no resolver answers a wait of many seconds, at every
start and in every process. We listen on 127.0.0.1 only, which Thespian knows unasked.
Guarantees: what is patched for the time of the import is put back.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def _nothing(*_arguments: Any, **_options: Any) -> list[Any]:
    return []


def _no_name(name: str = "") -> str:
    return ""


@contextmanager
def _no_resolver() -> Iterator[None]:
    asked = socket.getaddrinfo, socket.getfqdn
    socket.getaddrinfo, socket.getfqdn = _nothing, _no_name
    try:
        yield
    finally:
        socket.getaddrinfo, socket.getfqdn = asked


with _no_resolver():
    from thespian.system.transport import TCPTransport as tcp  # noqa: N813 - the module
    from thespian.system.transport.IPBase import TCPv4ActorAddress

__all__ = ["TCPv4ActorAddress", "tcp"]
