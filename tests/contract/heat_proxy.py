"""A TCP proxy in front of a Heat that cuts, delays, doubles and garbles the requests it is told to.

Guarantees: loopback only; every request goes to Heat on a connection of its own, so what happens to one does
not touch another; requests are counted per project, and faults are given per project and number.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

_PROJECT = re.compile(rb"^[A-Z]+ /v1/([^/ ]+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

#: What can happen to a request.
FAULTS = {
    "refused": "the connection is reset; Heat sees nothing",
    "half a request": "Heat gets half of it, then nothing",
    "mute": "Heat does it; the connection is reset instead of an answer",
    "half an answer": "Heat does it; half of the answer arrives",
    "garbled": "Heat does it; the body of the answer is noise",
    "garbled head": "Heat does it; the whole answer is noise",
    "late answer": "Heat does it; the answer comes when nobody waits any more",
    "late": "Heat gets it when nobody waits for an answer any more",
    "twice": "Heat gets it twice at the same moment",
    "again": "Heat gets it once more, a moment after it answered",
}
#: Longer than the patience of the client.
LATE_S = 1.2
AGAIN_S = 0.2


class Proxy:
    """`plan`: project → number of the request (from 0) → fault. `tls`: speak TLS with clients."""

    def __init__(self, heat_url: str, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        place = urlsplit(heat_url)
        self._heat = (place.hostname or "127.0.0.1", place.port or 80)
        self.plan: dict[str, Mapping[int, str]] = {}
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _secured(self, client: socket.socket) -> socket.socket:
        if self._tls is None:
            return client
        with client:  # wrapping takes the descriptor out of it
            return self._tls.wrap_socket(client, server_side=True)

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), self._secured(plain) as client:
            request = _read_request(client)
            if not request:
                return
            found = _PROJECT.match(request)
            project = found[1].decode() if found else ""
            with self._lock:
                number = self.counts[project]
                self.counts[project] += 1
            self._handle(client, request, self.plan.get(project, {}).get(number, ""))

    def _handle(self, client: socket.socket, request: bytes, fault: str) -> None:
        if fault == "refused":
            _reset(client)
            return
        if fault == "late":
            time.sleep(LATE_S)
        if fault == "half a request":
            self._send(request[: len(request) // 2]).close()
            _reset(client)
            return
        if fault == "twice":
            threading.Thread(target=self._quietly, args=(request,), daemon=True).start()
        answer = self._ask(request)
        if fault == "late answer":
            time.sleep(LATE_S)
        if fault in ("mute", "late", "late answer"):
            _reset(client)
        elif fault == "half an answer":
            client.sendall(answer[: len(answer) // 2])
            _reset(client)
        else:
            client.sendall(_garbled(answer, fault))
        if fault == "again":
            time.sleep(AGAIN_S)
            self._quietly(request)

    def _ask(self, request: bytes) -> bytes:
        """All of Heat's answer."""
        with self._send(request) as heat:
            return b"".join(iter(lambda: heat.recv(65536), b""))

    def _send(self, request: bytes) -> socket.socket:
        heat = socket.create_connection(self._heat, timeout=30)
        heat.sendall(request)
        return heat

    def _quietly(self, request: bytes) -> None:
        with contextlib.suppress(OSError):
            self._ask(request)


def _read_request(client: socket.socket) -> bytes:
    """One whole request, made such that Heat closes the connection after its answer."""
    client.settimeout(30)
    data = b""
    while b"\r\n\r\n" not in data:
        data += (more := client.recv(65536))
        if not more:
            return b""
    head, _, body = data.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    while length and len(body) < int(length[1]):
        body += client.recv(65536)
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body


def _garbled(answer: bytes, fault: str) -> bytes:
    head, gap, body = answer.partition(b"\r\n\r\n")
    if fault == "garbled":
        return head + gap + b"\x00" * len(body)
    return b"\xff\x00" * 40 if fault == "garbled head" else answer


def _reset(client: socket.socket) -> None:
    """Close with a RST, as a dying peer does."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
