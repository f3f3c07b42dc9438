"""The runtime on a machine that knows not even its own name."""

from __future__ import annotations

import subprocess
import sys

NAMELESS = """
import logging, socket
def ask(*_):
    raise SystemExit("the resolver was asked")
asked = socket.getaddrinfo, socket.getfqdn = ask, ask
import actors.runtime.system
import thespian.system.transport.IPBase as addresses
assert (socket.getaddrinfo, socket.getfqdn) == asked
assert addresses.thisSystem.isLocalAddr("127.0.0.1")
assert not logging.getLogger().handlers
"""


def test_the_resolver_is_not_asked_when_the_runtime_is_imported() -> None:
    """Nothing is asked, said or left behind, and loopback is known all the same."""
    done = subprocess.run(
        [sys.executable, "-c", NAMELESS], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
