"""Starting the embedded Heat server as a child process, and stopping it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class RunningHeat:
    """A server that answers. `url`: `http://127.0.0.1:<port>`, without `/v1`."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def endpoint_template(self) -> str:
        """What the Heat adapter wants to be told."""
        return self.url + "/v1/{tenant}"

    def stop(self) -> None:
        """End it and wait for the end. May be called again."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(
    state_dir: Path,
    resource_seconds: float = 0.0,
    *,
    port: int = 0,
    timeout_s: float = 60.0,
    options: tuple[str, ...] = (),
) -> RunningHeat:
    """Start a server and wait until it answers. `options`: further command line options.

    It is killed when the calling *thread* ends (that is what PR_SET_PDEATHSIG watches): start it from one
    that lives long. Raises RuntimeError if it does not come up in time.
    """
    command = [sys.executable, "-m", "sim.heat_server", "--port", str(port), "--state", str(state_dir)]
    command += ["--resource-seconds", str(resource_seconds), "--parent-pid", str(os.getpid()), *options]
    process = subprocess.Popen(  # noqa: S603  # our own command
        command,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        start_new_session=True,  # Ctrl-C is for whoever started it, who stops it in order
    )
    return await_ready(process, timeout_s, "the Heat server")


def await_ready(process: subprocess.Popen[bytes], timeout_s: float, what: str) -> RunningHeat:
    """The server once it says `READY <url> ...`. Raises RuntimeError, with `what` in it, if it does not."""
    line = _first_line(process, time.monotonic() + timeout_s)
    words = line.split()
    running = RunningHeat(words[1] if words[:1] == ["READY"] else "", process)
    if not running.url:
        running.stop()
        raise RuntimeError(f"{what} did not start (exit {process.returncode}, said {line!r})")
    return running


def _first_line(process: subprocess.Popen[bytes], deadline: float) -> str:
    assert process.stdout is not None
    left = deadline - time.monotonic()
    ready, _, _ = select.select([process.stdout], [], [], max(left, 0))
    return process.stdout.readline().decode() if ready else ""
