"""Processes that do not outlive their purpose: kernel guarantees instead of good intentions.

Guarantees (Linux): a process that called `die_with_parent` is killed by the kernel when its parent dies,
however that happens; a fatal signal kills at once instead of being swallowed by a Python handler.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent does; exit if the parent `parent` is gone already.

    Strictly, the kernel watches the *thread* that forked: fork on the main thread only.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def name_process(name: str) -> None:
    """Show `name` (15 bytes of it) in ps and top."""
    _libc.prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0)


def no_core_dumps() -> None:
    """A core would hold the key of this boot, and other secrets."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def descriptor_limit() -> int:
    """How many descriptors this process may have."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def many_descriptors(wanted: int = 65_536) -> None:
    """Use what the hard limit allows, up to `wanted`: a parent needs some descriptors per child and peer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def default_signals() -> None:
    """Undo the parent's Python handlers, and keep the terminal's Ctrl-C from actors.

    Thespian would catch every signal: a segmentation fault would then be repeated for ever.
    """
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """No signal handler runs inside; used around fork so that none of the parent runs in the child."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_signals() -> None:
    """In a forked child, once its own handlers are in place."""
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def close_inherited(descriptors: list[int]) -> None:
    """Close what a child has no business with, and read from nothing."""
    for number in descriptors:
        try:
            os.close(number)
        except OSError:
            continue
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if null > 2:
        os.close(null)


def leave(code: int) -> None:
    """End this forked process now: no exit handlers, no joining of threads of the parent or of libraries."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)


def gone(pid: int) -> bool:
    """Whether no such process exists, or only a zombie that waits for its reaper."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"
