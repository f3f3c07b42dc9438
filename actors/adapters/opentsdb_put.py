"""Measured values to an OpenTSDB (or what speaks its HTTP put), in the background.

Guarantees: `offer` never blocks and never raises; what does not fit the bounded queue, and what the store refuses
or does not take within a few tries, is dropped and counted; one thread, one connection at a time, a pause that grows
after failures. The URL's user and password are in no text.
"""

from __future__ import annotations

import logging
import queue
import threading
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Iterable
from http.client import HTTPException
from typing import Final

from actors.core.backoff import delay_s
from actors.core.measurements import put_bodies
from actors.core.readings import Point

_TRIES: Final = 3
_log = logging.getLogger("gatewright.OpentsdbPut")


class OpentsdbPut:
    """One store. `url`: http(s)://[user:password@]host:port, without /api/put."""

    def __init__(
        self, url: str, *, queue_max: int = 1000, timeout_s: float = 5.0, pause_s: float = 1.0
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an http or https address")
        host = parts.netloc.rpartition("@")[2]
        self._url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/api/put"
        self._headers = {"Content-Type": "application/json"}
        if parts.username is not None:
            login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + b64encode(login.encode()).decode()
        self._timeout_s, self._pause_s = timeout_s, pause_s
        self._queue: queue.Queue[bytes] = queue.Queue(queue_max)
        self._ended = threading.Event()
        #: Requests that were taken, and that were given up or found no place.
        self.taken = self.dropped = 0
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="opentsdb-put", daemon=True)
        self._thread.start()

    def offer(self, at_s: float, points: Iterable[Point]) -> None:
        """Hand over points measured at `at_s` (seconds since 1970)."""
        for body in put_bodies(at_s, points):
            try:
                self._queue.put_nowait(body)
            except queue.Full:
                self.dropped += 1

    def close(self) -> None:
        """End the thread; what is queued is lost."""
        self._ended.set()
        self._thread.join(self._timeout_s + 1)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                body = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            if any(self._put(body) for _ in range(_TRIES) if not self._ended.is_set()):
                self.taken += 1
            else:
                self.dropped += 1

    def _put(self, body: bytes) -> bool:
        """One try; after a failure a pause."""
        request = urllib.request.Request(self._url, body, self._headers, method="POST")  # noqa: S310 - see __init__
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s):  # noqa: S310
                if self._failures:
                    _log.warning("the time-series store takes values again")
                self._failures = 0
                return True
        except (OSError, ValueError, HTTPException) as error:
            self._failures += 1
            if self._failures == 1:
                _log.warning("the time-series store does not take values: %s", _why(error))
            self._ended.wait(delay_s(self._failures, self._pause_s, 60.0, self._url))
            return False


def _why(error: Exception) -> str:
    """In words, of which none is the store's own."""
    if isinstance(error, urllib.error.HTTPError):
        return f"it answers with HTTP {error.code}"
    if isinstance(error, HTTPException):
        return f"no answer in HTTP ({type(error).__name__})"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return (isinstance(cause, OSError) and cause.strerror) or type(cause).__name__
