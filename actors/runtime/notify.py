"""What systemd is told of a service of Type=notify (sd_notify(3)): ready, alive, stopping.

Guarantees: nothing happens without $NOTIFY_SOCKET; a socket that does not take the message is no error, since the
service itself is well; no child speaks in our name. Does not guarantee that the message is read.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import MutableMapping


class Notifier:
    """Speaks to the service manager, if there is one. `environ`: what our children get."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        # taken out: an etcd of our own would say READY as soon as it is ready itself
        address = environ.pop("NOTIFY_SOCKET", "")
        # a leading @ stands for the abstract name space
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    def tell(self, *lines: str) -> bool:
        """Send assignments such as `READY=1` as one message. Whether they were sent."""
        if self._address[:1] not in ("/", "\0"):
            return False
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)  # a manager that does not read must not stop us
            sender.sendto("\n".join(lines).encode(), self._address)
            return True
        return False
