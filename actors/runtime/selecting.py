"""Waiting for descriptors as Thespian's loop does it: a new selector in every turn.

Guarantees: what that loop uses of Python's `selectors` behaves as there. With epoll a turn costs a system call for each
descriptor and three more; poll(2) needs no registration with the kernel, so here it costs one.
"""

from __future__ import annotations

import errno
import math
import os
import select
import selectors
from typing import Final, NamedTuple

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_MASKS: Final = {_READ: select.POLLIN, _WRITE: select.POLLOUT}


class Ready(NamedTuple):
    """What Thespian's loop reads of a selector's key."""

    fd: int


class Selector:
    """For one turn."""

    __slots__ = ("_poll", "_wanted")

    def __init__(self) -> None:
        self._poll = select.poll()
        self._wanted: dict[int, int] = {}

    def register(self, fd: int, events: int) -> None:
        """`events`: EVENT_READ or EVENT_WRITE. Raises ValueError for a descriptor that is closed (-1)."""
        self._poll.register(fd, _MASKS[events])
        self._wanted[fd] = events

    def select(self, timeout_s: float | None) -> list[tuple[Ready, int]]:
        """The descriptors that are ready (an error makes one ready), or nothing after so many seconds (None: never).

        Raises OSError (EBADF) if one is not open.
        """
        wait_ms = None if timeout_s is None else math.ceil(max(0.0, timeout_s) * 1e3)
        ready = []
        for fd, seen in self._poll.poll(wait_ms):
            if seen & select.POLLNVAL:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            ready.append((Ready(fd), self._wanted[fd]))
        return ready

    def close(self) -> None:
        """Nothing is held."""


class Selectors:
    """Stands where Thespian keeps the module `selectors`."""

    DefaultSelector = Selector
    EVENT_READ, EVENT_WRITE = _READ, _WRITE
