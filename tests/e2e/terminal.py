"""A terminal for `run.py`: what a person sees, and the keys they press."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

from tests.e2e.harness import ROOT, environment, eventually

#: Makes the pseudo-terminal the controlling one, so that Ctrl-C is a key; dies with us.
_GUARD = """
import ctypes, fcntl, os, signal, sys, termios
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
termios.tcsetwinsize(0, (50, 160))
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Terminal:
    """`run.py` on a terminal of 160 columns and 50 lines. Use as a context manager."""

    def __init__(self, folder: Path, *arguments: object, **settings: object) -> None:
        self._folder = folder
        guard = [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), sys.executable]
        state = ["--state-dir", folder / "state"]
        self._command = [*guard, *map(str, (ROOT / "run.py", *state, *arguments))]
        self._env = {**environment(folder, **settings), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self._shown = b""

    def __enter__(self) -> Terminal:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(10)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the last process on the terminal is gone
                return
            if not data:
                return
            self._shown += data

    @property
    def shown(self) -> str:
        """Everything that was written to it, control sequences included."""
        return self._shown.decode("utf-8", "replace")

    def shows(self, pattern: str, timeout_s: float = 30.0) -> None:
        """Wait until what was written matches."""

        def look() -> bool:
            ended = self.process.poll() is not None and not self._reader.is_alive()
            found = re.search(pattern, self.shown) is not None
            assert found or not ended, f"ended without showing {pattern!r}: {self.shown[-2000:]}"
            return found

        eventually(look, timeout_s, f"the screen shows {pattern!r}")

    def press(self, keys: bytes) -> None:
        """As from the keyboard."""
        os.write(self._master, keys)
