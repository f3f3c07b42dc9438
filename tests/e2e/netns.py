"""A network namespace of its own with real interfaces and net-snmp's agent in it; nothing of the host is touched.

The thread that calls `enter` makes its sockets inside: it talks to the agent over the loopback of the namespace.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.snmpd import Snmpd

_CLONE_NEWNET = 0x40000000


class Namespace:
    """Made at once, gone with `close`. Interfaces are ends of veth pairs; `NAME-f` is the far end."""

    def __init__(self) -> None:
        self.name = f"gatewright-{os.getpid()}"
        self._ip = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin") or ""
        if not self._ip:
            pytest.skip("iproute2 is not installed")
        made = subprocess.run(
            [self._ip, "netns", "add", self.name], capture_output=True, text=True, check=False
        )
        if made.returncode:
            pytest.skip(f"network namespaces are not allowed here: {made.stderr.strip()}")
        self._own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self("link set lo up")

    def __call__(self, command: str) -> None:
        """`ip` inside the namespace."""
        done = subprocess.run(
            [self._ip, "-n", self.name, *command.split()], capture_output=True, text=True, check=False
        )
        if done.returncode:
            if "Unknown device type" in done.stderr or "not supported" in done.stderr:
                pytest.skip(f"no veth in this kernel: {done.stderr.strip()}")
            raise AssertionError(f"ip {command}: {done.stderr}")

    def port(self, name: str, index: int, *, up: bool = True) -> None:
        """A new interface with that ifIndex; `up`: its far end is up, and so is its ifOperStatus."""
        self(f"link add {name} index {index} type veth peer name {name}-f")
        self(f"link set {name} up")
        if up:
            self(f"link set {name}-f up")

    def lossy(self, percent: int) -> None:
        """So many of 100 SNMP packets in each direction are lost from now on; skips the test without nftables."""
        nft = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
        if nft is None:
            pytest.skip("nftables is not installed")
        rule = f"numgen random mod 100 < {percent} drop"
        script = f"""
            table inet loss
            delete table inet loss
            table inet loss {{
                chain arriving {{
                    type filter hook input priority 0;
                    udp dport 161 {rule}
                    udp sport 161 {rule}
                }}
            }}
        """
        command = [self._ip, "netns", "exec", self.name, nft, "-f", "-"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"nftables cannot be used here: {done.stderr.strip()}")

    def agent(self, directory: Path) -> Snmpd:
        """An agent inside, not started yet."""
        return Snmpd(directory, prefix=(self._ip, "netns", "exec", self.name))

    def enter(self) -> None:
        """This thread's new sockets are inside from now on."""
        inside = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            self._set(inside)
        finally:
            os.close(inside)

    def leave(self) -> None:
        """This thread is outside again; its sockets stay where they are."""
        self._set(self._own)

    @staticmethod
    def _set(descriptor: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def close(self) -> None:
        """Remove it, with everything in it."""
        self.leave()
        os.close(self._own)
        subprocess.run([self._ip, "netns", "del", self.name], check=False, capture_output=True)
