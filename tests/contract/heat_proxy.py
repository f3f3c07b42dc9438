"""A TCP proxy in front of a Heat that cuts, delays, doubles and garbles the requests it is told to.

Guarantees: loopback only; every request goes to Heat on a connection of its own, so what happens to one does
not touch another; requests are counted per project, and faults are given per project and number; what is late
is later than the client's patience, however long that is.
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
from collections.abc import Callable, Mapping
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
AGAIN_S = 0.2
#: No client is more patient than that, and no Heat slower.
_LONGEST_S = 120.0


class Proxy:
    """Listens at once at `url`. `tls`: speak TLS with clients."""

    def __init__(self, heat_url: str, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        place = urlsplit(heat_url)
        self._heat = (place.hostname or "127.0.0.1", place.port or 80)
        self._plan: dict[str, Mapping[int, str]] = {}
        self._counts: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def expect(self, project: str, faults: Mapping[int, str]) -> None:
        """Number of the project's request, from 0 for the next one → what will happen to it."""
        with self._lock:
            self._plan[project] = faults
            self._counts[project] = 0

    def quiet(self, project: str) -> bool:
        """Whether nothing of the project is on its way to Heat any more."""
        with self._lock:
            return not self._under_way[""] and not self._under_way[project]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._begin("", self._serve, client)

    def _begin(self, project: str, work: Callable[..., object], *arguments: object) -> None:
        """Do it on a thread; until its end it is under way. `project`: "" if that is not known yet."""

        def run() -> None:
            try:
                with contextlib.suppress(OSError):
                    work(*arguments)
            finally:
                with self._lock:
                    self._under_way[project] -= 1

        with self._lock:
            self._under_way[project] += 1
        threading.Thread(target=run, daemon=True).start()

    def _secured(self, client: socket.socket) -> socket.socket:
        if self._tls is None:
            return client
        with client:  # wrapping takes the descriptor out of it
            return self._tls.wrap_socket(client, server_side=True)

    def _serve(self, plain: socket.socket) -> None:
        client = self._secured(plain)
        request = _read_request(client)
        found = _PROJECT.match(request)
        project = found[1].decode() if found else ""
        with self._lock:
            fault = self._plan.get(project, {}).get(self._counts[project], "")
            self._counts[project] += 1
        if request:
            self._begin(project, self._handle, client, request, fault)
        if fault == "twice":
            self._begin(project, self._ask, request)

    def _handle(self, client: socket.socket, request: bytes, fault: str) -> None:
        with client:
            self._answer(client, request, fault)
        if fault == "again":
            time.sleep(AGAIN_S)
            self._ask(request)

    def _answer(self, client: socket.socket, request: bytes, fault: str) -> None:
        if fault == "refused":
            _reset(client)
            return
        if fault == "late":
            _await_end(client)
        if fault == "half a request":
            self._send(request[: len(request) // 2]).close()
            _reset(client)
            return
        answer = self._ask(request)
        if fault == "late answer":
            _await_end(client)
        if fault in ("mute", "late", "late answer"):
            _reset(client)
        elif fault == "half an answer":
            client.sendall(answer[: len(answer) // 2])
            _reset(client)
        else:
            client.sendall(_garbled(answer, fault))

    def _ask(self, request: bytes) -> bytes:
        """All of Heat's answer."""
        with self._send(request) as heat:
            return b"".join(iter(lambda: heat.recv(65536), b""))

    def _send(self, request: bytes) -> socket.socket:
        heat = socket.create_connection(self._heat, timeout=_LONGEST_S)
        heat.sendall(request)
        return heat


def _read_request(client: socket.socket) -> bytes:
    """One whole request, made such that Heat closes the connection after its answer."""
    client.settimeout(_LONGEST_S)
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


def _await_end(client: socket.socket) -> None:
    """Return when the client has given up: it closes the connection."""
    with contextlib.suppress(OSError):
        while client.recv(1024):
            pass


def _reset(client: socket.socket) -> None:
    """Close with a RST, as a dying peer does."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
