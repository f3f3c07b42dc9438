"""net-snmp's own agent on a loopback port, for tests that want a real one."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest


def program() -> str:
    """The path of snmpd; skips the test where there is none."""
    found = shutil.which("snmpd") or shutil.which("snmpd", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("net-snmp's snmpd is not installed (Debian package snmpd)")
    return found


class Snmpd:
    """One snmpd, ended with the test. `start` again with other lines to replace it."""

    def __init__(self, directory: Path, *, prefix: tuple[str, ...] = (), address: str = "127.0.0.1") -> None:
        self._program, self._directory, self._prefix = program(), directory, prefix
        self._process: subprocess.Popen[bytes] | None = None
        self.address = address
        self.port = self._free_port() if not prefix else 161

    @staticmethod
    def _free_port() -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def start(self, *lines: str) -> None:
        """Start it with these configuration lines; one that runs is ended first."""
        self.stop()
        conf = self._directory / "snmpd.conf"
        conf.write_text("\n".join((f"agentaddress udp:{self.address}:{self.port}", *lines, "")), "utf-8")
        self._process = subprocess.Popen(
            [*self._prefix, self._program, "-f", "-Lf", str(self._directory / "log"), "-C", "-c", str(conf)],
            env={**os.environ, "MIBS": "", "SNMP_PERSISTENT_DIR": str(self._directory / "persistent")},
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=_die_with_parent,
        )

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


def _die_with_parent() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(1, 9)
