"""Builds `.venv` from the hashed lock files and shows how far it is. Used by `config.bootstrap` only.

Guarantees: standard library only; one install at a time (a lock that dies with its holder); pip and what it
starts die with us; temporary files stay inside `.venv`. The stamp is written after everything else.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib.util
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from config.bootstrap import (
    BUILD_LOCK,
    BUILDING,
    DEV_LOCK,
    PYTHON,
    ROOT,
    RUNTIME_LOCK,
    STAMP,
    VENV,
    installed,
    lacking,
    stamp_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How many of pip's last lines are shown when it fails.
TAIL = 15
_PER_PACKAGE = re.compile(r"(?:Collecting|Requirement already satisfied:) (\S+)|Processing \S*/([^/\s]+?)-\d")


def install(*, dev: bool) -> None:
    """Make `.venv` complete. Raises SystemExit with the reason if that is impossible."""
    try:
        with _alone() as lock_fd:
            if installed(dev=dev) or _somebody_else_made_it(dev=dev):
                return
            started = time.monotonic()
            lock = DEV_LOCK if dev else RUNTIME_LOCK
            _say(f"Preparing {VENV} from {lock}, once (about a minute) ...")
            _make_folder(lock_fd)
            _pip(BUILD_LOCK, ["--only-binary", ":all:"], lock_fd)
            _pip(lock, ["--no-build-isolation"], lock_fd)
            shutil.rmtree(VENV / "tmp", ignore_errors=True)
            lines = "\n".join(stamp_lines(dev=dev)) + "\n"
            partial = STAMP.with_suffix(".part")
            partial.write_text(lines)
            partial.replace(STAMP)
            BUILDING.unlink()
            _say(f"Prepared in {time.monotonic() - started:.0f} s; the next start needs none of this.")
    except OSError as error:
        sys.exit(f"error: cannot prepare {VENV}: {error}")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; the next start begins the preparation again.")


@contextlib.contextmanager
def _alone() -> Iterator[int]:
    """Hold the one install lock; it ends with the last process that has the descriptor (we or pip)."""
    with (ROOT / RUNTIME_LOCK).open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"Waiting for another start of Gatewright that prepares {VENV} ...")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _somebody_else_made_it(*, dev: bool) -> bool:
    """Whether there is a `.venv` that is not ours but has all that is needed."""
    ours = STAMP.exists() or BUILDING.exists()
    return PYTHON.exists() and not ours and not lacking(_site_packages(), dev=dev)


def _site_packages() -> list[str]:
    return [str(path) for path in VENV.glob("lib/python3*/site-packages")]


def _make_folder(lock_fd: int) -> None:
    """A `.venv` with pip inside and the mark on it. A torso of ours is thrown away, a sound one is kept."""
    if BUILDING.exists() or (VENV.exists() and not PYTHON.exists()):
        old = VENV.with_name(
            ".venv.old"
        )  # renamed first: half of a deletion must not look like an environment
        shutil.rmtree(old, ignore_errors=True)
        VENV.rename(old)
    shutil.rmtree(VENV.with_name(".venv.old"), ignore_errors=True)
    (VENV / "tmp").mkdir(parents=True, exist_ok=True)
    BUILDING.touch()
    STAMP.unlink(missing_ok=True)
    if PYTHON.exists() and next(iter(VENV.glob("lib/python3*/site-packages/pip")), None):
        return
    with_pip = importlib.util.find_spec("ensurepip") is not None
    if not with_pip and importlib.util.find_spec("pip") is None:
        sys.exit(
            "error: this Python has neither ensurepip nor pip, so nothing can be installed. "
            "On Debian or Ubuntu: apt install python3-venv. Or start run.py with another Python."
        )
    command = [_base_python(), "-m", "venv", str(VENV)] + ([] if with_pip else ["--without-pip"])
    _stream(command, "creating the environment", 0, lock_fd)


def _base_python() -> str:
    """The interpreter behind the environment that we may be running in."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


def _pip(lock: str, options: list[str], lock_fd: int) -> None:
    own_pip = next(iter(VENV.glob("lib/python3*/site-packages/pip")), None)
    pip = [str(PYTHON), "-m", "pip"] if own_pip else [_base_python(), "-m", "pip", "--python", str(PYTHON)]
    text = (ROOT / lock).read_text()
    total = sum(1 for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line) and "win32" not in line)
    command = [*pip, "install", "--require-hashes", "--no-deps", *options, "-r", lock]
    _stream(command, lock, total, lock_fd)


def _environment() -> dict[str, str]:
    """Ours, without what would lead pip elsewhere. Index, proxy and certificate settings stay the user's."""
    strays = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "PYTHONHOME")
    kept = {name: value for name, value in os.environ.items() if name not in strays}
    return {
        **kept,
        "TMPDIR": str(VENV / "tmp"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_PROGRESS_BAR": "off",
        "PYTHONUNBUFFERED": "1",
    }


def die_with_parent() -> None:
    """Run in a child between fork and exec: it gets SIGKILL when we end, however we end (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _stream(command: list[str], what: str, total: int, lock_fd: int) -> None:
    """Run a command, showing a counter; SystemExit with its last lines if it fails."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread exists yet
        pass_fds=(lock_fd,),  # where there is no parent-death signal, the lock lives as long as pip
    )
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    tail: deque[str] = deque(maxlen=TAIL)
    try:
        _follow(lines, tail, _Progress(what, total))
    finally:
        if process.poll() is None and sys.exc_info()[0] is not None:
            process.kill()
        code = process.wait()
    if code:
        shown = "".join(f"  | {line}" for line in tail)
        sys.exit(
            f"error: {what}: {' '.join(command[:4])} ended with {code}:\n{shown}"
            "No package index reached? pip's own settings (index, proxy, certificates) are used."
        )


def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _follow(lines: queue.Queue[str | None], tail: deque[str], progress: _Progress) -> None:
    while True:
        try:
            line = lines.get(timeout=0.5)
        except queue.Empty:
            progress.tick()
            continue
        if line is None:
            progress.end()
            return
        tail.append(line)
        progress.line(line)


class _Progress:
    """One line that is overwritten on a terminal; some plain lines elsewhere."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._fetched, self._shown = what, total, 0, -1
        self._before = self._count()
        self._installing = False
        self._terminal = sys.stderr.isatty()
        if not total:
            _say(f"  {what}")

    def _count(self) -> int:
        return sum(1 for _ in VENV.glob("lib/python3*/site-packages/*.dist-info"))

    def line(self, text: str) -> None:
        """Take one line of pip's output."""
        match = _PER_PACKAGE.match(text)
        if match:
            self._fetched += 1
            self._show(self._fetched, f"fetched {match[1] or match[2]}")
        elif text.startswith("Installing collected packages"):
            self._installing = True
            self.tick()

    def tick(self) -> None:
        """Time passed without output: pip installs silently, so count what is there already."""
        if self._installing:
            done = max(0, self._count() - self._before)
            self._show(done, "installed")

    def _show(self, done: int, text: str) -> None:
        if not self._total:
            return
        line = f"  {self._what}: {done}/{self._total} {text}"
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r{line[:width]:<{width}}")
            sys.stderr.flush()
        elif done // 20 != self._shown // 20 or done == self._total != self._shown:
            _say(line)
        self._shown = done

    def end(self) -> None:
        """Leave the line."""
        if self._terminal and self._total:
            sys.stderr.write("\n")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


__all__ = ["die_with_parent", "install"]
