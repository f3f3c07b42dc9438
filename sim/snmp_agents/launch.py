"""Start the embedded agents as a child process and talk to them.

Guarantees: `start` returns when every device answers on its address, or raises; the child ends with
`stop()`, and with its parent whatever ends that. On Linux the kernel's death signal follows the *thread*
that called `start`: call it from a thread that lives as long as the agents should.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_STOP_S = 5.0


class AgentsError(RuntimeError):
    """The agents did not start, or do not answer on their control socket."""


@dataclass(slots=True)
class RunningAgents:
    """The running child. `addresses`: device name → (host, port)."""

    addresses: dict[str, tuple[str, int]]
    control_path: Path
    _process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the child lives."""
        return self._process.poll() is None

    def control(self, line: str, timeout_s: float = 5.0) -> dict[str, Any]:
        """Send one command (see `control.py`) and return its JSON answer. Raises AgentsError."""
        return control(self.control_path, line, timeout_s)

    def stop(self) -> None:
        """End the child and remove its control socket. Safe to call twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self.control_path.unlink(missing_ok=True)


def control(control_path: Path, line: str, timeout_s: float = 5.0) -> dict[str, Any]:
    """Send one command to whatever agents listen on that socket. Raises AgentsError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(control_path))
            connection.sendall(line.encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline())
    except (OSError, ValueError) as error:
        raise AgentsError(f"control socket of the SNMP agents: {error}") from error
    assert isinstance(answer, dict)
    return answer


def start(config: Mapping[str, Any], control_path: Path, timeout_s: float = 20.0) -> RunningAgents:
    """Start agents for `config` (format: `config.py`). Raises AgentsError."""
    command = [sys.executable, "-m", "sim.snmp_agents", "--config", "-", "--control", str(control_path)]
    process = subprocess.Popen(  # noqa: S603  (our own module)
        [*command, "--parent", str(os.getpid())],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # Ctrl-C is for whoever started them, who stops them in order
    )
    agents = RunningAgents({}, control_path, process)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin as pipe:
            pipe.write(json.dumps(config))
        ready, _, _ = select.select([process.stdout], [], [], timeout_s)
        line = process.stdout.readline() if ready else ""
        agents.addresses.update(_parsed(line, process))
    except BaseException:
        agents.stop()
        raise
    return agents


def _parsed(line: str, process: subprocess.Popen[str]) -> dict[str, tuple[str, int]]:
    word, _, addresses = line.partition(" ")
    if word != "READY":
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        raise AgentsError(f"the SNMP agents did not become ready (exit code {process.poll()})")
    parts = {name: address.rpartition(":") for name, address in json.loads(addresses).items()}
    return {name: (host, int(port)) for name, (host, _, port) in parts.items()}
